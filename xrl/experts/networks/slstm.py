"""sLSTM as a Keras layer: gate inputs of all steps at once, the cell step by step, head norm.

Enters: (batch, time, units), normalised. Leaves: the same shape, or its last step alone. Source: Beck et al.
2024, arXiv:2405.04517, eqs. 15-18 and section 2.4, without the optional convolution; its feed-forward is a
branch of its own (post up-projection).
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from xrl.errors import ConfigError
from xrl.experts.networks.gates import check_width
from xrl.experts.networks.slstm_cell import (
    GATES,
    SLSTMState,
    own_head,
    signs,
    slstm_start,
    slstm_step,
    started,
)

_FORGET_BIAS = (3.0, 6.0)


@keras.saving.register_keras_serializable(package="xrl")
class SLSTM(keras.layers.Layer):
    """A memory of scalars that hears its own last output, head by head.

    Its steps are written out one after another: against a loop of the backend that takes a fifth off a
    training step and half off an answer of onnxruntime, and costs a few seconds once when a graph is traced.

    Args:
        units: width of input and output, a multiple of `heads`.
        heads: groups of units that see only each other's last output.

    Raises:
        ConfigError: `units` is not a positive multiple of `heads`.
    """

    def __init__(self, units: int, heads: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_width("units", units, heads)
        self.units, self.heads = units, heads
        self.head_norm = keras.layers.LayerNormalization(center=False, scale=False, name="head_norm")
        self._start = keras.initializers.GlorotUniform()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """One dense recurrent matrix: small products cost more than the zeros that they save."""
        units, wide = self.units, GATES * self.units
        if input_shape[-1] != units:
            raise ConfigError(f"SLSTM needs inputs of width units={units}. Received: {input_shape}")
        self.scale = self.add_weight(shape=(units,), initializer="ones", name="scale")
        self.kernel = self.add_weight(shape=(units, wide), initializer=self._start, name="kernel")
        self.recurrent = self.add_weight(shape=(units, wide), initializer="zeros", name="recurrent")
        self.bias = self.add_weight(shape=(wide,), initializer=_gate_bias(units, self.heads), name="bias")
        self.head_scale = self.add_weight(shape=(units,), initializer="ones", name="head_scale")
        self.head_norm.build((None, self.heads, units // self.heads))
        self._signs = signs(units)
        self._own_head = own_head(units, self.heads) * self._signs

    def call(self, x: Any, last: bool = False) -> Any:
        """(batch, time, units) -> the same, or with `last` (batch, 1, units), the last step of it."""
        gates, recurrent = self._gate_inputs(x), self._recurrent()  # (batch, time, 4 units)
        state, outputs = started(ops.zeros_like(gates[:, 0, : self.units])), []
        for row in ops.unstack(gates, axis=1):
            state = slstm_step(state, row, recurrent)
            outputs.append(state.output)
        return self._output(ops.stack(outputs[-1:] if last else outputs, axis=1))

    def start(self, batch: int) -> SLSTMState:
        """The state before the first of a stream of rows."""
        return slstm_start(batch, self.units)

    def step(self, x: Any, state: SLSTMState) -> tuple[Any, SLSTMState]:
        """One row (batch, units) -> (batch, units) and the state to go on from: `call`, row by row."""
        state = slstm_step(state, self._gate_inputs(x), self._recurrent())
        return self._output(state.output), state

    def _gate_inputs(self, x: Any) -> Any:
        sign = ops.convert_to_tensor(self._signs)
        return ops.matmul(x, self.scale[:, None] * self.kernel * sign) + self.bias * sign

    def _recurrent(self) -> Any:
        return self.recurrent * ops.convert_to_tensor(self._own_head)

    def _output(self, h: Any) -> Any:
        time = [int(size) for size in h.shape[1:-1]]
        by_head = ops.reshape(h, (-1, *time, self.heads, self.units // self.heads))
        return ops.reshape(self.head_norm(by_head), (-1, *time, self.units)) * self.head_scale

    def compute_output_spec(self, x: Any, last: bool = False) -> Any:
        """Said outright: else Keras would write out all steps to see what shape comes of them."""
        return keras.KerasTensor((x.shape[0], 1 if last else x.shape[1], self.units), dtype=x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "heads": self.heads}


def _gate_bias(units: int, heads: int) -> Any:
    """Forget gates start evenly over 3..6 within each head, the others at 0."""
    forget = np.tile(np.linspace(*_FORGET_BIAS, units // heads), heads)
    bias = np.concatenate([np.zeros(units), forget, np.zeros(2 * units)])
    return lambda shape, dtype=None: ops.convert_to_tensor(bias, dtype=dtype or "float32")
