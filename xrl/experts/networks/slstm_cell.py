"""sLSTM cell: scalar memories with exponential gates, one step. keras.ops only.

Source: Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", arXiv:2405.04517, eqs. 8-14. The paper
keeps a cell c, a normaliser n and a stabiliser m, and divides c by n. Here r = c / n and l = log n + m, the
log of the normaliser without its stabiliser, are kept instead: exponentials are taken inside sigmoid and
softplus alone, so neither a value nor a gradient can overflow.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

GATES = 4  # i, -f, z, o: input, forget (its negative), cell input, output
_NEVER = -1e30  # log of a normaliser that is 0


class SLSTMState(NamedTuple):
    """What an sLSTM remembers after a step, (..., units) each."""

    output: Any  # h
    ratio: Any  # r = c / n, between -1 and 1
    weight: Any  # l, the log of the normaliser


def slstm_start(batch: int, units: int) -> SLSTMState:
    """The state before the first step: nothing remembered."""
    return started(ops.zeros((batch, units)))


def started(zeros: Any) -> SLSTMState:
    """As `slstm_start`, in the shape of `zeros`, whose batch may be unknown."""
    return SLSTMState(zeros, zeros, zeros + _NEVER)


def slstm_step(state: SLSTMState, gates: Any, recurrent: Any) -> SLSTMState:
    """One step; its `output` is what is read out, before head norm.

    `c' / n' = (f c + i z) / (f n + i)` lies between `c / n` and z: with `b = log(f n) - log i` it is
    `z + sigmoid(b) (c / n - z)`, and `log n' = log i + log(1 + e^b)`.

    Args:
        state: after the step before.
        gates: (..., 4 units) pre-activations i, -f, z, o that the row gives. f comes with the other sign, for
            `log sigmoid f = -softplus(-f)` and a sign costs nothing in a weight, but a pass here.
        recurrent: (units, 4 units) what the last output adds to them; 0 between heads.
    """
    i, not_f, z, o = ops.split(gates + ops.matmul(state.output, recurrent), GATES, axis=-1)
    kept = state.weight - ops.softplus(not_f) - i  # b
    z = ops.tanh(z)
    ratio = z + ops.sigmoid(kept) * (state.ratio - z)
    return SLSTMState(ops.sigmoid(o) * ratio, ratio, i + ops.softplus(kept))


def signs(units: int) -> NDArray[np.float32]:
    """(4 units,), -1 for the forget gates."""
    return np.repeat(np.array([1, -1, 1, 1], np.float32), units)


def own_head(units: int, heads: int) -> NDArray[np.float32]:
    """(units, 4 units), 1 where a unit's output reaches a gate of its own head."""
    head = np.arange(units) // (units // heads)
    return np.tile(head[:, None] == head, (1, GATES)).astype(np.float32)
