"""Truths of canonical ONNX files."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from xrl.stages.onnx_order import canonical


def model(names: dict[str, str], order: list[int], constant: float = 2.0) -> bytes:
    """exp(x) * constant + relu(x), and exp(x), with inner names and node order as asked; one dead node."""
    n = {name: names.get(name, name) for name in ("a", "b", "c", "k", "dead")}
    nodes = [
        helper.make_node("Exp", ["x"], [n["a"]], name=n["a"] + "_node"),
        helper.make_node("Relu", ["x"], [n["b"]]),
        helper.make_node("Mul", [n["a"], n["k"]], [n["c"]]),
        helper.make_node("Add", [n["c"], n["b"]], ["sum"]),
        helper.make_node("Identity", [n["a"]], ["exp"]),
        helper.make_node("Neg", ["x"], [n["dead"]]),
    ]
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2])  # noqa: E731
    tensor = numpy_helper.from_array(np.float32(constant), n["k"])
    graph = helper.make_graph(
        [nodes[i] for i in order],
        names.get("graph", "g"),
        [value("x")],
        [value("sum"), value("exp")],
        [tensor],
    )
    made = helper.make_model(
        graph,
        producer_name=names.get("graph", "p"),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    return made.SerializeToString()


def test_names_and_order_of_an_export_leave_no_trace() -> None:
    one = model({}, [0, 1, 2, 3, 4, 5])
    other = model({"a": "z9", "b": "a1", "c": "q", "k": "const_77", "graph": "tf2onnx"}, [1, 5, 0, 4, 2, 3])
    assert canonical(one) == canonical(other)
    assert canonical(canonical(one)) == canonical(one)
    assert canonical(model({}, [0, 1, 2, 3, 4, 5], constant=3.0)) != canonical(one)


def test_the_model_computes_the_same() -> None:
    x = np.array([[0.5, -1.0]], dtype=np.float32)
    made = canonical(model({}, [0, 1, 2, 3, 4, 5]))
    onnx.checker.check_model(onnx.load_from_string(made))
    total, exp = onnxruntime.InferenceSession(made).run(["sum", "exp"], {"x": x})
    np.testing.assert_allclose(exp, np.exp(x), rtol=1e-6)
    np.testing.assert_allclose(total, 2 * np.exp(x) + np.maximum(x, 0), rtol=1e-6)
