"""The xLSTM stack: mLSTM blocks in turn, with attention between them where a preset says so."""

from xrl.errors import ConfigError
from xrl.experts.networks.attention import CausalAttention
from xrl.experts.networks.body import Body, Layer, in_turn
from xrl.experts.networks.branches import branch
from xrl.experts.networks.mlstm import MLSTMBlock
from xrl.presets import Network


def xlstm(shape: Network) -> Body:
    """One mLSTM block for each of `shape.blocks`.

    Args:
        shape: widths, dropouts, blocks and attention.

    Raises:
        ConfigError: an option that these blocks do not have.
    """
    _check(shape)
    layers: list[Layer] = []
    for number in range(len(shape.blocks)):
        if number and shape.attention:
            attention = CausalAttention(shape.units, shape.heads, name=f"attention_{number}")
            layers.append(branch(attention, shape, f"attention_{number}"))
        layers.append(_mlstm(shape, number))
    return in_turn(*layers)


def _check(shape: Network) -> None:
    lacking = {
        "blocks": "s" in shape.blocks,
        "norm": shape.norm != "layer",
        "residual": not shape.residual,
        "dropout_mask": shape.dropout_mask != "bar",
    }
    for name, lacks in lacking.items():
        if lacks:
            raise ConfigError(
                "xLSTM experts are mLSTM blocks (`m`) with layer norm, residual connections and dropout by "
                f"bar; received `network.{name}: {getattr(shape, name)}`. Take another value, or another "
                "`network.architecture`."
            )


def _mlstm(shape: Network, number: int) -> MLSTMBlock:
    return MLSTMBlock(
        shape.units,
        shape.memory_size,
        shape.heads,
        shape.feedforward,
        shape.dropout,
        name=f"mlstm_{number}",
    )
