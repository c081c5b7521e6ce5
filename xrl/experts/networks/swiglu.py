"""Gated feed-forward of an xLSTM block. Enters: (..., units), normalised. Leaves: the same shape.

Source: Shazeer 2020, "GLU Variants Improve Transformer", arXiv:2002.05202, eq. 6 and section 3.
"""

from typing import Any

import keras
from keras import ops

from xrl.errors import ConfigError


@keras.saving.register_keras_serializable(package="xrl")
class SwiGLU(keras.layers.Layer):
    """`(silu(x W) * x V) U` with two thirds of the asked width.

    Three matrices of two thirds of a width cost what the two of a plain feed-forward of that width do. The
    scale of the norm before it is a weight of this layer, as in `MLSTM`.

    Args:
        units: width of input and output.
        factor: width of the plain feed-forward that it takes the place of, in units.

    Raises:
        ConfigError: no unit would be left.
    """

    def __init__(self, units: int, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.factor = units, factor
        self.inner = round(2 / 3 * factor * units)
        if self.inner < 1:
            raise ConfigError(f"`feedforward` must leave at least one unit of {units}. Received: {factor}")
        self._starts = [keras.initializers.GlorotUniform() for _ in range(2)]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
        self.up = self.add_weight(shape=(self.units, 2 * self.inner), initializer=self._starts[0], name="up")
        self.down = self.add_weight(shape=(self.inner, self.units), initializer=self._starts[1], name="down")

    def call(self, x: Any) -> Any:
        both = ops.matmul(x, self.scale[:, None] * self.up)
        return ops.matmul(ops.silu(both[..., : self.inner]) * both[..., self.inner :], self.down)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "factor": self.factor}
