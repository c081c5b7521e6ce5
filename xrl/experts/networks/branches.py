"""Pre-norm residual branches that plain networks are made of. Enters: (batch, time, units). Leaves: same."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import keras
from keras import ops

from xrl.experts.networks.body import Layer
from xrl.experts.networks.norms import normalisation
from xrl.presets import Network


class Branch(Protocol):
    """(batch, time, units) -> the same or, with `last`, its last position alone (batch, 1, units)."""

    def __call__(self, x: Any, last: bool = False) -> Any: ...


@keras.saving.register_keras_serializable(package="xrl")
def gelu(x: Any) -> Any:
    """`x / 2 (1 + erf(x / sqrt 2))`, written out: tf2onnx does not know the Erfc that Keras' own is made of.

    Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", arXiv:1606.08415.
    """
    return 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))


def branch(inner: Callable[..., Any], shape: Network, name: str, scale: bool = True) -> Branch:
    """`x + dropout(inner(norm(x)))`; without `shape.residual` the branch alone.

    Args:
        inner: (batch, time, units) -> same, causal; asked for the last position alone it is called with
            `last=True` and answers (batch, 1, units).
        shape: norm, dropout and residual.
        name: of the branch, unique within the network.
        scale: whether the norm has weights; False where `inner` has them.
    """
    norm = normalisation(shape.norm, f"{name}_norm", scale)
    drop = dropout(shape, f"{name}_drop")
    add = keras.layers.Add(name=f"{name}_add")

    def applied(x: Any, last: bool = False) -> Any:
        found = drop(inner(norm(x), last=True) if last else inner(norm(x)))
        if not shape.residual:
            return found
        return add([x[:, -1:, :] if last else x, found])

    return applied


def dropout(shape: Network, name: str) -> keras.layers.Layer:
    """Dropout of (batch, time, units), drawn anew for each bar or once for a whole window.

    Source of the latter: Gal and Ghahramani 2016, "A Theoretically Grounded Application of Dropout in
    Recurrent Neural Networks", arXiv:1512.05287. It needs a random number per window and unit only.
    """
    if shape.dropout_mask == "window":
        return keras.layers.SpatialDropout1D(shape.dropout, name=name)
    return keras.layers.Dropout(shape.dropout, name=name)


def feedforward(shape: Network, name: str) -> tuple[Layer, ...]:
    """A branch of two dense layers with GELU between them; none where `shape.feedforward` is 0."""
    if not shape.feedforward:
        return ()
    up = keras.layers.Dense(int(shape.feedforward * shape.units), activation=gelu, name=f"{name}_up")
    down = keras.layers.Dense(shape.units, name=f"{name}_down")
    return (branch(lambda x: down(up(x)), shape, name),)
