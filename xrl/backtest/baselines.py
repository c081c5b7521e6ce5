"""What a policy must beat: strategies that need no policy, and class models with a threshold rule.

Enters: a panel, signals, a policy's own targets. Leaves: target exposures and Sharpe ratios. Every rule
pays what the policy pays, through the same account step.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import njit
from xrl.account.step import Terms
from xrl.backtest.portfolio import Grid, equity_curve, sharpe_of
from xrl.backtest.replay import replay_targets
from xrl.env.market import Panel
from xrl.errors import DataError

#: Candidate thresholds, as quantiles of the signal's size on earlier folds.
QUANTILES = (0.5, 0.7, 0.8, 0.9, 0.95)
#: Moves a constant target at each month's turn, which makes the account step rebalance to it.
_NUDGE = 1e-9


class Court(NamedTuple):
    """Where all strategies meet: one market, one set of terms."""

    panel: Panel
    grid: Grid
    terms: Terms

    def equity(self, targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Portfolio equity of target exposures. (rows,) -> (bars,)"""
        return equity_curve(replay_targets(targets, self.panel, self.terms).net_return, self.grid)

    def sharpe(self, targets: NDArray[np.float64]) -> float:
        """Sharpe ratio of target exposures. (rows,)"""
        return sharpe_of(self.equity(targets), self.grid.timestamp)


def constant_targets(side: float, grid: Grid) -> NDArray[np.float64]:
    """Hold `side` times equity, rebalanced to it at each month's turn. (rows,)"""
    months = grid.month[grid.row] - grid.month[0]
    return np.asarray(side * (1.0 + _NUDGE * months), dtype=np.float64)


def random_timing(targets: NDArray[np.float64], court: Court, runs: int, seed: int) -> NDArray[np.float64]:
    """Sharpe ratios of the same targets at random times: each symbol's moved round its own circle.

    Turnover, holding times and share of longs stay; only the timing is lost. (runs,)
    """
    rng = np.random.default_rng(seed)
    found = np.empty(runs)
    for run in range(runs):
        moved = [
            np.roll(targets[start:end], rng.integers(1, max(end - start, 2)))
            for start, end in zip(court.panel.starts, court.panel.ends)
        ]
        found[run] = court.sharpe(np.concatenate(moved))
    return found


def threshold_targets(
    signal: NDArray[np.float64], threshold: NDArray[np.float64], panel: Panel
) -> NDArray[np.float64]:
    """1x with the signal beyond its row's threshold, out when its sign turns against the position. (rows,)"""
    targets = np.zeros(len(signal))
    for start, end in zip(panel.starts, panel.ends):
        _follow(targets, signal, threshold, start, end)
    return targets


def choose_threshold(signal: NDArray[np.float64], court: Court) -> float:
    """The threshold with the best Sharpe ratio on past bars; infinite, so flat, where none is positive.

    Args:
        signal: P(BUY) - P(SELL) of the past panel's rows. (rows,)
        court: the past.
    """
    best, best_sharpe = float("inf"), 0.0
    for quantile in QUANTILES:
        threshold = float(np.quantile(np.abs(signal), quantile))
        everywhere = np.full(len(signal), threshold)
        sharpe = court.sharpe(threshold_targets(signal, everywhere, court.panel))
        if sharpe > best_sharpe:
            best, best_sharpe = threshold, sharpe
    return best


def quantile_thresholds(
    signal: NDArray[np.float64],
    fold: NDArray[np.integer],
    known: Mapping[int, NDArray[np.bool_]],
    share: float,
) -> NDArray[np.float64]:
    """Each row's threshold where it is always the same quantile of what was seen before; infinite in others.

    Args:
        signal: P(BUY) - P(SELL). (rows,)
        fold: of each row. (rows,)
        known: per fold the rows that were known when it began. (rows,) each
        share: quantile of the signal's size.

    Raises:
        DataError: nothing was known when a fold began.
    """
    threshold = np.full(len(signal), np.inf)
    for number, rows in known.items():
        if not rows.any():
            raise DataError(
                f"the threshold of fold {number} needs predictions known when it began; received none. "
                "Lower `labels.embargo_bars`, or make the test spans longer (`labels.folds`)."
            )
        threshold[fold == number] = np.quantile(np.abs(signal[rows]), share)
    return threshold


def late(targets: NDArray[np.float64], panel: Panel, bars: int = 1) -> NDArray[np.float64]:
    """The same targets decided `bars` later, flat until then. (rows,)"""
    moved = np.zeros(len(targets))
    for start, end in zip(panel.starts, panel.ends):
        moved[start + bars : end] = targets[start : max(end - bars, start)]
    return moved


@njit
def _follow(
    targets: NDArray[np.float64],
    signal: NDArray[np.float64],
    threshold: NDArray[np.float64],
    start: int,
    end: int,
) -> None:
    held = 0.0
    for t in range(start, end):
        if abs(signal[t]) > threshold[t]:
            held = float(np.sign(signal[t]))
        elif held * signal[t] < 0.0:
            held = 0.0
        targets[t] = held
