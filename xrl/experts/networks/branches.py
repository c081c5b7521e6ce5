"""Pre-norm residual branches that plain networks are made of. Enters: (batch, time, units). Leaves: same."""

import math
from typing import Any

import keras
from keras import ops

from xrl.experts.networks.body import Layer
from xrl.experts.networks.norms import normalisation
from xrl.presets import Network


@keras.saving.register_keras_serializable(package="xrl")
def gelu(x: Any) -> Any:
    """`x / 2 (1 + erf(x / sqrt 2))`, written out: tf2onnx does not know the Erfc that Keras' own is made of.

    Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", arXiv:1606.08415.
    """
    return 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))


def branch(inner: Layer, shape: Network, name: str) -> Layer:
    """`x + dropout(inner(norm(x)))`; without `shape.residual` the branch alone.

    Args:
        inner: (batch, time, units) -> same, causal.
        shape: norm, dropout and residual.
        name: of the branch, unique within the network.
    """
    norm = normalisation(shape.norm, f"{name}_norm")
    drop = keras.layers.Dropout(shape.dropout, name=f"{name}_drop")
    add = keras.layers.Add(name=f"{name}_add")

    def applied(x: Any) -> Any:
        found = drop(inner(norm(x)))
        return add([x, found]) if shape.residual else found

    return applied


def feedforward(shape: Network, name: str) -> tuple[Layer, ...]:
    """A branch of two dense layers with GELU between them; none where `shape.feedforward` is 0."""
    if not shape.feedforward:
        return ()
    up = keras.layers.Dense(int(shape.feedforward * shape.units), activation=gelu, name=f"{name}_up")
    down = keras.layers.Dense(shape.units, name=f"{name}_down")
    return (branch(lambda x: down(up(x)), shape, name),)
