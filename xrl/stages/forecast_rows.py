"""What the forecast learns from: windows of six-hour bars of every symbol, and the bar after each.

Enters: stages/snapshot and the folds. Leaves: series, windows' ends and their outcomes. The label of a window
is the next six-hour bar's log return, known when that bar closes; what only a holdout tells stays unknown.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import DataError
from xrl.features import longbars
from xrl.features.longbars import STEP_MS, LongBars
from xrl.labels import folds, holdout
from xrl.labels.folds import Fold, Refit
from xrl.labels.holdout import Span
from xrl.paths import Paths

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ForecastRows:
    """Windows of all symbols, symbol by symbol, in time order.

    Attributes:
        series: (n, 7) of `longbars`, one symbol's bars after another's.
        ends: (m,) row of `series` that ends each window.
        table: (m,) symbol, timestamp (open of the window's newest bar), close, forward_return (log return of
            the bar after it, NaN where unknown), score (the same), label_end and horizon_end (close of that
            bar).
    """

    series: NDArray[np.float64]
    ends: NDArray[np.int64]
    table: pd.DataFrame

    @property
    def outcome(self) -> NDArray[np.float64]:
        """(m,) log return of the bar after each window, NaN where unknown."""
        return np.asarray(self.table[columns.FORWARD_RETURN].to_numpy(np.float64))

    def training(self, span: Fold | Refit) -> NDArray[np.int64]:
        """Windows that train `span`: the outcome is known by its end. Their numbers, ascending."""
        return np.flatnonzero(folds.train_mask(self.table, span))

    def testing(self, fold: Fold) -> NDArray[np.int64]:
        """Windows whose newest bar opens in the fold's test span, numbers ascending."""
        return np.flatnonzero(folds.test_mask(self.table, fold))


def read_rows(paths: Paths) -> ForecastRows:
    """Read the bars and lay the windows.

    Raises:
        DataError: an earlier stage has not run, or the history is too short for a window.
    """
    if not paths.bars.is_file():
        raise DataError(f"no bars at {paths.bars}; run `xrl snapshot`")
    return forecast_rows(pd.read_parquet(paths.bars), folds.load_holdout(paths.folds))


def forecast_rows(bars: pd.DataFrame, held: Span | None) -> ForecastRows:
    """Windows of `bars` (symbol and columns.BAR), outcomes within the holdout unknown.

    Raises:
        DataError: no symbol has the hours of one window.
    """
    found = {
        str(symbol): longbars.long_bars(own[list(columns.CANDLE)].reset_index(drop=True))
        for symbol, own in bars.groupby(columns.SYMBOL, sort=False)
    }
    ends = {symbol: longbars.window_ends(own) for symbol, own in found.items()}
    if not any(len(own) for own in ends.values()):
        raise DataError(
            f"a forecast reads {longbars.REQUIRED_HOURS} hours without a gap; no symbol has them. Take more "
            "days (`snapshot.days`) or set `forecast.enabled: false`."
        )
    starts = np.cumsum([0, *(len(own.open_ms) for own in found.values())])
    table = pd.concat([_labelled(symbol, own, ends[symbol]) for symbol, own in found.items()])
    return ForecastRows(
        np.concatenate([own.series for own in found.values()]),
        np.concatenate([own + start for own, start in zip(ends.values(), starts)]),
        holdout.sealed(table.reset_index(drop=True), held),
    )


def split_tail(rows: ForecastRows, training: NDArray[np.int64], share: float) -> tuple[Mask, Mask]:
    """Of training windows those to learn from and the last `share` of them, purged by their own label's end.

    Returns:
        Two masks over `training`.
    """
    opens = rows.table[columns.TIMESTAMP].iloc[training]
    if opens.empty:
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    ordered = opens.sort_values()
    boundary = ordered.iloc[min(int(len(ordered) * (1.0 - share)), len(ordered) - 1)]
    known = (rows.table[columns.LABEL_END].iloc[training] <= boundary).to_numpy(dtype=bool)
    return known, (opens >= boundary).to_numpy(dtype=bool)


def _labelled(symbol: str, bars: LongBars, ends: NDArray[np.int64]) -> pd.DataFrame:
    close, open_ms = np.append(bars.close, np.nan), np.append(bars.open_ms, -1)
    follows = open_ms[ends + 1] == open_ms[ends] + STEP_MS
    outcome = np.where(follows, np.log(close[ends + 1] / close[ends]), np.nan)
    label_end = pd.to_datetime(open_ms[ends] + 2 * STEP_MS, unit="ms", utc=True).astype(columns.TIME_DTYPE)
    return pd.DataFrame(
        {
            columns.SYMBOL: symbol,
            columns.TIMESTAMP: pd.to_datetime(open_ms[ends], unit="ms", utc=True).astype(columns.TIME_DTYPE),
            columns.CLOSE: bars.close[ends],
            columns.FORWARD_RETURN: outcome,
            columns.SCORE: outcome,
            columns.LABEL_END: label_end.where(follows),
            columns.HORIZON_END: label_end.where(follows),
        }
    )
