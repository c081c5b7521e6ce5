"""The xLSTM stack: residual pre-norm blocks of mLSTM and sLSTM in the order that a preset names.

Sources: Beck et al. 2024, arXiv:2405.04517, section 2.4 (stacks of both, sLSTM before its feed-forward); Beck
et al. 2025, arXiv:2503.13427 (mLSTM before its feed-forward).
"""

from typing import Any

from xrl.experts.networks.attention import CausalAttention
from xrl.experts.networks.body import Body
from xrl.experts.networks.branches import Branch, branch
from xrl.experts.networks.mlstm import MLSTM
from xrl.experts.networks.slstm import SLSTM
from xrl.experts.networks.swiglu import SwiGLU
from xrl.presets import Network


def xlstm(shape: Network) -> Body:
    """Blocks in turn, `m` an mLSTM and `s` an sLSTM, each with a feed-forward as `shape.feedforward` says.

    With `shape.attention` causal self-attention stands between blocks. Asked for the newest position alone,
    the last block computes no other: an mLSTM reads every row there, but makes no queries, keys and values of
    them; an sLSTM has to go through all its steps.

    Args:
        shape: `blocks`, widths, norm, attention, residual and dropouts.
    """
    steps = [step for number in range(len(shape.blocks)) for step in _block(shape, number)]
    after = 1 if shape.feedforward else 0  # branches behind the last memory
    before, memory, forward = steps[: -1 - after], steps[-1 - after], steps[len(steps) - after :]

    def every(hidden: Any) -> Any:
        for step in steps:
            hidden = step(hidden)
        return hidden

    def last(hidden: Any) -> Any:
        for step in before:
            hidden = step(hidden)
        hidden = memory(hidden, last=True)  # (batch, 1, units)
        for step in forward:
            hidden = step(hidden)
        return hidden[:, 0, :]

    return Body(every, last)


def _block(shape: Network, number: int) -> list[Branch]:
    """Attention to the blocks before, if asked for; a memory; a feed-forward, if asked for."""
    branches = []
    if number and shape.attention:
        attention = CausalAttention(shape.units, shape.heads, name=f"attention_{number}")
        branches.append(branch(attention, shape, f"attention_{number}"))
    branches.append(_memory(shape, number))
    if shape.feedforward:
        forward = SwiGLU(shape.units, shape.feedforward, name=f"forward_{number}")
        branches.append(branch(forward, shape, f"forward_{number}", scale=False))
    return branches


def _memory(shape: Network, number: int) -> Branch:
    if shape.blocks[number] == "s":
        name = f"slstm_{number}"
        return branch(SLSTM(shape.units, shape.heads, name=name), shape, name, scale=False)
    name = f"mlstm_{number}"
    memory = MLSTM(shape.units, shape.memory_size, shape.heads, name=name)
    return branch(memory, shape, name, scale=False)
