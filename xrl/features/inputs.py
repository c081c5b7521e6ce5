"""What every feature group starts from: one symbol's bars, checked, with the parts that several groups share.

Enters: columns of `columns.BAR` (optional ones NaN or absent). Leaves: `Inputs`. Prices are multiplied by a
power of two that brings the first close into [1, 2): no feature depends on the price level, no bit of a ratio
changes, and TA-Lib's absolute tolerance of 1e-14 does not swallow the moves of a coin worth 1e-6.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import talib
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import DataError
from xrl.features.rolling import Array, delay, ratio, rolling_rms, rolling_sum, trailing_sum

ATR_WINDOW = 14
VOLATILITY_WINDOW = 60
#: ATR and volatility below this share of the price count as none: what is measured in them is then 0.
FLAT = 1e-9


@dataclass(frozen=True, eq=False)
class Inputs:
    """One symbol's bars, each (n,) float64 in time order; optional columns are None where absent."""

    timestamp: NDArray[np.datetime64]
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    taker_buy_volume: Array | None
    funding_rate: Array | None
    open_interest: Array | None

    def __len__(self) -> int:
        return len(self.close)

    @cached_property
    def spread(self) -> Array:
        """High minus low."""
        return self.high - self.low

    @cached_property
    def top(self) -> Array:
        """Upper end of the body."""
        return np.maximum(self.open, self.close)

    @cached_property
    def bottom(self) -> Array:
        """Lower end of the body."""
        return np.minimum(self.open, self.close)

    @cached_property
    def upper(self) -> Array:
        """Shadow above the body."""
        return self.high - self.top

    @cached_property
    def lower(self) -> Array:
        """Shadow below the body."""
        return self.bottom - self.low

    @cached_property
    def close_position(self) -> Array:
        """`(close - low) / (high - low)`, 0.5 at zero spread."""
        return ratio(self.close - self.low, self.spread, undefined=0.5)

    @cached_property
    def previous_close(self) -> Array:
        """Close of the bar before; NaN at the first bar."""
        return delay(self.close, 1)

    @cached_property
    def volume_12(self) -> Array:
        """Volume of the last 12 bars; NaN for the first 11."""
        return rolling_sum(self.volume, 12)

    @cached_property
    def volume_24(self) -> Array:
        """Volume of the last 24 bars; NaN for the first 23."""
        return rolling_sum(self.volume, 24)

    @cached_property
    def log_close(self) -> Array:
        """Natural logarithm of the (scaled) close."""
        return np.log(self.close)

    @cached_property
    def log_return(self) -> Array:
        """One-bar log return of the close; NaN at the first bar."""
        return self.log_close - delay(self.log_close, 1)

    @cached_property
    def volatility(self) -> Array:
        """Root mean square of the last 60 one-bar log returns; NaN for the first 60 bars."""
        return rolling_rms(self.log_return, VOLATILITY_WINDOW)

    @cached_property
    def volatility_24(self) -> Array:
        """Root mean square of the last 24 one-bar log returns; NaN for the first 24 bars."""
        return rolling_rms(self.log_return, 24)

    @cached_property
    def volatility_168(self) -> Array:
        """Root mean square of the last 168 log returns, of those there are; NaN at the first bar."""
        squares = self.log_return * self.log_return
        squares[:1] = 0.0  # no return yet
        returns = np.minimum(np.arange(len(self), dtype=np.float64), 168.0)
        return np.sqrt(ratio(trailing_sum(squares, 168), returns, undefined=np.nan))

    @cached_property
    def atr(self) -> Array:
        """Wilder's average true range over 14 bars (TA-Lib); NaN for the first 14 bars."""
        return np.asarray(talib.ATR(self.high, self.low, self.close, ATR_WINDOW))

    @cached_property
    def atr_floor(self) -> Array:
        """ATR at or below this counts as none."""
        return self.close * FLAT

    def in_atr(self, distance: Array) -> Array:
        """A distance of prices in ATR; 0 where there is none."""
        return ratio(distance, self.atr, undefined=0.0, floor=self.atr_floor)


def inputs(bars: Mapping[str, NDArray[np.float64]] | pd.DataFrame, timestamps: object) -> Inputs:
    """Check one symbol's bars and bring the prices near 1.

    Args:
        bars: arrays (n,) or a frame with `columns.OHLCV` and, where known, the optional columns of
        `columns.BAR`. timestamps: (n,) opens of the bars, UTC; datetime64, pandas datetimes or an index of
        them.

    Raises:
        DataError: a column is missing or of another length, a price is not a finite number above 0, high or
            low does not enclose the bar, a volume is negative or NaN, times do not increase, or a bar does
            not open on the hour.
    """
    time = _times(timestamps)
    price = {name: _column(bars, name, len(time)) for name in columns.OHLCV}
    _check(price, time)
    scale = 2.0 ** -np.floor(np.log2(price[columns.CLOSE][0])) if len(time) else 1.0
    return Inputs(
        timestamp=time,
        open=price[columns.OPEN] * scale,
        high=price[columns.HIGH] * scale,
        low=price[columns.LOW] * scale,
        close=price[columns.CLOSE] * scale,
        volume=price[columns.VOLUME].copy(),  # read-only arrays would have every loop compiled once more
        taker_buy_volume=_optional(bars, columns.TAKER_BUY_VOLUME, len(time)),
        funding_rate=_optional(bars, columns.FUNDING_RATE, len(time)),
        open_interest=_optional(bars, columns.OPEN_INTEREST, len(time)),
    )


def _times(timestamps: object) -> NDArray[np.datetime64]:
    if isinstance(timestamps, pd.Series | pd.DatetimeIndex):
        timestamps = timestamps.to_numpy(dtype="datetime64[ms]")  # UTC in, naive UTC out
    return np.asarray(timestamps, dtype="datetime64[ms]")


def _column(bars: Mapping[str, NDArray[np.float64]] | pd.DataFrame, name: str, length: int) -> Array:
    if name not in bars:
        raise DataError(
            f"bars need the columns {columns.OHLCV}; `{name}` is missing. Pass candles with OHLCV."
        )
    values = np.ascontiguousarray(bars[name], dtype=np.float64)
    if values.shape != (length,):
        raise DataError(f"`{name}` must be one value a bar, shape ({length},); received {values.shape}")
    return values


def _optional(bars: Mapping[str, NDArray[np.float64]] | pd.DataFrame, name: str, length: int) -> Array | None:
    if name not in bars:
        return None
    values = _column(bars, name, length)
    return None if np.isnan(values).all() else values


def _check(price: Mapping[str, Array], time: NDArray[np.datetime64]) -> None:
    open_, high, low, close, volume = (price[name] for name in columns.OHLCV)
    rules = {
        "prices are finite and above 0": (low > 0) & np.isfinite(high + low + open_ + close),
        "low <= open, close <= high": (low <= np.minimum(open_, close)) & (high >= np.maximum(open_, close)),
        "volume is finite and not negative": (volume >= 0) & np.isfinite(volume),
    }
    if len(time) > 1:
        rules["times increase"] = np.concatenate([[True], time[1:] > time[:-1]])
    rules["bars open on the hour, UTC"] = time == time.astype("datetime64[h]")
    for rule, kept in rules.items():
        if not kept.all():
            broken = np.flatnonzero(~kept)
            raise DataError(
                f"bars break the rule '{rule}' in {len(broken)} of {len(time)} bars, first at "
                f"{time[broken[0]]}; validate the candles before building features"
            )
