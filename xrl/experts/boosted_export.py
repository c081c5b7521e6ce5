"""The boosted expert as ONNX, proven equal to LightGBM. Enters: its bags. Leaves: one file for all of them.

Input `x` (batch, columns) float32 scaled features of one bar; outputs as every expert's: `probabilities`
(batch, 3), `block` (batch, 2 or 3) and `uncertainty` (batch, 1).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxmltools
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from xrl.columns import CLASSES
from xrl.errors import ExportError
from xrl.experts import alignment, boosted
from xrl.experts.answers import Said

_OPSET, _TREES_OPSET, _IR = 17, 1, 8
_INPUT = "x"
OUTPUTS = ("probabilities", "block", "uncertainty")
_LEAST = 1e-9
_PROBES = 256
_ZERO = 1e-34  # LightGBM takes a number within 1e-35 of zero for zero and splits there
_ORT_ERRORS = (
    *(ort_errors.Fail, ort_errors.InvalidGraph, ort_errors.NotImplemented),
    ort_errors.RuntimeException,
)


def to_onnx(
    bags: Sequence[Any], path: Path, temperature: float, contrasts: bool, tolerance: float = 1e-4
) -> float:
    """Write the bags as one graph and hold the file, reopened with onnxruntime, against LightGBM.

    Args:
        bags: as `boosted.fit` made them.
        path: written aside, then renamed.
        temperature: of the pooled probabilities.
        contrasts: whether the block is the two contrasts of the log-probabilities; else the probabilities.
        tolerance: largest allowed difference, absolute or relative to the output's magnitude.

    Returns:
        The largest difference found.

    Raises:
        ExportError: the file cannot be opened or computes something else.
    """
    columns = int(bags[0].num_feature())
    model = _graph([_trees(bag, columns) for bag in bags], columns, temperature, contrasts)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"part-{path.name}")
    aside.write_bytes(model.SerializeToString())
    difference = _parity(bags, aside, temperature, contrasts)
    if not difference <= tolerance:
        aside.unlink()
        raise ExportError(
            f"the exported boosted expert differs from LightGBM by {difference:.2g}, allowed "
            f"{tolerance:.2g}. Check the versions of lightgbm, onnxmltools and onnxruntime against "
            "requirements.lock."
        )
    aside.replace(path)
    return difference


def _trees(bag: Any, columns: int) -> onnx.NodeProto:
    """The node that holds a bag's trees: (batch, columns) -> label, probabilities."""
    shape = [(_INPUT, FloatTensorType([None, columns]))]
    converted = onnxmltools.convert_lightgbm(
        boosted.in_single(bag), initial_types=shape, zipmap=False, target_opset=15
    )
    found = [node for node in converted.graph.node if node.op_type == "TreeEnsembleClassifier"]
    if len(found) != 1:
        kinds = ", ".join(node.op_type for node in converted.graph.node)
        raise ExportError(f"expected one TreeEnsembleClassifier of a bag, received {kinds}")
    return found[0]


def _graph(
    trees: Sequence[onnx.NodeProto], columns: int, temperature: float, contrasts: bool
) -> onnx.ModelProto:
    """Every bag's trees, their mean, its temperature, the block, and how far the bags differ."""
    nodes, said, entropies = [], [], []
    for number, tree in enumerate(trees):
        own = f"said_{number}"
        tree.name, tree.output[:] = "", [f"label_{number}", own]
        nodes += [tree, *_entropy(own)]
        said.append(own)
        entropies.append(f"entropy_{own}")
    nodes += [
        helper.make_node("Mean", said, ["mean"]),
        *_entropy("mean"),
        helper.make_node("Mean", entropies, ["own_entropy"]),
        helper.make_node("Sub", ["entropy_mean", "own_entropy"], ["difference"]),
        helper.make_node("Max", ["difference", "zero"], ["uncertainty"]),
        helper.make_node("Max", ["mean", "least"], ["some_mean"]),
        helper.make_node("Log", ["some_mean"], ["log_mean"]),
        helper.make_node("Div", ["log_mean", "temperature"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    if contrasts:
        nodes += [
            helper.make_node("LogSoftmax", ["logits"], ["log_probabilities"], axis=-1),
            helper.make_node("MatMul", ["log_probabilities", "of_logarithms"], ["block"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["probabilities"], ["block"]))
    widths = (len(CLASSES), alignment.CONTRASTS if contrasts else len(CLASSES), 1)
    constants: dict[str, Any] = {"zero": 0.0, "least": _LEAST, "temperature": temperature}
    constants |= {"of_logarithms": alignment.OF_LOGARITHMS}
    graph = helper.make_graph(
        nodes,
        "boosted",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["batch", columns])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
            for name, width in zip(OUTPUTS, widths)
        ],
        [
            numpy_helper.from_array(np.asarray(value, dtype=np.float32), name)
            for name, value in constants.items()
        ]
        + [numpy_helper.from_array(np.array([-1], dtype=np.int64), "last")],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _TREES_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
    onnx.checker.check_model(model)
    return model


def _entropy(name: str) -> list[onnx.NodeProto]:
    """Nodes of the negative sum of p log p: (batch, 3) -> `entropy_NAME` (batch, 1)."""
    return [
        helper.make_node("Max", [name, "least"], [f"some_{name}_"]),
        helper.make_node("Log", [f"some_{name}_"], [f"log_{name}_"]),
        helper.make_node("Mul", [name, f"log_{name}_"], [f"terms_{name}"]),
        helper.make_node("ReduceSum", [f"terms_{name}", "last"], [f"sum_{name}"], keepdims=1),
        helper.make_node("Neg", [f"sum_{name}"], [f"entropy_{name}"]),
    ]


def _parity(bags: Sequence[Any], path: Path, temperature: float, contrasts: bool) -> float:
    """Largest difference on random rows and on the trees' own thresholds; a changed class counts as 1."""
    probes = _probes(bags)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found = dict(zip(OUTPUTS, session.run(list(OUTPUTS), {_INPUT: probes})))
    except _ORT_ERRORS as error:
        raise ExportError(f"onnxruntime cannot run {path.name}: {error}") from error
    said = boosted.answer(bags, probes, temperature)
    expected = {
        "probabilities": said.probabilities,
        "block": said.embedding if contrasts else said.probabilities,
        "uncertainty": said.uncertainty[:, None],
    }
    scaled = [
        float(np.abs(found[name] - value).max()) / max(1.0, float(np.abs(value).max()))
        for name, value in expected.items()
    ]
    return max(*scaled, 1.0 if _calls_differ(found["probabilities"], said) else 0.0)


def _calls_differ(found: NDArray[np.float32], said: Said) -> bool:
    second, first = np.sort(said.probabilities, axis=1)[:, -2:].T
    apart = first - second > 1e-4
    return bool((found.argmax(axis=1) != said.probabilities.argmax(axis=1))[apart].any())


def _probes(bags: Sequence[Any]) -> NDArray[np.float32]:
    """Ordinary and extreme rows, and rows of thresholds of their columns or of the next numbers above."""
    rng = np.random.default_rng(0)
    columns = bags[0].num_feature()
    sizes = np.repeat([1.0, 5.0], _PROBES)[:, None]
    drawn = (rng.standard_normal((2 * _PROBES, columns)) * sizes).astype(np.float32)
    edges = rng.standard_normal((2 * _PROBES, columns)).astype(np.float32)
    split = [bag.trees_to_dataframe().dropna(subset=["threshold"]) for bag in bags]
    for column, name in enumerate(bags[0].feature_name()):
        own = np.concatenate([table.loc[table["split_feature"] == name, "threshold"] for table in split])
        if len(own):
            at = rng.choice(np.where(np.abs(own) < _ZERO, 0.0, own).astype(np.float32), size=2 * _PROBES)
            above = np.nextafter(at, np.float32(np.inf))
            edges[:, column] = np.where((rng.random(2 * _PROBES) < 0.5) | (at == 0), at, above)
    return np.concatenate([drawn, edges])
