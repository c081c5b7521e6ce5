"""CNN-LSTM hybrid, version 2: convolutions see shapes, LSTMs remember them, attention looks back at both.

Enters: (batch, time, units). Leaves: the same. Source: product document M5: residual connections, attention
with 4 heads, layer norm, GELU.
"""

import keras

from xrl.experts.networks.attention import CausalAttention
from xrl.experts.networks.body import Body, Layer, in_turn
from xrl.experts.networks.branches import branch, feedforward, gelu
from xrl.experts.networks.lstm import memory
from xrl.presets import Network

HEADS = 4
_KERNEL = 3  # bars


def cnn_lstm(shape: Network) -> Body:
    """Causal convolutions, then LSTMs, `shape.blocks` counting each; then attention and feed-forward.

    The convolutions widen their step with each layer (1, 2, 4, ... bars). Attention has its own four heads
    and stands whatever `shape.heads` and `shape.attention` say.

    Raises:
        ConfigError: `shape.units` is no multiple of 4.
    """
    count = len(shape.blocks)
    attention = CausalAttention(shape.units, HEADS, name="attention")
    return in_turn(
        *(_convolution(shape, number) for number in range(count)),
        *(memory(shape, number) for number in range(count)),
        branch(attention, shape, "attention"),
        *feedforward(shape, "forward"),
    )


def _convolution(shape: Network, number: int) -> Layer:
    """Each bar and the two before it at distance `2 ** number`, through GELU and a projection."""
    seen = keras.layers.Conv1D(
        shape.units, _KERNEL, padding="causal", dilation_rate=2**number, activation=gelu, name=f"cnn_{number}"
    )
    project = keras.layers.Dense(shape.units, name=f"cnn_{number}_projection")
    return branch(lambda x: project(seen(x)), shape, f"cnn_{number}")
