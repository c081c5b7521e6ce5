"""ONNX files whose bytes follow from what they compute.

Enters: a model as an exporter wrote it: names numbered by whatever was exported before in the same process,
nodes in any order that works. Leaves: the same graph, nodes in the order in which its outputs ask for them,
names by order of use, so that identical models are identical files.
"""

from collections.abc import Iterator

import onnx


def canonical(model_bytes: bytes) -> bytes:
    """The model in canonical order; inputs and outputs keep their names, documentation and producer go."""
    model = onnx.load_from_string(model_bytes)
    graph = model.graph
    _order(graph)
    _rename(graph, {value.name: value.name for value in (*graph.input, *graph.output)})
    graph.name = "main"
    model.producer_name = model.producer_version = model.doc_string = ""
    del model.metadata_props[:]
    return bytes(model.SerializeToString(deterministic=True))


def _order(graph: onnx.GraphProto) -> None:
    """Sort nodes as a depth-first walk from the outputs leaves them; what no output needs is dropped."""
    maker = {name: index for index, node in enumerate(graph.node) for name in node.output}
    done: list[int] = []
    seen: set[int] = set()
    waiting = [(maker[value.name], False) for value in reversed(graph.output) if value.name in maker]
    while waiting:
        index, is_ready = waiting.pop()
        if is_ready:
            done.append(index)
        elif index not in seen:
            seen.add(index)
            waiting.append((index, True))
            needed = [maker[name] for name in _reads(graph.node[index]) if name in maker]
            waiting += [(other, False) for other in reversed(needed)]
    nodes = [onnx.NodeProto.FromString(graph.node[index].SerializeToString()) for index in done]
    del graph.node[:]
    graph.node.extend(nodes)


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, those of the graphs inside it included."""
    yield from node.input
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                yield from _reads(inner)


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Rename every value of `graph` and of the graphs inside its nodes; `names` grows as they occur."""
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [_renamed(name, names) for name in values]
        node.name = node.doc_string = ""
        for attribute in node.attribute:
            if attribute.HasField("g"):
                inner = attribute.g
                for value in (*inner.input, *inner.output):
                    value.name = _renamed(value.name, names)
                inner.name = "inner"
                _rename(inner, names)
    used = {name for node in graph.node for name in _reads(node)} | {value.name for value in graph.output}
    tensors = {_renamed(tensor.name, names): tensor for tensor in graph.initializer}
    for name, tensor in tensors.items():
        tensor.name, tensor.doc_string = name, ""
    kept = [tensors[name] for name in sorted(tensors.keys() & used, key=lambda name: (len(name), name))]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]
    graph.doc_string = ""


def _renamed(name: str, names: dict[str, str]) -> str:
    if not name:  # an optional input left out
        return name
    return names.setdefault(name, f"v{len(names)}")
