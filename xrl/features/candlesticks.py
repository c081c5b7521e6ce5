"""TA-Lib's candlestick patterns, computed afresh per bar. Enters: `Inputs`. Leaves: (n,) arrays.

Definitions and settings are TA-Lib's (`ta_CDL*.c`; Nison 1991, Morris 1995). Its functions compare with
running averages whose rounding depends on where the history starts: at exact ties, frequent on tick grids, a
serving window and the full history would disagree. Here every average is summed over its own bars, so they
agree to the bit; where no comparison is tied both libraries do (tested). A pattern and its mirror share a
column: +1 bullish, -1 bearish, 0 absent; a shape that TA-Lib signs by its colour keeps that sign.
"""

from typing import Final

import numpy as np
from numba import njit

from xrl.features.feature import Feature, declare
from xrl.features.inputs import Inputs
from xrl.features.rolling import Array


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


#: Columns of the (n, 14) table of parts: averages are over the bars before, NaN until there are enough.
OPEN, HIGH, LOW, CLOSE = range(4)
TOP, BOTTOM, BODY, UPPER, LOWER = range(4, 9)  # ends and length of the body, shadows
COLOUR: Final = 9  # 1 where it closes at or above its open, else -1
BODY_10, SHADOW_10, RANGE_10, RANGE_5 = range(10, 14)  # mean body, shadow (half of both), high minus low
PARTS: Final = 14


def candlesticks(x: Inputs) -> dict[str, Array]:
    """Every column of `FEATURES`."""
    found = np.full((len(FEATURES), len(x)), np.nan)
    _scan(_parts(x.open, x.high, x.low, x.close), found)
    for j, feature in enumerate(FEATURES):
        found[j, : feature.warmup] = np.nan
    return {feature.name: found[j] for j, feature in enumerate(FEATURES)}


@njit(cache=True)
def _parts(open_: Array, high: Array, low: Array, close: Array) -> Array:
    b = np.full((open_.shape[0], PARTS), np.nan)
    for t in range(open_.shape[0]):
        b[t, OPEN], b[t, HIGH], b[t, LOW], b[t, CLOSE] = open_[t], high[t], low[t], close[t]
        b[t, TOP], b[t, BOTTOM] = max(open_[t], close[t]), min(open_[t], close[t])
        b[t, BODY], b[t, COLOUR] = b[t, TOP] - b[t, BOTTOM], 1.0 if close[t] >= open_[t] else -1.0
        b[t, UPPER], b[t, LOWER] = high[t] - b[t, TOP], b[t, BOTTOM] - low[t]
        if t >= 5:
            b[t, RANGE_5] = _mean_range(b, t, 5)
        if t >= 10:
            b[t, RANGE_10] = _mean_range(b, t, 10)
            body, shadows = 0.0, 0.0
            for s in range(t - 10, t):
                body += b[s, BODY]
                shadows += b[s, UPPER] + b[s, LOWER]
            b[t, BODY_10], b[t, SHADOW_10] = body / 10.0, shadows / 10.0 / 2.0
    return b


@njit
def _mean_range(b: Array, t: int, window: int) -> float:
    """Mean of high minus low over the `window` bars before `t`, summed from the oldest on."""
    total = 0.0
    for s in range(t - window, t):
        total += b[s, HIGH] - b[s, LOW]
    return total / window


@njit(cache=True)
def _scan(b: Array, out: Array) -> None:
    """Fill `out` (len(FEATURES), n) from bar 3 on; what a bar has too little history for is cut off later."""
    for t in range(3, out.shape[1]):
        out[0, t] = _hammer(b, t)
        out[1, t] = _inverted_hammer(b, t)
        out[2, t] = _marubozu(b, t)
        out[3, t] = _closing_marubozu(b, t)
        out[4, t] = _belt_hold(b, t)
        out[5, t] = _line(b, t, True)
        out[6, t] = _line(b, t, False)
        out[7, t] = _top(b, t, 1.0)
        out[8, t] = _top(b, t, 2.0)
        out[9, t] = _is_doji(b, t) and max(b[t, UPPER], b[t, LOWER]) > b[t, BODY]
        out[10, t] = _dragonfly(b, t)
        out[11, t] = _doji_star(b, t)
        out[12, t] = _harami(b, t, _is_short_or_even(b, t))
        out[13, t] = _harami(b, t, _is_doji(b, t))
        out[14, t] = _piercing(b, t)
        out[15, t] = _separating(b, t)
        out[16, t] = _matching_low(b, t)
        out[17, t] = _gap_star(b, t)
        out[18, t] = _three_inside(b, t)
        out[19, t] = _three_outside(b, t)
        out[20, t] = _white_soldiers(b, t) - _black_crows(b, t)
        out[21, t] = -_advance_block(b, t)
        out[22, t] = _three_line_strike(b, t)
        out[23, t] = _hikkake(b, t)


# TA-Lib's settings: what counts as long, short, near and far.


@njit
def _is_long(b: Array, t: int) -> bool:
    return bool(b[t, BODY] > b[t, BODY_10])


@njit
def _is_short(b: Array, t: int) -> bool:
    return bool(b[t, BODY] < b[t, BODY_10])


@njit
def _is_short_or_even(b: Array, t: int) -> bool:
    return bool(b[t, BODY] <= b[t, BODY_10])


@njit
def _is_doji(b: Array, t: int) -> bool:
    return bool(b[t, BODY] <= 0.1 * b[t, RANGE_10])


@njit
def _no_upper(b: Array, t: int) -> bool:
    return bool(b[t, UPPER] < 0.1 * b[t, RANGE_10])


@njit
def _no_lower(b: Array, t: int) -> bool:
    return bool(b[t, LOWER] < 0.1 * b[t, RANGE_10])


@njit
def _gaps_up(b: Array, t: int) -> bool:
    return bool(b[t, BOTTOM] > b[t - 1, TOP])


@njit
def _gaps_down(b: Array, t: int) -> bool:
    return bool(b[t, TOP] < b[t - 1, BOTTOM])


@njit
def _opens_near(b: Array, t: int) -> bool:
    """Opens within the previous body or near its end, in the direction of a rise."""
    return bool(b[t - 1, OPEN] < b[t, OPEN] <= b[t - 1, CLOSE] + 0.2 * b[t - 1, RANGE_5])


@njit
def _opens_in_or_near(b: Array, t: int) -> bool:
    near = 0.2 * b[t - 1, RANGE_5]
    return bool(b[t - 1, BOTTOM] - near <= b[t, OPEN] <= b[t - 1, TOP] + near)


@njit
def _rises(b: Array, t: int) -> bool:
    """Three white bars, each close above the one before."""
    white = b[t, COLOUR] == 1 and b[t - 1, COLOUR] == 1 and b[t - 2, COLOUR] == 1
    return bool(white and b[t, CLOSE] > b[t - 1, CLOSE] > b[t - 2, CLOSE])


# One bar.


@njit
def _hammer(b: Array, t: int) -> int:
    """+1 below the previous low or near it, -1 (hanging man) above the previous high or near it."""
    if not (_is_short(b, t) and b[t, LOWER] > b[t, BODY] and _no_upper(b, t)):
        return 0
    near = 0.2 * b[t - 1, RANGE_5]
    return int(b[t, BOTTOM] <= b[t - 1, LOW] + near) - int(b[t, BOTTOM] >= b[t - 1, HIGH] - near)


@njit
def _inverted_hammer(b: Array, t: int) -> int:
    """+1 after a gap down, -1 (shooting star) after a gap up."""
    if not (_is_short(b, t) and b[t, UPPER] > b[t, BODY] and _no_lower(b, t)):
        return 0
    return int(_gaps_down(b, t)) - int(_gaps_up(b, t))


@njit
def _marubozu(b: Array, t: int) -> int:
    return b[t, COLOUR] if _is_long(b, t) and _no_upper(b, t) and _no_lower(b, t) else 0


@njit
def _closing_marubozu(b: Array, t: int) -> int:
    bare = _no_upper(b, t) if b[t, COLOUR] == 1 else _no_lower(b, t)
    return b[t, COLOUR] if _is_long(b, t) and bare else 0


@njit
def _belt_hold(b: Array, t: int) -> int:
    bare = _no_lower(b, t) if b[t, COLOUR] == 1 else _no_upper(b, t)
    return b[t, COLOUR] if _is_long(b, t) and bare else 0


@njit
def _line(b: Array, t: int, long: bool) -> int:
    """Long or short line: both shadows short."""
    size = _is_long(b, t) if long else _is_short(b, t)
    return b[t, COLOUR] if size and max(b[t, UPPER], b[t, LOWER]) < b[t, SHADOW_10] else 0


@njit
def _top(b: Array, t: int, times: float) -> int:
    """Short body with both shadows longer than `times` the body: spinning top (1), high wave (2)."""
    return b[t, COLOUR] if _is_short(b, t) and min(b[t, UPPER], b[t, LOWER]) > times * b[t, BODY] else 0


@njit
def _dragonfly(b: Array, t: int) -> int:
    """+1 without upper shadow, -1 (gravestone) without lower shadow."""
    if not _is_doji(b, t):
        return 0
    very_short = 0.1 * b[t, RANGE_10]
    dragonfly = _no_upper(b, t) and b[t, LOWER] > very_short
    return int(dragonfly) - int(_no_lower(b, t) and b[t, UPPER] > very_short)


# Two bars.


@njit
def _doji_star(b: Array, t: int) -> int:
    gap = _gaps_up(b, t) if b[t - 1, COLOUR] == 1 else _gaps_down(b, t)
    return -b[t - 1, COLOUR] if _is_long(b, t - 1) and _is_doji(b, t) and gap else 0


@njit
def _harami(b: Array, t: int, small: bool) -> int:
    inside = b[t, TOP] <= b[t - 1, TOP] and b[t, BOTTOM] >= b[t - 1, BOTTOM]
    return -b[t - 1, COLOUR] if small and _is_long(b, t - 1) and inside else 0


@njit
def _piercing(b: Array, t: int) -> int:
    """+1 piercing line, -1 dark cloud cover: past the middle of a long body of the other colour."""
    if b[t, COLOUR] == b[t - 1, COLOUR] or not _is_long(b, t - 1):
        return 0
    half = 0.5 * b[t - 1, BODY]
    if b[t, COLOUR] == 1:
        opens, closes = b[t, OPEN] < b[t - 1, LOW], b[t - 1, CLOSE] + half < b[t, CLOSE] < b[t - 1, OPEN]
        return int(opens and closes and _is_long(b, t))
    return -int(b[t, OPEN] > b[t - 1, HIGH] and b[t - 1, OPEN] < b[t, CLOSE] < b[t - 1, CLOSE] - half)


@njit
def _separating(b: Array, t: int) -> int:
    equal = 0.05 * b[t - 1, RANGE_5]
    together = b[t - 1, OPEN] - equal <= b[t, OPEN] <= b[t - 1, OPEN] + equal
    return _belt_hold(b, t) if together and b[t, COLOUR] != b[t - 1, COLOUR] else 0


@njit
def _matching_low(b: Array, t: int) -> bool:
    equal = 0.05 * b[t - 1, RANGE_5]
    black = b[t, COLOUR] == -1 and b[t - 1, COLOUR] == -1
    return bool(black and b[t - 1, CLOSE] - equal <= b[t, CLOSE] <= b[t - 1, CLOSE] + equal)


# Three bars and more.


@njit
def _gap_star(b: Array, t: int) -> int:
    """Morning (+1) or evening (-1) star with a gap between the first two bodies."""
    sizes = _is_long(b, t - 2) and _is_short_or_even(b, t - 1) and b[t, BODY] > b[t, BODY_10]
    if not sizes or b[t, COLOUR] == b[t - 2, COLOUR]:
        return 0
    reach = 0.3 * b[t - 2, BODY]
    if b[t, COLOUR] == 1:
        return int(_gaps_down(b, t - 1) and b[t, CLOSE] > b[t - 2, CLOSE] + reach)
    return -int(_gaps_up(b, t - 1) and b[t, CLOSE] < b[t - 2, CLOSE] - reach)


@njit
def _three_inside(b: Array, t: int) -> int:
    inside = b[t - 1, TOP] < b[t - 2, TOP] and b[t - 1, BOTTOM] > b[t - 2, BOTTOM]
    if not (_is_long(b, t - 2) and _is_short_or_even(b, t - 1) and inside):
        return 0
    if b[t - 2, COLOUR] == 1:
        return -int(b[t, COLOUR] == -1 and b[t, CLOSE] < b[t - 2, OPEN])
    return int(b[t, COLOUR] == 1 and b[t, CLOSE] > b[t - 2, OPEN])


@njit
def _three_outside(b: Array, t: int) -> int:
    if b[t - 1, COLOUR] == b[t - 2, COLOUR]:
        return 0
    if b[t - 1, COLOUR] == 1:
        engulfs = b[t - 1, CLOSE] > b[t - 2, OPEN] and b[t - 1, OPEN] < b[t - 2, CLOSE]
        return int(engulfs and b[t, CLOSE] > b[t - 1, CLOSE])
    engulfs = b[t - 1, OPEN] > b[t - 2, CLOSE] and b[t - 1, CLOSE] < b[t - 2, OPEN]
    return -int(engulfs and b[t, CLOSE] < b[t - 1, CLOSE])


@njit
def _white_soldiers(b: Array, t: int) -> int:
    bare = _no_upper(b, t) and _no_upper(b, t - 1) and _no_upper(b, t - 2)
    if not (_rises(b, t) and bare and _opens_near(b, t) and _opens_near(b, t - 1)):
        return 0
    grows = b[t - 1, BODY] > b[t - 2, BODY] - 0.6 * b[t - 2, RANGE_5]
    grows = grows and b[t, BODY] > b[t - 1, BODY] - 0.6 * b[t - 1, RANGE_5]
    return int(grows and b[t, BODY] > b[t, BODY_10])


@njit
def _black_crows(b: Array, t: int) -> int:
    if not (b[t - 3, COLOUR] == 1 and b[t - 2, COLOUR] == b[t - 1, COLOUR] == b[t, COLOUR] == -1):
        return 0
    bare = _no_lower(b, t) and _no_lower(b, t - 1) and _no_lower(b, t - 2)
    inside = b[t - 2, CLOSE] < b[t - 1, OPEN] < b[t - 2, OPEN]
    inside = inside and b[t - 1, CLOSE] < b[t, OPEN] < b[t - 1, OPEN]
    falls = b[t - 3, HIGH] > b[t - 2, CLOSE] > b[t - 1, CLOSE] > b[t, CLOSE]
    return int(bare and inside and falls)


@njit
def _advance_block(b: Array, t: int) -> int:
    """Three rising white bars that weaken."""
    if not (_rises(b, t) and _opens_near(b, t) and _opens_near(b, t - 1)):
        return 0
    if not (_is_long(b, t - 2) and b[t - 2, UPPER] < b[t - 2, SHADOW_10]):
        return 0
    first, second, third = b[t - 2, BODY], b[t - 1, BODY], b[t, BODY]
    shadows = b[t, UPPER] > b[t, SHADOW_10] or b[t - 1, UPPER] > b[t - 1, SHADOW_10]
    return int(
        (second < first - 0.6 * b[t - 2, RANGE_5] and third < second + 0.2 * b[t - 1, RANGE_5])
        or third < second - 0.6 * b[t - 1, RANGE_5]
        or (third < second < first and shadows)
        or (third < second and b[t, UPPER] > third)
    )


@njit
def _three_line_strike(b: Array, t: int) -> int:
    """Three bars of one colour, undone by a fourth that opens beyond them; its sign is theirs."""
    side = b[t - 1, COLOUR]
    alike = b[t - 3, COLOUR] == side and b[t - 2, COLOUR] == side and b[t, COLOUR] == -side
    if not (alike and _opens_in_or_near(b, t - 1) and _opens_in_or_near(b, t - 2)):
        return 0
    if side == 1:
        runs = b[t - 1, CLOSE] > b[t - 2, CLOSE] > b[t - 3, CLOSE]
        return int(runs and b[t, OPEN] > b[t - 1, CLOSE] and b[t, CLOSE] < b[t - 3, OPEN])
    runs = b[t - 1, CLOSE] < b[t - 2, CLOSE] < b[t - 3, CLOSE]
    return -int(runs and b[t, OPEN] < b[t - 1, CLOSE] and b[t, CLOSE] > b[t - 3, OPEN])


@njit
def _breaks_inside(b: Array, t: int) -> int:
    """+1 where a bar leaves an inside bar downwards (a false move), -1 upwards, 0 else."""
    if not (b[t - 1, HIGH] < b[t - 2, HIGH] and b[t - 1, LOW] > b[t - 2, LOW]):
        return 0
    down = b[t, HIGH] < b[t - 1, HIGH] and b[t, LOW] < b[t - 1, LOW]
    up = b[t, HIGH] > b[t - 1, HIGH] and b[t, LOW] > b[t - 1, LOW]
    return int(down) - int(up)


@njit
def _reverses(b: Array, t: int, break_t: int, side: int) -> bool:
    """Whether the close of `t` takes back the break of the inside bar before `break_t`."""
    return bool(b[t, CLOSE] > b[break_t - 1, HIGH] if side == 1 else b[t, CLOSE] < b[break_t - 1, LOW])


@njit
def _hikkake(b: Array, t: int) -> int:
    """The break, or the first close within three bars after the latest one that takes it back."""
    side: int = _breaks_inside(b, t)
    if side != 0:
        return side
    for break_t in range(t - 1, max(t - 4, 1), -1):
        side = _breaks_inside(b, break_t)
        if side == 0:
            continue
        for s in range(break_t + 1, t):
            if _reverses(b, s, break_t, side):
                return 0
        return side if _reverses(b, t, break_t, side) else 0
    return 0
