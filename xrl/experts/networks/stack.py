"""The xLSTM stack: blocks of mLSTM and sLSTM in the order that a preset names."""

from xrl.experts.networks.body import Body, in_turn
from xrl.experts.networks.mlstm import MLSTMBlock
from xrl.presets import Network


def xlstm(shape: Network) -> Body:
    """Blocks in turn, `m` an mLSTM.

    Args:
        shape: `blocks`, widths and dropouts.
    """
    return in_turn(*(_mlstm(shape, number) for number in range(len(shape.blocks))))


def _mlstm(shape: Network, number: int) -> MLSTMBlock:
    return MLSTMBlock(
        shape.units,
        shape.memory_size,
        shape.heads,
        shape.feedforward,
        shape.dropout,
        name=f"mlstm_{number}",
    )
