"""Bars of 4 hours and of a day, as far as they have closed. Enters: hourly `Inputs`. Leaves: (n,) arrays.

Longer bars are cut at UTC (00:00, 04:00, ... and midnight) and known only when their last hour has closed: at
the close of the hour that opens at 02:00 the newest 4-hour bar is the one that ended at 00:00.

    hour that opens at   00:00  01:00  02:00  03:00  04:00
    newest 4-hour bar     20-0   20-0   20-0    0-4    0-4

A bar whose first hours lie before the history is left out. Windows are finite: up to 14 closed bars and the
one before them, of fewer at the start of a history; everything is summed afresh, so a serving window and the
full history agree to the bit.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xrl.features.feature import Feature, declare
from xrl.features.inputs import Inputs
from xrl.features.rolling import Array

#: Closed bars behind a value.
BARS: Final = 14
#: Name and hours of each.
FRAMES: Final = (("h4", 4), ("d1", 24))
_HOUR_MS: Final = 3_600_000
#: True range at or below this share of the close, and volatility of log returns, count as none.
_FLAT: Final = 1e-9


def _declared(frame: str, hours: int) -> tuple[Feature, ...]:
    reach = ((BARS + 2) * hours - 1, 3 * hours - 2)
    still, alike, what = (
        "0 if the price stands still",
        "1 without volume",
        f"of the last closed {hours} h bar",
    )
    volatilities = f"{hours} h volatilities"
    return (
        declare(f"{frame}_return_1", "PI", volatilities, reach, still, f"log return {what}"),
        declare(f"{frame}_return_5", "PI", volatilities, reach, still, "log return of the last five"),
        declare(
            f"{frame}_body_ratio", "P", "-1..1", reach, "0 at zero spread", f"(close - open) / spread {what}"
        ),
        declare(f"{frame}_rsi", "I", "0..100", reach, "50 if the price stands still", "Cutler's RSI over 14"),
        declare(
            f"{frame}_range_position",
            "PI",
            "ranges, 0 low, 1 high",
            reach,
            "0.5 without a range",
            "hourly close within the extremes of 14",
        ),
        declare(
            f"{frame}_sma_distance",
            "I",
            "true ranges",
            reach,
            still,
            "hourly close above the mean of 14 closes",
        ),
        declare(f"{frame}_volume_ratio", "I", "14-bar means", reach, alike, f"volume {what}", "volume"),
    )


FEATURES: tuple[Feature, ...] = tuple(
    feature for frame, hours in FRAMES for feature in _declared(frame, hours)
)
_COUNT: Final = len(FEATURES) // len(FRAMES)


def timeframes(x: Inputs) -> dict[str, Array]:
    """Every column of `FEATURES`."""
    hour = x.timestamp.astype("datetime64[ms]").astype(np.int64) // _HOUR_MS
    found = np.full((len(FEATURES), len(x)), np.nan)
    for i, (_, hours) in enumerate(FRAMES):
        own = found[i * _COUNT : (i + 1) * _COUNT]
        bars, newest = _closed(hour, hours, x.open, x.high, x.low, x.close, x.volume)
        _fill(bars, newest, x.close, own)
        own[:, : 3 * hours - 2] = np.nan
    return {feature.name: found[j] for j, feature in enumerate(FEATURES)}


#: Columns of the table of longer bars; what is measured from the bar before is NaN at the first.
_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME, _CHANGE, _RETURN, _RANGE = range(8)


@njit(cache=True)
def _closed(
    hour: NDArray[np.int64], hours: int, open_: Array, high: Array, low: Array, close: Array, volume: Array
) -> tuple[Array, NDArray[np.int64]]:
    """Longer bars (count, 8) that began within the history, and how many have closed by each hour's close."""
    n = hour.shape[0]
    bars = np.full((min(n, (hour[-1] - hour[0]) // hours + 2), 8), np.nan)
    known = np.zeros(n, np.int64)
    begun, closed, end = 0, 0, hour[0] - hour[0] % hours
    is_whole = False
    for t in range(n):
        if hour[t] >= end:  # another bar begins; the one before has closed even if its last hours are missing
            closed = begun
            start = hour[t] - hour[t] % hours
            end = start + hours
            is_whole = t > 0 or hour[t] == start
            if is_whole:
                bars[begun, _OPEN], bars[begun, _HIGH], bars[begun, _LOW] = open_[t], high[t], low[t]
                bars[begun, _VOLUME] = 0.0
                begun += 1
        if is_whole:
            j = begun - 1
            bars[j, _HIGH], bars[j, _LOW] = max(bars[j, _HIGH], high[t]), min(bars[j, _LOW], low[t])
            bars[j, _CLOSE] = close[t]
            bars[j, _VOLUME] += volume[t]
        if hour[t] == end - 1:
            closed = begun
        known[t] = closed
    for j in range(1, begun):
        before = bars[j - 1, _CLOSE]
        bars[j, _CHANGE] = bars[j, _CLOSE] - before
        bars[j, _RETURN] = math.log(bars[j, _CLOSE]) - math.log(before)
        bars[j, _RANGE] = max(bars[j, _HIGH], before) - min(bars[j, _LOW], before)  # true range
    return bars, known


@njit(cache=True)
def _fill(bars: Array, known: NDArray[np.int64], close: Array, out: Array) -> None:
    """Columns of one frame, `out` (7, n), from its closed bars and the hourly closes."""
    high, low, mean, reach = np.nan, np.nan, np.nan, np.nan
    settled = np.full(out.shape[0], np.nan)
    for t in range(close.shape[0]):
        count = known[t]
        if count < 2:
            continue
        if known[t - 1] != count:
            window = bars[max(count - BARS, 0) : count]
            changes = bars[max(count - BARS, 1) : count]
            high, low, mean = _highest(window), _lowest(window), _mean(window, _CLOSE)
            reach = _mean(changes, _RANGE)
            _settle(window, changes, settled)
        for i in range(out.shape[0]):
            out[i, t] = settled[i]
        spread = high - low
        out[4, t] = (close[t] - low) / spread if spread > 0.0 else 0.5
        out[5, t] = (close[t] - mean) / reach if reach > _FLAT * mean else 0.0


@njit
def _settle(window: Array, changes: Array, out: Array) -> None:
    """What stands until the next bar closes. `changes` are those of `window` that have a bar before them."""
    last = window[window.shape[0] - 1]
    count = changes.shape[0]
    squares, gains, losses = 0.0, 0.0, 0.0
    for j in range(count):
        squares += changes[j, _RETURN] * changes[j, _RETURN]
        gains += max(changes[j, _CHANGE], 0.0)
        losses += max(-changes[j, _CHANGE], 0.0)
    volatility = math.sqrt(squares / count)
    steps = min(count, 5)
    moved = 0.0
    for j in range(count - steps, count):
        moved += changes[j, _RETURN]
    moves = volatility > _FLAT
    out[0] = last[_RETURN] / volatility if moves else 0.0
    out[1] = moved / (volatility * math.sqrt(steps)) if moves else 0.0
    spread = last[_HIGH] - last[_LOW]
    out[2] = (last[_CLOSE] - last[_OPEN]) / spread if spread > 0.0 else 0.0
    out[3] = 100.0 * gains / (gains + losses) if gains + losses > 0.0 else 50.0
    volume = _mean(window, _VOLUME)
    out[6] = last[_VOLUME] / volume if volume > 0.0 else 1.0


@njit
def _mean(bars: Array, column: int) -> float:
    total = 0.0
    for j in range(bars.shape[0]):
        total += bars[j, column]
    return float(total / bars.shape[0])


@njit
def _highest(bars: Array) -> float:
    best: float = bars[0, _HIGH]
    for j in range(1, bars.shape[0]):
        best = max(best, bars[j, _HIGH])
    return best


@njit
def _lowest(bars: Array) -> float:
    best: float = bars[0, _LOW]
    for j in range(1, bars.shape[0]):
        best = min(best, bars[j, _LOW])
    return best
