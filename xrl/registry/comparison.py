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
from xrl.backtest import portfolio
from xrl.config import GateParams
from xrl.evaluation import metrics
from xrl.evaluation.significance import sharpe_differences

_COMMITTEE = list(columns.probability_columns("committee"))


class Comparison(NamedTuple):
    """What two tracks show of each other; None where nothing is common or a return is unknown."""

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
    if len(r_ours) < 2 or not np.isfinite(r_ours).all() or not np.isfinite(r_theirs).all():
        return Comparison(len(r_ours), None, None, None)
    difference = sharpe_differences(r_ours, r_theirs, params.bootstrap, params.bootstrap_seed)  # (draws,)
    return Comparison(
        days=len(r_ours),
        superior=float((difference > 0).mean()),
        inferior=float((difference < -params.refresh_sharpe_margin).mean()),
        f1_difference=_f1(ours) - _f1(theirs),
    )


def daily_returns(track: pd.DataFrame) -> NDArray[np.float64]:
    """Daily UTC returns of the track's portfolio: equal-weight sub-accounts, rebalanced monthly. (days,)"""
    return np.asarray(daily_series(track).to_numpy(np.float64))


def daily_series(track: pd.DataFrame) -> pd.Series:
    """`daily_returns` by day, UTC without a zone."""
    if track.empty:
        return pd.Series(dtype=np.float64)
    ordered = track.sort_values([columns.SYMBOL, columns.TIMESTAMP])
    times = [
        own.dt.tz_localize(None).to_numpy("datetime64[ms]")
        for _, own in ordered.groupby(columns.SYMBOL)[columns.TIMESTAMP]
    ]
    grid = portfolio.grid_of(times)
    equity = portfolio.equity_curve(ordered["net_return"].to_numpy(np.float64), grid)
    days = np.unique(grid.timestamp.astype("datetime64[D]"))
    return pd.Series(metrics.daily_returns(grid.timestamp, equity), index=pd.DatetimeIndex(days))


def flaw(track: pd.DataFrame) -> str:
    """Why no account can have had this track; "" where one can.

    A bar's return is a number and at least -1, which a liquidation leaves behind; a symbol has each bar once.
    """
    returns = track["net_return"].to_numpy(np.float64)
    if not np.isfinite(returns).all():
        return f"{int((~np.isfinite(returns)).sum())} of its returns are no numbers"
    if (returns < -1.0).any():
        return f"it loses more than there is: the lowest return of a bar is {returns.min():.4g}"
    repeated = int(track.duplicated([columns.SYMBOL, columns.TIMESTAMP]).sum())
    return f"{repeated} of its bars are there twice" if repeated else ""


def committee_confusion(track: pd.DataFrame) -> NDArray[np.float64]:
    """Confusion counts (3, 3) of the committee's class on the bars whose label has matured."""
    labelled = track.dropna(subset=[columns.LABEL])
    predicted = labelled[_COMMITTEE].to_numpy(dtype=np.float64).argmax(axis=1)
    return metrics.confusion(labelled[columns.LABEL].to_numpy(dtype=np.int64), predicted)


def _f1(track: pd.DataFrame) -> float:
    return float(metrics.f1_macro(committee_confusion(track)))
