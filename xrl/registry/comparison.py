"""Challenger against champion on the bars that both saw out of sample. Pure.

Enters: two tracks (`stages/backtest/track.parquet`). Leaves: how probable it is that one is better, by a
paired stationary bootstrap of daily portfolio returns (Politis and Romano 1994): both are drawn on the same
days, so what moves them together cancels.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import GateParams

_DAYS_OF_A_YEAR = 365
#: Mean length of a bootstrap block: a week, longer than a 20-bar label and most positions.
_BLOCK_DAYS = 7.0
_COMMITTEE = list(columns.probability_columns("committee"))


class Comparison(NamedTuple):
    """What two tracks show of each other; None where nothing is common."""

    days: int  # common days
    superior: float | None  # P(Sharpe difference > 0)
    inferior: float | None  # P(Sharpe difference < -margin)
    f1_difference: float | None  # challenger - champion


def compare_tracks(challenger: pd.DataFrame, champion: pd.DataFrame, params: GateParams) -> Comparison:
    """Compare two tracks on their common bars; the margin is `params.refresh_sharpe_margin`."""
    keys = [columns.SYMBOL, columns.TIMESTAMP]
    common = challenger[keys].merge(champion[keys], on=keys)
    ours, theirs = (common.merge(track, on=keys) for track in (challenger, champion))
    r_ours, r_theirs = daily_returns(ours), daily_returns(theirs)
    days = len(r_ours)
    if days < 2:
        return Comparison(days, None, None, None)
    rng = np.random.default_rng(params.bootstrap_seed)
    draws = stationary_indices(days, _BLOCK_DAYS, params.bootstrap, rng)  # (draws, days)
    difference = sharpe(r_ours[draws]) - sharpe(r_theirs[draws])  # (draws,)
    superior = float((difference > 0).mean())
    inferior = float((difference < -params.refresh_sharpe_margin).mean())
    return Comparison(days, superior, inferior, f1_macro(ours) - f1_macro(theirs))


def daily_returns(track: pd.DataFrame) -> NDArray[np.float64]:
    """Daily UTC returns of equal-weight sub-accounts, rebalanced monthly. (days,)

    `track` holds symbol, timestamp and `net_return`, each sub-account's return in the bar.
    """
    wide = track.pivot(index=columns.TIMESTAMP, columns=columns.SYMBOL, values="net_return").fillna(0.0)
    if wide.empty:
        return np.empty(0)
    equity, curves = 1.0, []
    for _, month in (1.0 + wide).groupby(wide.index.strftime("%Y-%m")):
        curves.append(equity * month.cumprod().mean(axis=1))
        equity = float(curves[-1].iloc[-1])
    curve = pd.concat(curves)
    closes = curve.groupby(curve.index.floor("D")).last().to_numpy(dtype=np.float64)
    before = np.concatenate([[1.0], closes[:-1]])
    return np.asarray(closes / before - 1.0)


def sharpe(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Yearly Sharpe ratio of daily returns along the last axis; 0 where nothing moves."""
    spread = returns.std(axis=-1, ddof=1)
    ratio = np.divide(returns.mean(axis=-1), spread, out=np.zeros_like(spread), where=spread > 0)
    return np.asarray(ratio * np.sqrt(_DAYS_OF_A_YEAR))


def stationary_indices(
    count: int, mean_block: float, draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Row numbers of a stationary bootstrap, blocks of geometric length wrapping around. (draws, count)"""
    starts = rng.integers(count, size=(draws, count))
    is_new = rng.random((draws, count)) < 1.0 / mean_block
    is_new[:, 0] = True
    steps = np.arange(count)
    begun = np.maximum.accumulate(np.where(is_new, steps, 0), axis=1)  # step at which the block began
    return (np.take_along_axis(starts, begun, axis=1) + steps - begun) % count


def f1_macro(track: pd.DataFrame) -> float:
    """F1 macro of the committee on the bars whose label has matured; 0 where none has."""
    labelled = track.dropna(subset=[columns.LABEL])
    predicted = labelled[_COMMITTEE].to_numpy().argmax(axis=1) if len(labelled) else np.empty(0)
    true = labelled[columns.LABEL].to_numpy()
    scores = []
    for index in range(len(columns.CLASSES)):
        hits = float(((predicted == index) & (true == index)).sum())
        named = float((predicted == index).sum() + (true == index).sum())
        scores.append(2 * hits / named if named else 0.0)
    return sum(scores) / len(scores)
