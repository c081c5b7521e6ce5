"""TA-Lib's candlestick patterns, computed afresh per bar. Enters: `Inputs`. Leaves: (n,) arrays.

Definitions and settings are TA-Lib's (`ta_CDL*.c`; Nison 1991, Morris 1995). Its functions compare with
running averages whose rounding depends on where the history starts: at exact ties, frequent on tick grids, a
serving window and the full history would disagree. Here every average is summed over its own bars, so they
agree to the bit; where no comparison is tied both libraries do (tested). A pattern and its mirror share a
column: +1 bullish, -1 bearish, 0 absent; a shape that TA-Lib signs by its colour keeps that sign.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xrl.features.feature import Feature, declare
from xrl.features.inputs import Inputs
from xrl.features.rolling import Array, mean_before


def _shape(name: str, lookback: int, formula: str, unit: str = "-1, 0, 1") -> Feature:
    return declare(name, "P", unit, (lookback + 1, lookback), "never", f"TA-Lib {formula}")


FEATURES: tuple[Feature, ...] = (
    _shape("hammer", 11, "CDLHAMMER, CDLHANGINGMAN"),
    _shape("inverted_hammer", 11, "CDLINVERTEDHAMMER, CDLSHOOTINGSTAR"),
    _shape("marubozu", 10, "CDLMARUBOZU"),
    _shape("closing_marubozu", 10, "CDLCLOSINGMARUBOZU"),
    _shape("belt_hold", 10, "CDLBELTHOLD"),
    _shape("long_line", 10, "CDLLONGLINE"),
    _shape("short_line", 10, "CDLSHORTLINE"),
    _shape("spinning_top", 10, "CDLSPINNINGTOP"),
    _shape("high_wave", 10, "CDLHIGHWAVE"),
    _shape("long_legged_doji", 10, "CDLLONGLEGGEDDOJI", "0 or 1"),
    _shape("dragonfly_doji", 10, "CDLDRAGONFLYDOJI, CDLGRAVESTONEDOJI"),
    _shape("doji_star", 11, "CDLDOJISTAR"),
    _shape("harami", 11, "CDLHARAMI"),
    _shape("harami_cross", 11, "CDLHARAMICROSS"),
    _shape("piercing_line", 11, "CDLPIERCING, CDLDARKCLOUDCOVER"),
    _shape("separating_lines", 11, "CDLSEPARATINGLINES"),
    _shape("matching_low", 6, "CDLMATCHINGLOW", "0 or 1"),
    _shape("gap_star", 12, "CDLMORNINGSTAR, CDLEVENINGSTAR"),
    _shape("three_inside", 12, "CDL3INSIDE"),
    _shape("three_outside", 3, "CDL3OUTSIDE"),
    _shape("three_soldiers", 13, "CDL3WHITESOLDIERS, CDL3BLACKCROWS"),
    _shape("advance_block", 12, "CDLADVANCEBLOCK", "-1..0"),
    _shape("three_line_strike", 8, "CDL3LINESTRIKE"),
    _shape("hikkake", 5, "CDLHIKKAKE"),
)


#: Bars that the longest shape looks back.
_BACK: Final = 3

Flags = NDArray[np.bool_]
Signs = NDArray[np.int8]


class _Bar(NamedTuple):
    """Parts of all bars, or of those some bars ago, each (n,); means are over the bars before each."""

    open: Array
    high: Array
    low: Array
    close: Array
    top: Array  # of the body
    bottom: Array
    body: Array
    upper: Array  # shadows
    lower: Array
    white: Flags  # closes at or above its open
    colour: Signs  # 1 where white, else -1
    is_long: Flags  # body above the mean of 10
    is_short: Flags  # below it
    is_small: Flags  # not above it
    is_doji: Flags  # at most a tenth of the mean range of 10
    no_upper: Flags  # shadow below a tenth of it
    no_lower: Flags
    little: Array  # that tenth
    shadow: Array  # mean shadow of 10: half of both
    range_5: Array  # mean range of 5


def candlesticks(x: Inputs) -> dict[str, Array]:
    """Every column of `FEATURES`."""
    found = np.full((len(FEATURES), len(x)), np.nan)
    if len(x) > _BACK:
        bars = _parts(x)
        for j, shape in enumerate(_shapes(*(_ago(bars, back) for back in range(_BACK + 1)))):
            found[j, _BACK:] = shape
        found[-1] = _hikkake(x.high, x.low, x.close)
    for j, feature in enumerate(FEATURES):
        found[j, : feature.warmup] = np.nan
    return {feature.name: found[j] for j, feature in enumerate(FEATURES)}


def _parts(x: Inputs) -> _Bar:
    body, upper, lower = x.top - x.bottom, x.upper, x.lower
    white = x.close >= x.open
    body_10, little = mean_before(body, 10), 0.1 * mean_before(x.spread, 10)
    return _Bar(
        *(x.open, x.high, x.low, x.close, x.top, x.bottom, body, upper, lower, white),
        colour=2 * white.view(np.int8) - 1,
        is_long=body > body_10,
        is_short=body < body_10,
        is_small=body <= body_10,
        is_doji=body <= little,
        no_upper=upper < little,
        no_lower=lower < little,
        little=little,
        shadow=mean_before(upper + lower, 10) / 2.0,
        range_5=mean_before(x.spread, 5),
    )


def _ago(bars: _Bar, back: int) -> _Bar:
    """The parts of the bars `back` bars before each bar from the fourth on: views."""
    count = len(bars.open)
    views: Any = (part[_BACK - back : count - back] for part in bars)
    return _Bar(*views)


def _shapes(now: _Bar, one: _Bar, two: _Bar, three: _Bar) -> Iterator[Signs | Flags]:
    """Every shape but the last in the order of `FEATURES`; `one` is the bar before `now`, and so on."""
    longest, shortest = np.maximum(now.upper, now.lower), np.minimum(now.upper, now.lower)
    bare_open = np.where(now.white, now.no_lower, now.no_upper)
    belt_hold = _signed(now.is_long & bare_open, now)
    inside = (now.top <= one.top) & (now.bottom >= one.bottom) & one.is_long
    yield _hammer(now, one)
    yield _inverted_hammer(now, one)
    yield _signed(now.is_long & now.no_upper & now.no_lower, now)  # marubozu
    yield _signed(now.is_long & np.where(now.white, now.no_upper, now.no_lower), now)  # closing marubozu
    yield belt_hold
    yield _signed(now.is_long & (longest < now.shadow), now)  # long line
    yield _signed(now.is_short & (longest < now.shadow), now)  # short line
    yield _signed(now.is_short & (shortest > now.body), now)  # spinning top
    yield _signed(now.is_short & (shortest > 2.0 * now.body), now)  # high wave
    yield now.is_doji & (longest > now.body)  # long-legged
    yield _dragonfly(now)
    yield -_signed(one.is_long & now.is_doji & np.where(one.white, _up(now, one), _down(now, one)), one)
    yield -_signed(inside & now.is_small, one)  # harami
    yield -_signed(inside & now.is_doji, one)  # harami cross
    yield _piercing(now, one)
    yield belt_hold * (_equal(now.open, one.open, one) & (now.white != one.white))  # separating lines
    yield ~(now.white | one.white) & _equal(now.close, one.close, one)  # matching low
    yield _gap_star(now, one, two)
    yield _three_inside(now, one, two)
    yield _three_outside(now, one, two)
    yield _three_soldiers(now, one, two, three)
    yield -_advance_block(now, one, two).view(np.int8)
    yield _three_line_strike(now, one, two, three)


def _signed(shape: Flags, bar: _Bar) -> Signs:
    """The colour of `bar` where the shape is there."""
    return shape * bar.colour


def _either(bullish: Flags, bearish: Flags) -> Signs:
    return bullish.view(np.int8) - bearish.view(np.int8)


def _up(bar: _Bar, before: _Bar) -> Flags:
    """A gap between the bodies."""
    return bar.bottom > before.top


def _down(bar: _Bar, before: _Bar) -> Flags:
    return bar.top < before.bottom


def _equal(a: Array, b: Array, bar: _Bar) -> Flags:
    equal = 0.05 * bar.range_5
    return (a <= b + equal) & (a >= b - equal)


def _hammer(now: _Bar, one: _Bar) -> Signs:
    """+1 below the previous low or near it, -1 (hanging man) above the previous high or near it."""
    shape, near = now.is_short & (now.lower > now.body) & now.no_upper, 0.2 * one.range_5
    return _either(shape & (now.bottom <= one.low + near), shape & (now.bottom >= one.high - near))


def _inverted_hammer(now: _Bar, one: _Bar) -> Signs:
    """+1 after a gap down, -1 (shooting star) after a gap up."""
    shape = now.is_short & (now.upper > now.body) & now.no_lower
    return _either(shape & _down(now, one), shape & _up(now, one))


def _dragonfly(now: _Bar) -> Signs:
    """+1 without upper shadow, -1 (gravestone) without lower shadow."""
    dragonfly = now.is_doji & now.no_upper & (now.lower > now.little)
    return _either(dragonfly, now.is_doji & now.no_lower & (now.upper > now.little))


def _piercing(now: _Bar, one: _Bar) -> Signs:
    """+1 piercing line, -1 dark cloud cover: past the middle of a long body of the other colour."""
    half = 0.5 * one.body
    below = (now.open < one.low) & (now.close < one.open) & (now.close > one.close + half)
    above = (now.open > one.high) & (now.close > one.open) & (now.close < one.close - half)
    bullish = now.white & now.is_long & ~one.white & one.is_long & below
    return _either(bullish, ~now.white & one.white & one.is_long & above)


def _gap_star(now: _Bar, one: _Bar, two: _Bar) -> Signs:
    """Morning (+1) or evening (-1) star with a gap between the first two bodies."""
    sizes, reach = two.is_long & one.is_small & now.is_long, 0.3 * two.body
    morning = now.white & ~two.white & _down(one, two) & (now.close > two.close + reach)
    evening = ~now.white & two.white & _up(one, two) & (now.close < two.close - reach)
    return _either(sizes & morning, sizes & evening)


def _three_inside(now: _Bar, one: _Bar, two: _Bar) -> Signs:
    inside = two.is_long & one.is_small & (one.top < two.top) & (one.bottom > two.bottom)
    bullish = now.white & ~two.white & (now.close > two.open)
    return _either(inside & bullish, inside & ~now.white & two.white & (now.close < two.open))


def _three_outside(now: _Bar, one: _Bar, two: _Bar) -> Signs:
    over = (one.close > two.open) & (one.open < two.close) & (now.close > one.close)
    under = (one.open > two.close) & (one.close < two.open) & (now.close < one.close)
    return _either(one.white & ~two.white & over, ~one.white & two.white & under)


def _rises(now: _Bar, one: _Bar, two: _Bar) -> Flags:
    """Three white bars with rising closes, each opening within the body before or near its end."""
    rises = now.white & one.white & two.white & (now.close > one.close) & (one.close > two.close)
    for bar, before in ((one, two), (now, one)):
        rises &= (bar.open > before.open) & (bar.open <= before.close + 0.2 * before.range_5)
    return rises


def _three_soldiers(now: _Bar, one: _Bar, two: _Bar, three: _Bar) -> Signs:
    """+1 three white soldiers, -1 three black crows."""
    soldiers = _rises(now, one, two) & now.no_upper & one.no_upper & two.no_upper & now.is_long
    soldiers &= (one.body > two.body - 0.6 * two.range_5) & (now.body > one.body - 0.6 * one.range_5)
    crows = three.white & ~(two.white | one.white | now.white)
    crows &= now.no_lower & one.no_lower & two.no_lower & (three.high > two.close)
    for bar, before in ((one, two), (now, one)):
        crows &= (bar.open < before.open) & (bar.open > before.close) & (bar.close < before.close)
    return _either(soldiers, crows)


def _advance_block(now: _Bar, one: _Bar, two: _Bar) -> Flags:
    """Three rising white bars that weaken."""
    much_less = (one.body < two.body - 0.6 * two.range_5) & (now.body < one.body + 0.2 * one.range_5)
    much_less |= now.body < one.body - 0.6 * one.range_5
    less = now.body < one.body
    shadows = (now.upper > now.shadow) | (one.upper > one.shadow)
    weakens = much_less | (less & (one.body < two.body) & shadows) | (less & (now.upper > now.body))
    return _rises(now, one, two) & two.is_long & (two.upper < two.shadow) & weakens


def _three_line_strike(now: _Bar, one: _Bar, two: _Bar, three: _Bar) -> Signs:
    """Three bars of one colour, undone by a fourth that opens beyond them; its sign is theirs."""
    alike = (three.white == one.white) & (two.white == one.white) & (now.white != one.white)
    for bar, before in ((two, three), (one, two)):
        near = 0.2 * before.range_5
        alike &= (bar.open >= before.bottom - near) & (bar.open <= before.top + near)
    up = (one.close > two.close) & (two.close > three.close)
    up &= (now.open > one.close) & (now.close < three.open)
    down = (one.close < two.close) & (two.close < three.close)
    down &= (now.open < one.close) & (now.close > three.open)
    return _either(alike & one.white & up, alike & ~one.white & down)


@njit(cache=True)
def _hikkake(high: Array, low: Array, close: Array) -> Signs:
    """+1 where a bar leaves an inside bar downwards, a false move, and where a close within three bars takes
    it back; -1 the mirror."""
    out = np.zeros(close.shape[0], np.int8)
    break_t, side = -9, 0
    for t in range(2, close.shape[0]):
        inside = high[t - 1] < high[t - 2] and low[t - 1] > low[t - 2]
        down = inside and high[t] < high[t - 1] and low[t] < low[t - 1]
        if down or (inside and high[t] > high[t - 1] and low[t] > low[t - 1]):
            break_t, side = t, 1 if down else -1
            out[t] = side
        elif t - break_t <= 3:
            back = close[t] > high[break_t - 1] if side == 1 else close[t] < low[break_t - 1]
            if back:
                out[t], break_t = side, -9
    return out
