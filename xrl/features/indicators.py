"""Indicators of price and volume. Enters: `Inputs`. Leaves: one (n,) array per column, NaN in warm-up only.

TA-Lib (C) computes the recursive ones (Wilder and exponential averages) and the extremes; finite windows that
TA-Lib keeps as running sums are computed afresh per bar (`rolling`). Definitions are those of the library
`ta`, which the tests hold every shared indicator equal to. Where a definition divides by zero because the
price has not moved, the neutral value stands: RSI, Stochastic RSI and MFI at the middle of their scale,
distances at 0.
"""

import numpy as np
import talib
from numpy.typing import NDArray

from xrl.features.inputs import Inputs
from xrl.features.rolling import (
    Array,
    bars_since,
    delay,
    ratio,
    rolling_mean,
    rolling_mean_deviation,
    rolling_rms,
    rolling_std,
    rolling_sum,
)

RETURN_BARS = (1, 3, 6, 12, 24)
#: Bars without any price change after which Wilder's averages say nothing and oscillators stand at neutral.
STILL_BARS = 60
#: A deviation below this share of the price is rounding, not movement.
ROUNDING = 1e-12
#: 60-bar volatility (of log returns) at or below this counts as none.
FLAT_RETURN = 1e-9


def indicators(x: Inputs) -> dict[str, Array]:
    """Every indicator column; names, units and warm-up are listed in `table.FEATURES`."""
    return {**_oscillators(x), **_bands(x), **_averages(x), **_returns(x)}


def _oscillators(x: Inputs) -> dict[str, Array]:
    still = _still(x)
    rsi = _neutral(np.asarray(talib.RSI(x.close, 14)), still, 50.0)
    stochastic = _stochastic(rsi, 14)
    k = rolling_mean(stochastic, 3)
    high, low = np.asarray(talib.MAX(x.high, 14)), np.asarray(talib.MIN(x.low, 14))
    plus = np.asarray(talib.PLUS_DI(x.high, x.low, x.close, 14))
    minus = np.asarray(talib.MINUS_DI(x.high, x.low, x.close, 14))
    return {
        "rsi": rsi,
        "stochrsi_k": k,
        "stochrsi_d": rolling_mean(k, 3),
        "williams_r": -100.0 * ratio(high - x.close, high - low, undefined=0.5),
        "cci": _commodity_channel(x, 20),
        "mfi": _money_flow(x, 14),
        "adx": _neutral(np.asarray(talib.ADX(x.high, x.low, x.close, 14)), still, 0.0),
        "di_difference": _neutral(plus - minus, still, 0.0),
    }


def _bands(x: Inputs) -> dict[str, Array]:
    """Bollinger bands over 20 bars, two population standard deviations (as `ta`), and ATR over the price."""
    middle, deviation = rolling_mean(x.close, 20), rolling_std(x.close, 20)
    floor = middle * ROUNDING
    half = 2.0 * deviation
    return {
        "bollinger_position": ratio(x.close - (middle - half), 2.0 * half, undefined=0.5, floor=floor),
        "bollinger_width": np.where(deviation <= floor, 0.0, 2.0 * half / middle),
        "atr_close": x.atr / x.close,
    }


def _averages(x: Inputs) -> dict[str, Array]:
    fast, slow = np.asarray(talib.EMA(x.close, 12)), np.asarray(talib.EMA(x.close, 26))
    macd = fast - slow
    signal = np.asarray(talib.EMA(macd, 9)) if len(x) > 26 else np.full(len(x), np.nan)

    def in_atr(distance: Array) -> Array:
        return ratio(distance, x.atr, undefined=0.0, floor=x.atr_floor)

    return {
        "macd_hist_atr": in_atr(macd - signal),
        "ema_fast_atr": in_atr(x.close - fast),
        "ema_slow_atr": in_atr(x.close - slow),
        "sma_96_atr": in_atr(x.close - rolling_mean(x.close, 96)),
    }


def _returns(x: Inputs) -> dict[str, Array]:
    """Log returns in units of what 60-bar volatility foresees for as many bars; 0 where it is none."""
    log_close = np.log(x.close)
    found = {
        f"return_{bars}": ratio(
            log_close - delay(log_close, bars), x.volatility * bars**0.5, 0.0, FLAT_RETURN
        )
        for bars in RETURN_BARS
    }
    found["volatility_ratio"] = ratio(rolling_rms(x.log_return, 12), x.volatility, 1.0, FLAT_RETURN)
    return found


def _still(x: Inputs) -> NDArray[np.bool_]:
    moved = np.concatenate([[False], x.close[1:] != x.close[:-1]])
    moved |= x.high != x.low
    return np.asarray(bars_since(moved, STILL_BARS) >= STILL_BARS)


def _neutral(values: Array, where: NDArray[np.bool_], neutral: float) -> Array:
    """`neutral` where the market stood still; warm-up stays NaN."""
    return np.where(where & ~np.isnan(values), neutral, values)


def _stochastic(values: Array, window: int) -> Array:
    """Place of the value between the lowest and highest of the last `window`: 0..1, 0.5 if equal."""
    if np.isnan(values).all():
        return np.full(len(values), np.nan)
    low, high = np.asarray(talib.MIN(values, window)), np.asarray(talib.MAX(values, window))
    return ratio(values - low, high - low, undefined=0.5)


def _commodity_channel(x: Inputs, window: int) -> Array:
    typical = (x.high + x.low + x.close) / 3.0
    deviation = np.asarray(rolling_mean_deviation(typical, window))
    return ratio(typical - rolling_mean(typical, window), 0.015 * deviation, 0.0, floor=typical * ROUNDING)


def _money_flow(x: Inputs, window: int) -> Array:
    """Money flow index: share of rising typical price times volume; 50 where nothing flowed.

    TA-Lib answers 0 where the window's flow is below 1 USDT, which depends on units: not used here.
    """
    typical = (x.high + x.low + x.close) / 3.0
    change = typical - delay(typical, 1)
    flow = typical * x.volume
    rising = np.where(change > 0, flow, 0.0)
    falling = np.where(change < 0, flow, 0.0)
    up, down = rolling_sum(rising, window), rolling_sum(falling, window)
    up[:window] = np.nan  # the first bar has no direction
    return 100.0 * ratio(up, up + down, undefined=0.5)
