"""What the six-hour forecast reads: 60 closed bars of 6 hours by 7 columns, all relative to the newest bar.

Enters: one symbol's hourly candles. Leaves: its bars of 6 hours, seven series, windows of them. Bars are cut
at 00:00, 06:00, 12:00 and 18:00 UTC; one is known when its last hour has closed, and one that lacks an hour
does not exist.

    column           in a window
    close            log of the bar's close / newest close
    volume           bar's volume / mean volume of the window; 1 without any volume
    high, low        log of the bar's high, low / newest close
    rsi              RSI of 14 bars, 0..100
    ema_fast         log of the mean of 12 bars / newest close
    ema_slow         log of the mean of 26 bars / newest close

Nothing absolute enters: a coin at ten times the price or traded in another unit gives the same window. RSI is
Cutler's (plain means of 14 changes, 50 if the price stands still) and an exponential mean ends after twice
its bars, its weights made to sum to 1: with Wilder's endless ones a request would have to bring 2,400 hours.
Source: product document M5.
"""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.features.rolling import Array
from xrl.market.resample import resample

HOURS: Final = 6
STEP_MS: Final = HOURS * 3_600_000
BARS: Final = 60
COLUMNS: Final = ("close", "volume", "high", "low", "rsi", "ema_fast", "ema_slow")
RSI_BARS, FAST_BARS, SLOW_BARS = 14, 12, 26
#: Leading bars of a history without every series.
WARMUP: Final = 2 * SLOW_BARS - 1
#: Hourly candles that hold a window whatever the hour: its bars, their warm-up, the bar under way.
REQUIRED_HOURS: Final = (BARS + WARMUP) * HOURS + HOURS - 1

_CLOSE, _VOLUME, _HIGH, _LOW, _RSI, _FAST, _SLOW = range(len(COLUMNS))
_PRICES: Final = (_CLOSE, _HIGH, _LOW, _FAST, _SLOW)


class LongBars(NamedTuple):
    """One symbol's bars of 6 hours, in time order.

    Attributes:
        open_ms: (n,) opens, milliseconds since 1970 UTC; a bar is known `STEP_MS` later.
        series: (n, 7) in the order of `COLUMNS`, prices and volumes as they are; NaN in warm-up.
    """

    open_ms: NDArray[np.int64]
    series: Array

    @property
    def close(self) -> Array:
        """(n,) closes, quote currency."""
        return np.asarray(self.series[:, _CLOSE])


def long_bars(candles: pd.DataFrame) -> LongBars:
    """Bars of 6 hours and their seven series.

    Args:
        candles: columns.CANDLE of one symbol, hourly, strictly ascending.

    Raises:
        DataError: they are not.
    """
    unread = dict.fromkeys(columns.OPTIONAL_CANDLE, np.nan)  # their exact sums would cost most of the time
    bars = resample(candles.assign(**unread), "6h", "1h")
    close = bars[columns.CLOSE].to_numpy(np.float64)
    opens = open_ms(bars)
    unbroken = _since_gap(opens)
    found = np.stack(
        [
            close,
            *(bars[name].to_numpy(np.float64) for name in (columns.VOLUME, columns.HIGH, columns.LOW)),
            _rsi(close),
            _exponential_mean(close, FAST_BARS),
            _exponential_mean(close, SLOW_BARS),
        ],
        axis=1,
    )
    for column, before in ((_RSI, RSI_BARS), (_FAST, 2 * FAST_BARS - 1), (_SLOW, WARMUP)):
        found[unbroken < before, column] = np.nan  # so that no series reaches over a missing bar
    return LongBars(opens, found)


def open_ms(bars: pd.DataFrame) -> NDArray[np.int64]:
    """Opens of bars of any length, milliseconds since 1970 UTC; (n,)."""
    times = bars[columns.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]")
    return np.asarray(times.astype(np.int64))


def window_ends(bars: LongBars) -> NDArray[np.int64]:
    """Row numbers of the bars that end an unbroken window of `BARS` bars without warm-up, ascending."""
    known = _since_gap(bars.open_ms) >= BARS + WARMUP - 1
    return np.flatnonzero(known & ~np.isnan(bars.series).any(axis=1))


def windows(series: Array, ends: NDArray[np.int64]) -> Array:
    """The windows that end at the bars `ends`, relative to their newest bar: (len(ends), 60, 7).

    Args:
        series: (n, 7) of `LongBars`.
        ends: row numbers, of `window_ends`.
    """
    found = series[ends[:, None] + np.arange(1 - BARS, 1)]  # (windows, 60, 7)
    newest = found[:, -1:, _CLOSE].copy()  # (windows, 1)
    for column in _PRICES:
        found[:, :, column] = np.log(found[:, :, column] / newest)
    mean = found[:, :, _VOLUME].mean(axis=1, keepdims=True)
    ratio = np.divide(found[:, :, _VOLUME], mean, out=np.ones_like(found[:, :, _VOLUME]), where=mean > 0)
    found[:, :, _VOLUME] = ratio
    return np.asarray(found)


def definition() -> dict[str, object]:
    """What a trained forecast presumes of its inputs; another definition reads other numbers."""
    return {
        "hours": HOURS,
        "bars": BARS,
        "columns": list(COLUMNS),
        "rsi_bars": RSI_BARS,
        "ema_bars": [FAST_BARS, SLOW_BARS],
    }


def _since_gap(opens: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many bars of the same unbroken run precede each bar."""
    rows = np.arange(len(opens))
    starts = np.diff(opens, prepend=opens[:1] - 2 * STEP_MS) != STEP_MS
    return rows - np.maximum.accumulate(np.where(starts, rows, 0))


def _rsi(close: Array) -> Array:
    """Cutler's RSI: the share of upward movement in the last changes, 0..100; NaN in warm-up."""
    change = np.diff(close, prepend=close[:1])
    up = _weighted(np.maximum(change, 0.0), np.ones(RSI_BARS))
    moved = _weighted(np.abs(change), np.ones(RSI_BARS))
    share = np.divide(up, moved, out=np.full_like(up, 0.5), where=moved > 0)
    return np.asarray(np.where(np.isnan(moved), np.nan, 100.0 * share))


def _exponential_mean(x: Array, bars: int) -> Array:
    """Weights `(1 - 2 / (bars + 1)) ^ age` over the last `2 bars` values; NaN in warm-up."""
    weights = (1.0 - 2.0 / (bars + 1)) ** np.arange(2 * bars)
    return _weighted(x, weights / weights.sum())


def _weighted(x: Array, weights: Array) -> Array:
    """`sum_age weights[age] x[t - age]`, each bar summed afresh in one order; NaN before a whole sum."""
    found = np.full(len(x), np.nan)
    if len(x) >= len(weights):
        total = np.zeros(len(x) - len(weights) + 1)
        for age, weight in enumerate(weights):
            total += weight * x[len(weights) - 1 - age : len(x) - age]
        found[len(weights) - 1 :] = total
    return found
