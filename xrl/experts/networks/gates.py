"""Gates of xLSTM cells: their cap, their start, and a width check. Sources: see `mlstm_cell`."""

from typing import Any

import keras
from keras import ops

from xrl.errors import ConfigError

_CAP = 15.0
_FORGET_BIAS = (3.0, 6.0)


def soft_cap(x: Any, cap: float = _CAP) -> Any:
    """`cap tanh(x / cap)`: the identity near zero, never beyond +-cap."""
    return cap * ops.tanh(x / cap)


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


def check_width(name: str, width: int, heads: int) -> None:
    """Refuse a width that heads cannot share.

    Raises:
        ConfigError: `width` is not a positive multiple of `heads`.
    """
    if width <= 0 or width % heads:
        raise ConfigError(f"`{name}` must be a positive multiple of heads={heads}. Received: {width}")
