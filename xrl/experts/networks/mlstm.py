"""mLSTM: matrix memory with exponential gates, in its parallel form, as a residual Keras block.

Enters: (batch, time, units) hidden states. Leaves: the same shape. keras.ops only, so a model trained on one
backend loads on another. Sources: Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory",
arXiv:2405.04517, eqs. 19-27 (cell); Beck et al. 2025, "xLSTM 7B", arXiv:2503.13427 (wiring, gate caps).
"""

import math
from typing import Any

import keras
from keras import ops

from xrl.errors import ConfigError

_NEVER = -1e30  # exponent of a masked entry: exp gives 0 and a zero gradient, where -inf would give NaN
_LARGEST_EXPONENT = 80.0  # exp(80) is the last comfortable float32
_GATE_CAP = 15.0
_GRID = 256.0
_FORGET_BIAS = (3.0, 6.0)


def soft_cap(x: Any, cap: float = _GATE_CAP) -> Any:
    """`cap tanh(x / cap)`: the identity near zero, never beyond +-cap."""
    return cap * ops.tanh(x / cap)


def running_max(x: Any) -> Any:
    """Largest value so far along the last axis, by log2(length) shifted maxima.

    Args:
        x: (..., time); the length must be static.

    Returns:
        (..., time), `out[t] = max(x[0], ..., x[t])`.
    """
    length = int(x.shape[-1])
    shift = 1
    while shift < length:
        earlier = ops.concatenate([ops.full_like(x[..., :shift], _NEVER), x[..., :-shift]], axis=-1)
        x = ops.maximum(x, earlier)
        shift *= 2
    return x


def mlstm(q: Any, k: Any, v: Any, i: Any, f: Any, eps: float = 1e-6) -> Any:
    """Memory read-outs of an mLSTM cell from zero state, every time step at once.

    With `F = cumsum(log sigmoid f)`, `g = i - F` and `G = running max g`, the weight of step j at step t is
    `D_tj = exp(g_j - G_t)` for j <= t, and `h_t = (C v)_t / (max(|sum_j C_tj|, exp(-F_t - G_t)) + eps)` where
    `C = (q k' / sqrt(d)) D`. The value does not depend on G, which only keeps exponents small, so its
    gradient is cut; F stays attached, or the gradient of f is silently wrong. Long sums cancel in
    `g_j - G_t`, so each is split into a coarse part, which float32 adds without error, and a fine one.

    Args:
        q, k: (batch, heads, time, key width).
        v: (batch, heads, time, value width).
        i, f: (batch, heads, time) pre-activations of input and forget gate.
        eps: added to the normaliser.

    Returns:
        (batch, heads, time, value width), before head norm and output gate.
    """
    length = int(q.shape[2])
    (coarse_f, fine_f), (coarse_i, fine_i) = _split(-ops.softplus(-f)), _split(i)
    past = ops.tril(ops.ones((length, length)))  # (time, time)
    coarse_sum, fine_sum = _running_sum(coarse_f, past), _running_sum(fine_f, past)  # F: (batch, heads, time)
    coarse_g, fine_g = coarse_i - coarse_sum, fine_i - fine_sum
    largest = ops.stop_gradient(running_max(coarse_g + fine_g))  # G: (batch, heads, time)
    exponent = ops.expand_dims(coarse_g, 2) - ops.expand_dims(largest, 3) + ops.expand_dims(fine_g, 2)
    exponent = ops.where(past > 0, exponent, _NEVER)
    scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / math.sqrt(int(q.shape[-1]))
    weights = scores * ops.exp(exponent)  # C: (batch, heads, time, time)
    floor = ops.exp(ops.minimum(-(coarse_sum + largest) - fine_sum, _LARGEST_EXPONENT))
    total = ops.maximum(ops.abs(ops.sum(weights, axis=-1)), floor) + eps
    return ops.matmul(weights, v) / ops.expand_dims(total, -1)  # (batch, heads, time, value width)


def _running_sum(x: Any, past: Any) -> Any:
    """Sums so far along the last axis, as a product with the lower triangle: XLA's cumsum is quadratic."""
    return ops.matmul(x, ops.transpose(past))


def _split(x: Any) -> tuple[Any, Any]:
    """`x` as (multiple of 1/256 without a gradient, remainder in [0, 1/256) with all of it)."""
    coarse = ops.stop_gradient(ops.floor(x * _GRID) / _GRID)
    return coarse, x - coarse


@keras.saving.register_keras_serializable(package="xrl")
class MLSTMBlock(keras.layers.Layer):
    """Residual block: norm, mLSTM with fused projections, head norm, output gate; optionally SwiGLU after it.

    Args:
        units: width of hidden state and values, a multiple of `heads`.
        memory_size: width of queries and keys over all heads, a multiple of `heads`.
        heads: number of independent memories.
        feedforward: width of the SwiGLU layer as a multiple of `units`; 0 leaves it out.
        dropout: share dropped of what each branch adds to the residual stream, in training.

    Raises:
        ConfigError: a width is not a positive multiple of `heads`.
    """

    def __init__(
        self,
        units: int,
        memory_size: int,
        heads: int = 2,
        feedforward: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, width in (("units", units), ("memory_size", memory_size)):
            if width <= 0 or width % heads:
                raise ConfigError(f"`{name}` must be a positive multiple of heads={heads}. Received: {width}")
        self.units, self.memory_size, self.heads = units, memory_size, heads
        self.feedforward, self.dropout = feedforward, dropout
        self.norm = _layer_norm("norm")
        self.projection = _linear(2 * memory_size + 2 * units, "projection")
        self.gates = keras.layers.Dense(
            2 * heads, kernel_initializer="zeros", bias_initializer=GateBias(heads), name="gates"
        )
        self.head_norm = keras.layers.LayerNormalization(center=False, scale=False, name="head_norm")
        self.output_projection = _linear(units, "output_projection")
        self.drop = keras.layers.Dropout(dropout, name="drop")
        if feedforward:
            self.inner = int(feedforward * units)
            self.forward_norm = _layer_norm("forward_norm")
            self.up = _linear(2 * self.inner, "up")
            self.down = _linear(units, "down")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != self.units:
            raise ConfigError(f"MLSTMBlock needs inputs of width units={self.units}. Received: {input_shape}")
        self.norm.build(input_shape)
        self.projection.build(input_shape)
        self.gates.build(input_shape)
        self.head_norm.build((None, input_shape[1], self.heads, self.units // self.heads))
        self.head_weight = self.add_weight(shape=(self.units,), initializer="ones", name="head_weight")
        self.output_projection.build(input_shape)
        if self.feedforward:
            self.forward_norm.build(input_shape)
            self.up.build(input_shape)
            self.down.build((*input_shape[:-1], self.inner))

    def call(self, x: Any, training: bool | None = None) -> Any:
        x = x + self.drop(self._memory(self.norm(x)), training=training)
        if self.feedforward:
            gate, value = ops.split(self.up(self.forward_norm(x)), 2, axis=-1)
            x = x + self.drop(self.down(ops.silu(gate) * value), training=training)
        return x  # (batch, time, units)

    def _memory(self, x: Any) -> Any:
        length, memory, units = int(x.shape[1]), self.memory_size, self.units
        q, k, v, o = ops.split(self.projection(x), [memory, 2 * memory, 2 * memory + units], axis=-1)
        gates = ops.transpose(soft_cap(self.gates(x)), (0, 2, 1))  # (batch, 2 heads, time)
        i, f = ops.split(gates, 2, axis=1)
        h = mlstm(self._heads(q), self._heads(k), self._heads(v), i, f)
        h = self.head_norm(ops.transpose(h, (0, 2, 1, 3)))  # (batch, time, heads, value width)
        h = ops.reshape(h, (-1, length, units)) * self.head_weight
        return self.output_projection(h * ops.sigmoid(o))  # (batch, time, units)

    def _heads(self, x: Any) -> Any:
        length, width = int(x.shape[1]), int(x.shape[2]) // self.heads
        return ops.transpose(ops.reshape(x, (-1, length, self.heads, width)), (0, 2, 1, 3))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "memory_size": self.memory_size,
            "heads": self.heads,
            "feedforward": self.feedforward,
            "dropout": self.dropout,
        }


@keras.saving.register_keras_serializable(package="xrl")
class GateBias(keras.initializers.Initializer):
    """Input gates start at 0, forget gates evenly over 3..6, so that heads remember differently long.

    Args:
        heads: number of heads; the bias holds `heads` input gates, then `heads` forget gates.
    """

    def __init__(self, heads: int) -> None:
        self.heads = heads

    def __call__(self, shape: tuple[int, ...], dtype: Any = None, **_: Any) -> Any:
        step = (_FORGET_BIAS[1] - _FORGET_BIAS[0]) / max(self.heads - 1, 1)
        forget = [_FORGET_BIAS[0] + step * head for head in range(self.heads)]
        return ops.convert_to_tensor([0.0] * self.heads + forget, dtype=dtype or "float32")

    def get_config(self) -> dict[str, Any]:
        return {"heads": self.heads}


def _linear(width: int, name: str) -> keras.layers.Dense:
    return keras.layers.Dense(width, use_bias=False, name=name)


def _layer_norm(name: str) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(center=False, epsilon=1e-5, name=name)
