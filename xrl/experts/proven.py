"""A TensorFlow function as an ONNX file, proven to compute the same. Enters: a function. Leaves: a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from xrl.errors import ExportError

OPSET = 17
INPUT = "x"
_PROBES = 64
#: They have no parent of their own but `Exception`.
_ORT_ERRORS = (
    *(ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf),
    *(ort_errors.NoModel, ort_errors.NotImplemented, ort_errors.RuntimeException),
)


def write_proven(
    function: Callable[[Any], Mapping[str, Any]], shape: tuple[int, ...], path: Path, tolerance: float = 1e-4
) -> float:
    """Convert `function`, open the file with onnxruntime and hold it against the function.

    Args:
        function: (batch, *shape) float32 -> outputs by name, each with a leading batch axis.
        shape: of one input, scaled and clipped to +-5.
        path: written aside, then renamed.
        tolerance: largest allowed difference, absolute or relative to the output's magnitude.

    Returns:
        The largest difference found.

    Raises:
        ExportError: the file cannot be opened or computes something else.
    """
    signature = [tf.TensorSpec((None, *shape), tf.float32, name=INPUT)]

    def named(x: Any) -> dict[str, Any]:
        return {name: tf.identity(value, name) for name, value in function(x).items()}

    compiled = tf.function(named, input_signature=signature)
    exported, _ = tf2onnx.convert.from_function(compiled, input_signature=signature, opset=OPSET)
    for value in (*exported.graph.input, *exported.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"part-{path.name}")
    try:
        aside.write_bytes(exported.SerializeToString())
        difference = _difference(compiled, aside, shape)
        if not difference <= tolerance:
            raise ExportError(
                f"the exported network differs from the trained one by {difference:.2g}, allowed "
                f"{tolerance:.2g}. Look for an operation that tf2onnx does not know (it only logs those)."
            )
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return difference


def _difference(function: Callable[[Any], Mapping[str, Any]], path: Path, shape: tuple[int, ...]) -> float:
    """Largest difference on ordinary and on clipped extreme inputs, one at a time and in a batch."""
    probes = _probes(shape)
    expected = {name: np.asarray(value) for name, value in function(probes).items()}
    names = list(expected)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        batch = dict(zip(names, session.run(names, {INPUT: probes})))
        single = dict(zip(names, session.run(names, {INPUT: probes[:1]})))
    except _ORT_ERRORS as error:
        raise ExportError(f"onnxruntime cannot run {path.name}: {error}") from error
    return max(
        float(np.abs(found[name] - expected[name][: len(found[name])]).max()) / _magnitude(expected[name])
        for name in names
        for found in (batch, single)
    )


def _magnitude(values: NDArray[np.float32]) -> float:
    return max(1.0, float(np.abs(values).max()))


def _probes(shape: tuple[int, ...]) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    sizes = np.repeat([1.0, 10.0], _PROBES // 2).reshape(-1, *(1 for _ in shape))
    return np.asarray(np.clip(rng.standard_normal((_PROBES, *shape)) * sizes, -5, 5), dtype=np.float32)
