"""Shapes of single bars and of a few bars together. Enters: `Inputs`. Leaves: (n,) arrays.

Shapes use the bars' own proportions and finite windows only; those that compare with the bars before are in
`candlesticks`. Signs: +1 is the shape read as bullish, -1 its bearish mirror, 0 absent.
"""

import numpy as np
import talib
from numpy.typing import NDArray

from xrl.features.feature import Feature, declare
from xrl.features.inputs import Inputs
from xrl.features.rolling import Array, delay, ratio, rolling_mean

DOJI_BODY = 0.1
PIN_SHADOW = 0.6
PIN_NOSE = 0.15
STAR_BODY = 0.3

_FLAT = "0 at zero spread"

FEATURES: tuple[Feature, ...] = (
    declare("close_position", "PIO", "0..1", (1, 0), "0.5 at zero spread", "(close - low) / (high - low)"),
    declare("body_ratio", "P", "-1..1", (1, 0), _FLAT, "(close - open) / (high - low)"),
    declare("upper_shadow", "P", "0..1", (1, 0), _FLAT, "(high - max(open, close)) / (high - low)"),
    declare("lower_shadow", "P", "0..1", (1, 0), _FLAT, "(min(open, close) - low) / (high - low)"),
    declare("doji", "P", "0 or 1", (1, 0), _FLAT, "Nison 1991: body at most a tenth of the range"),
    declare("engulfing", "P", "-1, 0, 1", (2, 1), "never", "TA-Lib CDLENGULFING"),
    declare(
        "pin_bar", "P", "-1, 0, 1", (1, 0), _FLAT, "one shadow of 60 % at least, the other of 15 % at most"
    ),
    declare("inside_bar", "P", "0 or 1", (2, 1), "never", "Crabel 1990: within the previous range"),
    declare("star", "P", "-1, 0, 1", (12, 11), "never", "Nison 1991, morning and evening star without gaps"),
    declare("fractal", "P", "-1, 0, 1", (5, 4), "never", "Williams 1995, dated by the bar that confirms it"),
    declare(
        "range_position_24", "P", "0..1", (24, 23), "0.5 without a range", "close within the extremes of 24"
    ),
    declare(
        "range_position_96", "P", "0..1", (96, 95), "0.5 without a range", "close within the extremes of 96"
    ),
)


def patterns(x: Inputs) -> dict[str, Array]:
    """Every pattern column; a bar without spread has its close in the middle and no shadows or body."""
    body = x.close - x.open
    upper = ratio(x.upper, x.spread, undefined=0.0)
    lower = ratio(x.lower, x.spread, undefined=0.0)
    body_ratio = ratio(body, x.spread, undefined=0.0)
    return {
        "close_position": x.close_position,
        "body_ratio": body_ratio,
        "upper_shadow": upper,
        "lower_shadow": lower,
        "doji": ((np.abs(body_ratio) <= DOJI_BODY) & (x.spread > 0)).astype(np.float64),
        "engulfing": _engulfing(x),
        "pin_bar": _signed(
            (lower >= PIN_SHADOW) & (upper <= PIN_NOSE), (upper >= PIN_SHADOW) & (lower <= PIN_NOSE)
        ),
        "inside_bar": _inside(x),
        "star": _star(x, body),
        "fractal": _fractal(x),
        "range_position_24": _range_position(x, 24),
        "range_position_96": _range_position(x, 96),
    }


def _signed(bullish: NDArray[np.bool_], bearish: NDArray[np.bool_]) -> Array:
    return bullish.astype(np.float64) - bearish.astype(np.float64)


def _warm(values: Array, bars: int) -> Array:
    """NaN in the first `bars`, where the shape has no earlier bars to compare with."""
    values[:bars] = np.nan
    return values


def _engulfing(x: Inputs) -> Array:
    """Body that covers the previous body of the other colour, one end at least beyond it."""
    open_1, close_1 = delay(x.open, 1), x.previous_close
    up, down = x.close >= x.open, x.close < x.open
    up_1, down_1 = close_1 >= open_1, close_1 < open_1
    over = (x.close >= open_1) & (x.open <= close_1) & ((x.close > open_1) | (x.open < close_1))
    under = (x.open >= close_1) & (x.close <= open_1) & ((x.open > close_1) | (x.close < open_1))
    return _warm(_signed(up & down_1 & over, down & up_1 & under), 1)


def _inside(x: Inputs) -> Array:
    """High and low within those of the previous bar, and the range smaller."""
    inside = (x.high <= delay(x.high, 1)) & (x.low >= delay(x.low, 1)) & (x.spread < delay(x.spread, 1))
    return _warm(inside.astype(np.float64), 1)


def _star(x: Inputs, body: Array) -> Array:
    """Morning (+1) or evening (-1) star: long body, small body, then a body past the middle of the first."""
    first, second = delay(body, 2), delay(body, 1)
    middle = (delay(x.open, 2) + delay(x.close, 2)) / 2.0
    long = np.abs(first) > delay(rolling_mean(np.abs(body), 10), 2)
    shape = long & (np.abs(second) <= STAR_BODY * np.abs(first))
    morning = shape & (first < 0) & (body > 0) & (x.close > middle)
    evening = shape & (first > 0) & (body < 0) & (x.close < middle)
    return _warm(_signed(morning, evening), 11)


def _fractal(x: Inputs) -> Array:
    """Bill Williams' fractal, dated by the bar that confirms it, two bars after the extreme.

    +1 where the low two bars ago undercuts the two bars on either side, -1 for the high, 0 for both or
    neither.
    """
    high, low = delay(x.high, 2), delay(x.low, 2)
    beside_high = np.maximum(
        np.maximum(delay(x.high, 4), delay(x.high, 3)), np.maximum(delay(x.high, 1), x.high)
    )
    beside_low = np.minimum(np.minimum(delay(x.low, 4), delay(x.low, 3)), np.minimum(delay(x.low, 1), x.low))
    return _warm(_signed(low < beside_low, high > beside_high), 4)


def _range_position(x: Inputs, window: int) -> Array:
    """Close between the lowest low and the highest high of the last `window` bars: 0..1."""
    high, low = np.asarray(talib.MAX(x.high, window)), np.asarray(talib.MIN(x.low, window))
    return ratio(x.close - low, high - low, undefined=0.5)
