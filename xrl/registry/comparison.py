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
from xrl.evaluation import metrics
from xrl.evaluation.significance import sharpe_differences

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
    r_ours, r_theirs = daily_returns(ours), daily_returns(theirs)  # (days,)
    if len(r_ours) < 2:
        return Comparison(len(r_ours), None, None, None)
    difference = sharpe_differences(r_ours, r_theirs, params.bootstrap, params.bootstrap_seed)  # (draws,)
    return Comparison(
        days=len(r_ours),
        superior=float((difference > 0).mean()),
        inferior=float((difference < -params.refresh_sharpe_margin).mean()),
        f1_difference=_f1(ours) - _f1(theirs),
    )


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


def committee_confusion(track: pd.DataFrame) -> NDArray[np.float64]:
    """Confusion counts (3, 3) of the committee's class on the bars whose label has matured."""
    labelled = track.dropna(subset=[columns.LABEL])
    predicted = labelled[_COMMITTEE].to_numpy(dtype=np.float64).argmax(axis=1)
    return metrics.confusion(labelled[columns.LABEL].to_numpy(dtype=np.int64), predicted)


def _f1(track: pd.DataFrame) -> float:
    return float(metrics.f1_macro(committee_confusion(track)))
