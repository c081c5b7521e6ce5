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

from xrl.features.feature import SETTLED, SETTLED_TWICE, Feature, declare
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

RETURN_BARS = (1, 3, 6, 12, 24, 48, 96)
#: Bars without any price change after which Wilder's averages say nothing and oscillators stand at neutral.
STILL_BARS = 60
#: A deviation below this share of the price is rounding, not movement.
ROUNDING = 1e-12
#: 60-bar volatility (of log returns) at or below this counts as none.
FLAT_RETURN = 1e-9

_STILL, _FLAT, _NO_ATR = "0 if the price stands still", "0 without deviation", "0 without ATR"
_WILDER, _STOCHASTIC = "Wilder 1978, `ta` ", "Chande and Kroll 1994, `ta` StochRSIIndicator"
_BANDS, _MACD = "Bollinger 2001, `ta` BollingerBands(20, 2)", "Appel 1979, `ta` MACD(26, 12, 9)"


def _return(bars: int) -> Feature:
    reach = max(bars, 60)
    formula = f"log(close / close {bars} bars before) / (60-bar volatility * sqrt({bars}))"
    return declare(f"return_{bars}", "PI", "60-bar volatilities", (reach + 1, reach), _STILL, formula)


FEATURES: tuple[Feature, ...] = (
    declare(
        "rsi", "I", "0..100", (SETTLED, 14), "50 if the price stands still", _WILDER + "RSIIndicator(14)"
    ),
    declare("stochrsi_k", "I", "0..1", (SETTLED, 29), "0.5 if RSI stands still", _STOCHASTIC),
    declare("stochrsi_d", "I", "0..1", (SETTLED, 31), "0.5 if RSI stands still", _STOCHASTIC),
    declare("williams_r", "I", "-100..0", (14, 13), "-50 without a range", "`ta` WilliamsRIndicator(14)"),
    declare("cci", "I", "mean deviations / 0.015", (20, 19), _FLAT, "Lambert 1980, `ta` CCIIndicator(20)"),
    declare("mfi", "I", "0..100", (15, 14), "50 without flow", "`ta` MFIIndicator(14)", "price, volume"),
    declare("adx", "I", "0..100", (SETTLED_TWICE, 27), _STILL, _WILDER + "ADXIndicator(14)"),
    declare("di_difference", "I", "-100..100", (SETTLED, 14), _STILL, _WILDER + "ADXIndicator(14)"),
    declare("bollinger_position", "I", "bands, 0 lower, 1 upper", (20, 19), "0.5 without deviation", _BANDS),
    declare("bollinger_width", "I", "share of the middle", (20, 19), _FLAT, _BANDS),
    declare("bollinger_upper_atr", "I", "ATR above it", (SETTLED, 19), _NO_ATR, _BANDS),
    declare("bollinger_middle_atr", "I", "ATR above it", (SETTLED, 19), _NO_ATR, _BANDS),
    declare("bollinger_lower_atr", "I", "ATR above it", (SETTLED, 19), _NO_ATR, _BANDS),
    declare("atr_close", "I", "share of the close", (SETTLED, 14), "never", _WILDER + "AverageTrueRange(14)"),
    declare("macd_atr", "I", "ATR", (SETTLED, 25), _NO_ATR, _MACD),
    declare("macd_signal_atr", "I", "ATR", (SETTLED, 33), _NO_ATR, _MACD),
    declare("macd_hist_atr", "I", "ATR", (SETTLED, 33), _NO_ATR, _MACD),
    declare("ema_fast_atr", "I", "ATR above it", (SETTLED, 14), _NO_ATR, "`ta` EMAIndicator(12)"),
    declare("ema_slow_atr", "I", "ATR above it", (SETTLED, 25), _NO_ATR, "`ta` EMAIndicator(26)"),
    declare("sma_96_atr", "I", "ATR above it", (SETTLED, 95), _NO_ATR, "`ta` SMAIndicator(96)"),
    *map(_return, RETURN_BARS),
    declare(
        "volatility_ratio",
        "PI",
        "1 if alike",
        (61, 60),
        "1 if the price stands still",
        "root mean square log return of 12 bars over that of 60",
    ),
)


def indicators(x: Inputs) -> dict[str, Array]:
    """Every indicator column; names, units and warm-up are those of `FEATURES`."""
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
        "bollinger_upper_atr": x.in_atr(x.close - (middle + half)),
        "bollinger_middle_atr": x.in_atr(x.close - middle),
        "bollinger_lower_atr": x.in_atr(x.close - (middle - half)),
        "atr_close": x.atr / x.close,
    }


def _averages(x: Inputs) -> dict[str, Array]:
    fast, slow = np.asarray(talib.EMA(x.close, 12)), np.asarray(talib.EMA(x.close, 26))
    macd = fast - slow
    signal = np.asarray(talib.EMA(macd, 9)) if len(x) > 26 else np.full(len(x), np.nan)
    return {
        "macd_atr": x.in_atr(macd),
        "macd_signal_atr": x.in_atr(signal),
        "macd_hist_atr": x.in_atr(macd - signal),
        "ema_fast_atr": x.in_atr(x.close - fast),
        "ema_slow_atr": x.in_atr(x.close - slow),
        "sma_96_atr": x.in_atr(x.close - rolling_mean(x.close, 96)),
    }


def _returns(x: Inputs) -> dict[str, Array]:
    """Log returns in units of what 60-bar volatility foresees for as many bars; 0 where it is none."""
    log_close = x.log_close
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
