"""Causal Transformer with pre-norm and rotary positions. Enters: (batch, time, units). Leaves: the same.

Sources: Vaswani et al. 2017, arXiv:1706.03762; Xiong et al. 2020, "On Layer Normalization in the Transformer
Architecture", arXiv:2002.04745 (pre-norm); Su et al. 2021, arXiv:2104.09864 (positions).
"""

from xrl.experts.networks.attention import CausalAttention
from xrl.experts.networks.body import Body, Layer, in_turn
from xrl.experts.networks.branches import branch, feedforward
from xrl.presets import Network


def transformer(shape: Network) -> Body:
    """Attention of `shape.heads` heads, then feed-forward as `shape.feedforward` says, for each block.

    Raises:
        ConfigError: `shape.units` is no multiple of twice `shape.heads`.
    """
    layers: list[Layer] = []
    for number in range(len(shape.blocks)):
        attention = CausalAttention(shape.units, shape.heads, rotary=True, name=f"attention_{number}")
        layers.append(branch(attention, shape, f"attention_{number}"))
        layers.extend(feedforward(shape, f"forward_{number}"))
    return in_turn(*layers)
