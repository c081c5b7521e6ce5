"""Does choosing the best backtest choose anything? Enters: returns of every candidate. Leaves: a probability.
Pure.

Combinatorially symmetric cross-validation: the days are cut into blocks; every half of the blocks chooses the
best candidate, which is then ranked on the other half. Where the choice is luck, it lands anywhere.
Source: Bailey, Borwein, López de Prado & Zhu (2015), "The probability of backtest overfitting".
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.evaluation.metrics import Array

#: 12,870 ways to take half of them.
BLOCKS = 16
#: A variance below this share of the mean square is rounding.
_FLAT = 1e-12


class Overfitting(NamedTuple):
    """What choosing by the past is worth."""

    probability: float  # that the chosen candidate is no better than the median afterwards
    logits: Array  # (splits,) of its relative rank afterwards
    chosen_sharpe: float  # mean Sharpe ratio a day of the choice on the half that chose it
    kept_sharpe: float  # and on the other half
    loss_probability: float  # that the latter is negative


def probability_of_overfitting(returns: Array, blocks: int = BLOCKS) -> Overfitting:
    """Judge the choice of the candidate with the largest Sharpe ratio.

    Args:
        returns: (days, candidates) on common days, at least two candidates.
        blocks: an even number of equal blocks; the days left over at the start are not used.

    Raises:
        DataError: too few candidates, blocks or days, or a return is not finite.
    """
    days, count = returns.shape
    length = days // blocks
    if count < 2 or blocks < 2 or blocks % 2 or length < 2 or not np.isfinite(returns).all():
        raise DataError(
            "needs at least 2 candidates with finite returns and an even number of blocks of 2 days or more; "
            f"received {days} days of {count} candidates for {blocks} blocks"
        )
    used = returns[days - blocks * length :].reshape(blocks, length, count)
    sums, squares = used.sum(axis=1), (used**2).sum(axis=1)  # (blocks, candidates)
    chosen = _halves(blocks)  # (splits, blocks)
    size = length * blocks // 2
    before = _sharpe(chosen @ sums, chosen @ squares, size)  # (splits, candidates)
    after = _sharpe(~chosen @ sums, ~chosen @ squares, size)
    best = before.argmax(axis=1)
    rows = np.arange(len(chosen))
    kept = after[rows, best]
    below = (after < kept[:, None]).sum(axis=1) + 0.5 * ((after == kept[:, None]).sum(axis=1) - 1)
    rank = (below + 1.0) / (count + 1.0)
    logits = np.log(rank / (1.0 - rank))
    return Overfitting(
        float((logits <= 0).mean()), logits, float(before[rows, best].mean()), float(kept.mean()),
        float((kept < 0).mean()),
    )  # fmt: skip


def _halves(blocks: int) -> NDArray[np.bool_]:
    """Every way to take half of the blocks, (splits, blocks)."""
    found = np.array(list(combinations(range(blocks), blocks // 2)))
    taken = np.zeros((len(found), blocks), dtype=bool)
    np.put_along_axis(taken, found, True, axis=1)
    return taken


def _sharpe(total: Array, square: Array, days: int) -> Array:
    """Sharpe ratio a day from sums of returns and of their squares; 0 where returns are constant."""
    mean = total / days
    variance = (square - days * mean**2) / (days - 1)
    flat = variance <= _FLAT * square / days
    return np.asarray(np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance))))
