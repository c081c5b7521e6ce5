"""Longer bars out of finer ones. Enters: one symbol's candles. Leaves: its candles of a longer timeframe.

Open is the first, high the greatest, low the least, close the last, volumes and trades are sums. Venues write
volumes as decimals and a sum of doubles drifts away from the decimal sum (0.1 + 0.2), so sums here are those
of the decimals, rounded to a double once: what the venue itself would send, bit for bit.
"""

from decimal import Decimal
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.errors import DataError
from xrl.market.tables import TIMEFRAMES, Kind, check_schema

Array = NDArray[np.float64]

#: Decimals of which 15 significant digits tell any two doubles apart, so that the digits are beyond doubt.
_MOST_DECIMALS: Final = 12
_CERTAIN: Final = 1e15


def resample(candles: pd.DataFrame, to: Kind, from_: Kind) -> pd.DataFrame:
    """Bars of timeframe `to` made of `candles` of timeframe `from_`.

    A bar that lacks one of its finer bars is left out, at the ends as in the middle. A value is NaN where one
    of the finer bars has NaN in that column. Every bar depends on its own finer bars alone.

    Args:
        candles: columns.CANDLE, one symbol, strictly ascending, on the grid of `from_`.
        to: a timeframe that is a multiple of `from_`, e.g. `4h`.
        from_: timeframe of `candles`, e.g. `1h`.

    Returns:
        columns.CANDLE; empty where no bar is complete.

    Raises:
        DataError: `to` is no multiple of `from_`, or the candles are none, in disorder or off the grid.
    """
    check_schema(candles, from_, f"candles to be resampled from {from_} to {to}")
    step, finer = _milliseconds(to), _milliseconds(from_)
    if step % finer:
        raise DataError(f"bars of {to} cannot be made of bars of {from_}; use a timeframe that divides {to}")
    opens = candles[c.TIMESTAMP].astype("int64").to_numpy()
    if (opens % finer).any() or (np.diff(opens) <= 0).any():
        raise DataError(
            f"candles to be resampled must be strictly ascending on the grid of {from_}; received others. "
            "Repair them first."
        )
    starts = np.flatnonzero(np.diff(opens // step, prepend=-1))
    whole = np.diff(starts, append=len(opens)) == step // finer
    return combine(candles, starts, step)[whole].reset_index(drop=True)


def combine(candles: pd.DataFrame, starts: NDArray[np.intp], step_ms: int) -> pd.DataFrame:
    """One bar for each run of rows that begins at `starts`, labelled by its place on the grid of `step_ms`.

    Args:
        candles: (n,) rows of columns.CANDLE, ascending.
        starts: (m,) first row of each run, ascending, `starts[0] == 0` where there is one.
        step_ms: length of the new bars.

    Returns:
        (m,) rows of columns.CANDLE.
    """
    if not len(starts):
        return candles.iloc[:0].reset_index(drop=True)
    values = {name: candles[name].to_numpy(np.float64) for name in c.CANDLE[1:]}
    lasts = np.append(starts[1:], len(candles)) - 1
    opens = candles[c.TIMESTAMP].astype("int64").to_numpy()[starts]
    bars = {
        c.TIMESTAMP: pd.to_datetime(opens - opens % step_ms, unit="ms", utc=True).astype(c.TIME_DTYPE),
        c.OPEN: _known(values[c.OPEN], starts)[starts],
        c.HIGH: np.maximum.reduceat(values[c.HIGH], starts),
        c.LOW: np.minimum.reduceat(values[c.LOW], starts),
        c.CLOSE: _known(values[c.CLOSE], starts)[lasts],
    }
    sums = {name: decimal_sums(values[name], starts) for name in (c.VOLUME, *c.OPTIONAL_CANDLE)}
    return pd.DataFrame({**bars, **sums}, columns=list(c.CANDLE))


def decimal_sums(values: Array, starts: NDArray[np.intp]) -> Array:
    """Sum of each run: the double nearest to the sum of the shortest decimals that read as `values`.

    Args:
        values: (n,) float64.
        starts: (m,) first row of each run, ascending.

    Returns:
        (m,) float64; NaN where the run holds a NaN.
    """
    digits = _decimals(values)
    most = np.maximum.reduceat(digits, starts)
    run = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    scale = 10.0 ** np.minimum(most, _MOST_DECIMALS)
    scaled = np.rint(values * scale[run])
    totals = np.add.reduceat(np.where(np.isfinite(scaled), scaled, 0.0), starts)
    sums: Array = totals / scale  # exact integers below 2**53: one rounding, here
    unsure = (most > _MOST_DECIMALS) | (np.add.reduceat(np.abs(scaled), starts) >= _CERTAIN)
    missing = np.logical_or.reduceat(np.isnan(values), starts)
    ends = np.append(starts[1:], len(values))
    for i in np.flatnonzero(unsure & ~missing):
        sums[i] = float(sum(Decimal(repr(value)) for value in values[starts[i] : ends[i]].tolist()))
    sums[missing] = np.nan
    return sums


def _decimals(values: Array) -> NDArray[np.int64]:
    """Decimal places of the shortest text of each value; one above `_MOST_DECIMALS` where it has more."""
    found = np.where(np.isnan(values), 0, _MOST_DECIMALS + 1)
    left = np.flatnonzero(found)
    for digits in range(_MOST_DECIMALS + 1):
        scaled = np.rint(values[left] * 10.0**digits)
        fits = (scaled / 10.0**digits == values[left]) & (np.abs(scaled) < _CERTAIN)
        found[left[fits]] = digits
        left = left[~fits]
        if not len(left):
            break
    return found


def _known(values: Array, starts: NDArray[np.intp]) -> Array:
    """`values`, NaN throughout every run that holds a NaN."""
    holes = np.logical_or.reduceat(np.isnan(values), starts)
    run = np.repeat(holes, np.diff(starts, append=len(values)))
    return np.where(run, np.nan, values)


def _milliseconds(kind: Kind) -> int:
    if kind not in TIMEFRAMES:
        raise DataError(f"{kind!r} is no timeframe; expected one of {tuple(TIMEFRAMES)}")
    return int(TIMEFRAMES[kind].total_seconds() * 1000)
