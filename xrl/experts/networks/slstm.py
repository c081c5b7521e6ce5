"""sLSTM: scalar memories with exponential gates whose heads mix their own outputs, step by step.

Enters: (batch, time, units), normalised. Leaves: the same shape, or its last step alone. Source: Beck et al.
2024, "xLSTM: Extended Long Short-Term Memory", arXiv:2405.04517, eqs. 8-18, without the optional convolution;
its feed-forward is a branch of its own (post up-projection).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from xrl.errors import ConfigError
from xrl.experts.networks.gates import check_width

_NEVER = -1e30  # stabiliser before the first step; at 0 a closed first input gate would give 0 / 0
_GATES = 4  # input, forget, cell input z, output, in this order
_FORGET_BIAS = (3.0, 6.0)


@keras.saving.register_keras_serializable(package="xrl")
class SLSTMCell(keras.layers.Layer):
    """One step from gate inputs, which are projected before the loop.

    States are h, c, n and m, each (batch, units). The value does not depend on the stabiliser m, which only
    keeps exponents small, so its gradient is cut.

    Args:
        units: width, a multiple of `heads`.
        heads: groups of units that see only each other's last output.
    """

    def __init__(self, units: int, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_width("units", units, heads)
        self.units, self.heads = units, heads
        self.state_size = [units] * 4
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """One dense matrix: a batched product of small blocks is slower than the zeros it would save."""
        self.recurrent = self.add_weight(
            shape=(self.units, _GATES * self.units), initializer="zeros", name="recurrent"
        )
        self._blocks = _own_head(self.units, self.heads)

    def call(self, x: Any, states: Sequence[Any], training: bool | None = None) -> tuple[Any, list[Any]]:
        """(batch, 4 units) and the states -> (batch, units) and the states."""
        h, c, n, m = states
        i, f, z, o = ops.split(x + ops.matmul(h, self.recurrent * self._blocks), _GATES, axis=-1)
        kept = m - ops.softplus(-f)  # log sigmoid f + m
        m = ops.stop_gradient(ops.maximum(kept, i))
        kept, entered = ops.exp(kept - m), ops.exp(i - m)
        c = kept * c + entered * ops.tanh(z)
        n = kept * n + entered  # never below 1: the larger of both exponents is 0
        h = ops.sigmoid(o) * c / n
        return h, [h, c, n, m]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Nothing remembered, a stabiliser below every gate."""
        zeros = [ops.zeros((batch_size, self.units)) for _ in range(3)]
        return [*zeros, ops.full((batch_size, self.units), _NEVER)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "heads": self.heads}


@keras.saving.register_keras_serializable(package="xrl")
class SLSTM(keras.layers.Layer):
    """Gate inputs of all steps at once, the cell step by step, head norm.

    Args:
        units: width of input and output, a multiple of `heads`.
        heads: groups of units that see only each other's last output.

    Raises:
        ConfigError: `units` is not a positive multiple of `heads`.
    """

    def __init__(self, units: int, heads: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.heads = units, heads
        self.cell = SLSTMCell(units, heads, name="cell")
        self.recurrence = keras.layers.RNN(self.cell, return_sequences=True, name="recurrence")
        self.head_norm = keras.layers.LayerNormalization(center=False, scale=False, name="head_norm")
        self._start = keras.initializers.GlorotUniform()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        units, wide = self.units, _GATES * self.units
        if input_shape[-1] != units:
            raise ConfigError(f"SLSTM needs inputs of width units={units}. Received: {input_shape}")
        self.scale = self.add_weight(shape=(units,), initializer="ones", name="scale")
        self.kernel = self.add_weight(shape=(units, wide), initializer=self._start, name="kernel")
        self.bias = self.add_weight(shape=(wide,), initializer=_gate_bias(units, self.heads), name="bias")
        self.head_scale = self.add_weight(shape=(units,), initializer="ones", name="head_scale")
        self.recurrence.build((input_shape[0], input_shape[1], wide))
        self.head_norm.build((None, self.heads, units // self.heads))

    def call(self, x: Any, last: bool = False) -> Any:
        """(batch, time, units) -> the same, or with `last` (batch, 1, units), the last step of it."""
        h = self.recurrence(self._gate_inputs(x))  # (batch, time, units)
        return self._output(h[:, -1:, :] if last else h)

    def start(self, batch: int) -> list[Any]:
        """The states before the first of a stream of rows."""
        return self.cell.get_initial_state(batch)

    def step(self, x: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """One row (batch, units) -> (batch, units) and the states to go on from: `call`, row by row."""
        h, found = self.cell(self._gate_inputs(x), states)
        return self._output(h), found

    def _gate_inputs(self, x: Any) -> Any:
        return ops.matmul(x, self.scale[:, None] * self.kernel) + self.bias

    def _output(self, h: Any) -> Any:
        time = [int(size) for size in h.shape[1:-1]]
        by_head = ops.reshape(h, (-1, *time, self.heads, self.units // self.heads))
        return ops.reshape(self.head_norm(by_head), (-1, *time, self.units)) * self.head_scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "heads": self.heads}


def _own_head(units: int, heads: int) -> NDArray[np.float32]:
    """(units, 4 units), 1 where a unit's output reaches a gate of its own head."""
    head = np.arange(units) // (units // heads)
    return np.tile(head[:, None] == head, (1, _GATES)).astype(np.float32)


def _gate_bias(units: int, heads: int) -> Any:
    """Forget gates start evenly over 3..6 within each head, the others at 0."""
    forget = np.tile(np.linspace(*_FORGET_BIAS, units // heads), heads)
    bias = np.concatenate([np.zeros(units), forget, np.zeros(2 * units)])
    return lambda shape, dtype=None: ops.convert_to_tensor(bias, dtype=dtype or "float32")
