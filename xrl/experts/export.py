"""An expert as ONNX: what the server loads. Enters: a trained expert. Leaves: a file proven equal to it.

Input `x` (batch, window, columns) float32 scaled features; outputs `probabilities` (batch, 3), temperature
applied, and `block` (batch, width), what the policy sees of this expert.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx
from keras import ops
from numpy.typing import NDArray

from xrl.errors import ExportError

OPSET = 17
INPUT = "x"
OUTPUTS = ("probabilities", "block")
_PROBES = 64


def to_onnx(
    model: keras.Model,
    path: Path,
    temperature: float,
    matrix: NDArray[np.floating] | None,
    tolerance: float = 1e-4,
) -> float:
    """Write an expert and hold the file, reopened with onnxruntime, against it.

    Args:
        model: serving view of an expert.
        path: written aside, then renamed.
        temperature: divides the logits.
        matrix: (embedding width, block width), `block = embedding @ matrix`; None makes the block
            the probabilities.
        tolerance: largest allowed difference, absolute or relative to the output's magnitude.

    Returns:
        The largest difference found.

    Raises:
        ExportError: the file cannot be opened or computes something else.
    """
    window, columns = model.input_shape[1:]
    head = None if matrix is None else np.asarray(matrix, dtype=np.float32)

    def serve(x: Any) -> dict[str, Any]:
        logits, embedding = model(x, training=False)
        probabilities = ops.softmax(logits / temperature, axis=-1)
        block = tf.identity(probabilities) if head is None else tf.matmul(embedding, tf.constant(head))
        return {
            "probabilities": tf.identity(probabilities, "probabilities"),
            "block": tf.identity(block, "block"),
        }

    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"part-{path.name}")
    signature = [tf.TensorSpec((None, window, columns), tf.float32, name=INPUT)]
    function = tf.function(serve, input_signature=signature)
    exported, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    for value in (*exported.graph.input, *exported.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    aside.write_bytes(exported.SerializeToString())
    difference = _parity(function, aside, window, columns)
    if not difference <= tolerance:
        aside.unlink()
        raise ExportError(
            f"the exported expert differs from the trained one by {difference:.2g}, allowed {tolerance:.2g}. "
            "Look for an operation that tf2onnx does not know (it only logs those)."
        )
    aside.replace(path)
    return difference


def _parity(function: Any, path: Path, window: int, columns: int) -> float:
    """Largest difference on ordinary and on clipped extreme windows, one at a time and in a batch."""
    rng = np.random.default_rng(0)
    sizes = np.repeat([1.0, 10.0], _PROBES // 2)[:, None, None]
    probes = np.clip(rng.standard_normal((_PROBES, window, columns)) * sizes, -5, 5).astype(np.float32)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        batch = dict(zip(OUTPUTS, session.run(list(OUTPUTS), {INPUT: probes})))
        single = dict(zip(OUTPUTS, session.run(list(OUTPUTS), {INPUT: probes[:1]})))
    except (RuntimeError, ValueError) as error:  # onnxruntime's own errors derive from these
        raise ExportError(f"onnxruntime cannot run {path.name}: {error}") from error
    differences = []
    for name, expected in function(probes).items():
        expected = np.asarray(expected)
        scale = max(1.0, float(np.abs(expected).max()))
        differences.append(float(np.abs(batch[name] - expected).max()) / scale)
        differences.append(float(np.abs(single[name] - expected[:1]).max()) / scale)
    return max(differences)
