"""Causal self-attention. Enters: (batch, time, units). Leaves: the same; position t reads rows up to t.

Sources: Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, eq. 1; Su et al. 2021,
"RoFormer", arXiv:2104.09864, eq. 34 (rotary positions).
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from xrl.errors import ConfigError

_NEVER = -1e30  # score of a later row: its weight is exactly 0 and so is its gradient
_SLOWEST = 10_000.0  # longest wavelength of the positions, in radians per bar: 1 / 10000


@keras.saving.register_keras_serializable(package="xrl")
class CausalAttention(keras.layers.Layer):
    """`softmax(q k' / sqrt(d)) v` over the rows so far, head by head, and an output projection.

    With `rotary`, queries and keys are turned by their position, so a score depends on how far back a row
    lies and not on where the window begins: training reads every position of a window, serving its last one.

    Args:
        units: width, a multiple of `heads`; with `rotary` of `2 heads`.
        heads: number of independent attentions.
        rotary: whether scores know positions.

    Raises:
        ConfigError: `units` cannot be divided so.
    """

    def __init__(self, units: int, heads: int, rotary: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        step = 2 * heads if rotary else heads
        if units <= 0 or units % step:
            raise ConfigError(
                f"`units` must be a positive multiple of {step} for heads={heads}. Received: {units}"
            )
        self.units, self.heads, self.rotary = units, heads, rotary
        self.projection = keras.layers.Dense(3 * units, use_bias=False, name="projection")
        self.output_projection = keras.layers.Dense(units, use_bias=False, name="output_projection")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != self.units:
            raise ConfigError(
                f"CausalAttention needs inputs of width units={self.units}. Received: {input_shape}"
            )
        self.projection.build(input_shape)
        self.output_projection.build(input_shape)

    def call(self, x: Any) -> Any:
        length = int(x.shape[1])
        q, k, v = (self._heads(part) for part in ops.split(self.projection(x), 3, axis=-1))
        if self.rotary:
            q, k = _turned(q), _turned(k)
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / math.sqrt(self.units // self.heads)
        past = np.tril(np.ones((length, length), bool))
        weights = ops.softmax(ops.where(past, scores, _NEVER), axis=-1)  # (batch, heads, time, time)
        found = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))  # (batch, time, heads, width)
        return self.output_projection(ops.reshape(found, (-1, length, self.units)))

    def _heads(self, x: Any) -> Any:
        split = ops.reshape(x, (-1, int(x.shape[1]), self.heads, self.units // self.heads))
        return ops.transpose(split, (0, 2, 1, 3))  # (batch, heads, time, width)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "heads": self.heads, "rotary": self.rotary}
        return {**super().get_config(), **own}


def _turned(x: Any) -> Any:
    """Each pair (i, i + width / 2) of a row turned by position times its own frequency."""
    cosine, sine = (ops.convert_to_tensor(part) for part in _rotation(int(x.shape[2]), int(x.shape[3]) // 2))
    first, second = ops.split(x, 2, axis=-1)  # (batch, heads, time, width / 2) each
    return ops.concatenate([first * cosine - second * sine, first * sine + second * cosine], axis=-1)


def _rotation(length: int, pairs: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosine and sine of `position / 10000^(pair / pairs)`, (length, pairs) each."""
    angle = np.arange(length)[:, None] * _SLOWEST ** (-np.arange(pairs) / pairs)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
