"""An expert as ONNX: what the server loads. Enters: its networks. Leaves: one file proven equal to them.

Input `x` (batch, window, columns) float32 scaled features; outputs `probabilities` (batch, 3), temperature
applied, `block` (batch, width), what the policy sees of this expert, and `uncertainty` (batch, 1), how far
its networks differ, as mutual information in nats.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from xrl.errors import ExportError
from xrl.experts.proven import write_proven

OUTPUTS = ("probabilities", "block", "uncertainty")
_LEAST = 1e-12  # probability that a logarithm is taken of


def to_onnx(
    models: Sequence[keras.Model],
    path: Path,
    temperature: float,
    matrices: Sequence[NDArray[np.floating]] | None,
    tolerance: float = 1e-4,
) -> float:
    """Write an expert's networks as one graph and hold the file, reopened with onnxruntime, against them.

    Args:
        models: serving views, all of one window and the same columns.
        path: written aside, then renamed.
        temperature: of the mean of the networks' probabilities.
        matrices: of each network (embedding width, block width); the block is the mean of
            `embedding @ matrix`. None makes the block the probabilities.
        tolerance: largest allowed difference, absolute or relative to the output's magnitude.

    Returns:
        The largest difference found.

    Raises:
        ExportError: the networks read different inputs, or the file computes something else than they do.
    """
    shapes = {tuple(model.input_shape[1:]) for model in models}
    if len(shapes) != 1:
        raise ExportError(f"networks of one expert must read the same window and columns; received {shapes}")
    heads = None if matrices is None else [np.asarray(matrix, dtype=np.float32) for matrix in matrices]

    def serve(x: Any) -> dict[str, Any]:
        said = [model(x, training=False)[:2] for model in models]  # logits (batch, 3), embedding (batch, 256)
        members = [ops.softmax(logits, axis=-1) for logits, _ in said]
        mean = _mean(members)
        logits = said[0][0] if len(models) == 1 else ops.log(ops.maximum(mean, _LEAST))
        probabilities = ops.softmax(logits / temperature, axis=-1)
        found = {"probabilities": probabilities, "block": probabilities}
        if heads is not None:
            found["block"] = _mean([embedding @ head for (_, embedding), head in zip(said, heads)])
        among = _entropy(mean) - _mean([_entropy(member) for member in members])
        return {**found, "uncertainty": ops.maximum(among, 0.0)}

    return write_proven(serve, shapes.pop(), path, tolerance)


def _mean(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else sum(values[1:], values[0]) / len(values)


def _entropy(probabilities: Any) -> Any:
    """In nats, (batch, 3) -> (batch, 1)."""
    logarithms = ops.log(ops.maximum(probabilities, _LEAST))
    return -ops.sum(probabilities * logarithms, axis=-1, keepdims=True)
