"""mLSTM as a Keras layer: fused projections, the cell, head norm, output gate.

Enters: (batch, time, units), normalised. Leaves: the same shape, or its last step alone. A model saved on
one backend loads on another. Source of wiring and gate caps: Beck et al. 2025, "xLSTM 7B", arXiv:2503.13427.
"""

import math
from itertools import accumulate
from typing import Any

import keras
from keras import ops

from xrl.errors import ConfigError
from xrl.experts.networks.gates import GateBias, check_width, soft_cap
from xrl.experts.networks.mlstm_cell import MLSTMState, mlstm, mlstm_newest, mlstm_start, mlstm_step

_CACHE_LINE = 16  # floats


@keras.saving.register_keras_serializable(package="xrl")
class MLSTM(keras.layers.Layer):
    """A memory of matrices, one a head, each with its own gates.

    The scales of the norm before it and of the head norm are weights of this layer and multiply its kernels
    (`(s x) W = x (s W)`), which saves passes over the activations.

    Args:
        units: width of input, values and output, a multiple of `heads`.
        memory_size: width of queries and keys over all heads, a multiple of `heads`.
        heads: number of independent memories.

    Raises:
        ConfigError: a width is not a positive multiple of `heads`.
    """

    def __init__(self, units: int, memory_size: int, heads: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_width("units", units, heads)
        check_width("memory_size", memory_size, heads)
        self.units, self.memory_size, self.heads = units, memory_size, heads
        self.head_norm = keras.layers.LayerNormalization(center=False, scale=False, name="head_norm")
        # Their seeds are drawn here: a layer's weights do not depend on when it is built.
        self._start, self._output_start = (keras.initializers.GlorotUniform() for _ in range(2))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        units, heads = self.units, self.heads
        if input_shape[-1] != units:
            raise ConfigError(f"MLSTM needs inputs of width units={units}. Received: {input_shape}")
        ones, zeros = {"initializer": "ones"}, {"initializer": "zeros"}
        self.scale = self.add_weight(shape=(units,), name="scale", **ones)
        self.kernel = self.add_weight(
            shape=(units, 2 * self.memory_size + 2 * units), initializer=self._start, name="kernel"
        )
        self.gate_kernel = self.add_weight(shape=(units, 2 * heads), name="gate_kernel", **zeros)
        self.gate_bias = self.add_weight(shape=(2 * heads,), initializer=GateBias(heads), name="gate_bias")
        self.head_scale = self.add_weight(shape=(units,), name="head_scale", **ones)
        self.output_kernel = self.add_weight(
            shape=(units, units), initializer=self._output_start, name="output_kernel"
        )
        self.head_norm.build((None, heads, units // heads))

    def call(self, x: Any, last: bool = False) -> Any:
        """(batch, time, units) -> the same, or with `last` (batch, 1, units), the last step of it."""
        return self._newest(x) if last else self._every(x)

    def start(self, batch: int) -> MLSTMState:
        """The state before the first of a stream of rows."""
        heads = self.heads
        return mlstm_start(batch, heads, self.memory_size // heads, self.units // heads)

    def step(self, x: Any, state: MLSTMState) -> tuple[Any, MLSTMState]:
        """One row (batch, units) -> (batch, units) and the state to go on from: `call`, row by row."""
        q, k, v, o, gates = self._parts(ops.matmul(x, self._kernel()))
        i, f = ops.split(soft_cap(gates + self.gate_bias), 2, axis=-1)
        q, k, v = (self._by_head(part) for part in (q, k, v))
        h, state = mlstm_step(state, q, k, v, i, f)
        return self._output(h, o), state

    def _every(self, x: Any) -> Any:
        q, k, v, o, gates = self._parts(ops.matmul(x, self._kernel()))
        i, f = self._capped(ops.transpose(gates, (0, 2, 1)))
        q, k, v = (ops.transpose(self._by_head(part), (0, 2, 1, 3)) for part in (q, k, v))
        h = ops.transpose(mlstm(q, k, v, i, f), (0, 2, 1, 3))  # (batch, time, heads, value width)
        return self._output(h, o)

    def _newest(self, x: Any) -> Any:
        query, key, value, output, gate = self._parts(self._kernel())
        now = x[:, -1, :]
        q = self._by_head(ops.matmul(now, query)) / math.sqrt(self.memory_size // self.heads)
        # (q' K') x_j is q' (x_j K): one product reads each row for scores and gates, and no key is made.
        asked = _times(q, ops.transpose(self._by_head(key), (1, 2, 0)))  # (batch, heads, units)
        asked = ops.concatenate([asked, ops.transpose(gate) + ops.zeros_like(asked[:, :1])], axis=1)
        found = ops.matmul(asked, ops.transpose(x, (0, 2, 1)))  # (batch, 3 heads, time)
        i, f = self._capped(found[:, self.heads :])
        mixed = mlstm_newest(found[:, : self.heads], x, i, f)
        h = _times(mixed, ops.transpose(self._by_head(value), (1, 0, 2)))
        return ops.expand_dims(self._output(h, ops.matmul(now, output)), 1)

    def _kernel(self) -> Any:
        """Of queries, keys, values, output gate, input and forget gates, the norm's scale in it.

        Filled up with zeros to whole cache lines: XLA reads slices of unaligned rows three times slower.
        """
        missing = -self._ends()[-1] % _CACHE_LINE
        filling = [ops.zeros((self.units, missing))] if missing else []
        return self.scale[:, None] * ops.concatenate([self.kernel, self.gate_kernel, *filling], axis=-1)

    def _ends(self) -> list[int]:
        """Column of `_kernel` after queries, keys, values, output gate, gates."""
        return list(accumulate([self.memory_size] * 2 + [self.units] * 2 + [2 * self.heads]))

    def _parts(self, x: Any) -> list[Any]:
        """What `_kernel` has side by side along the last axis: q, k, v, o, gates."""
        ends = self._ends()
        return list(ops.split(x, ends if -ends[-1] % _CACHE_LINE else ends[:-1], axis=-1))[:5]

    def _capped(self, raw: Any) -> tuple[Any, Any]:
        """(batch, 2 heads, time) -> input and forget gates (batch, heads, time)."""
        i, f = ops.split(soft_cap(raw + self.gate_bias[:, None]), 2, axis=1)
        return i, f

    def _by_head(self, x: Any) -> Any:
        """(..., width) -> (..., heads, width / heads)."""
        return ops.reshape(x, (*_leading(x), self.heads, int(x.shape[-1]) // self.heads))

    def _output(self, h: Any, gate: Any) -> Any:
        """(..., heads, value width), (..., units) -> (..., units)."""
        h = ops.reshape(self.head_norm(h), (*_leading(gate), self.units))
        return ops.matmul(h * ops.sigmoid(gate), self.head_scale[:, None] * self.output_kernel)

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "memory_size": self.memory_size, "heads": self.heads}
        return {**super().get_config(), **own}


def _times(x: Any, kernel: Any) -> Any:
    """(batch, heads, in) times each head's own (heads, in, out): (batch, heads, out)."""
    return ops.transpose(ops.matmul(ops.transpose(x, (1, 0, 2)), kernel), (1, 0, 2))


def _leading(x: Any) -> tuple[int, ...]:
    """Every axis but the last, the batch left open."""
    return (-1, *(int(size) for size in x.shape[1:-1]))
