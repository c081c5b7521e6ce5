"""Who pushed the price, and what holding costs: volume, taker flow, funding, open interest.

Enters: `Inputs`. Leaves: (n,) arrays. Taker volume, funding and open interest may be absent, wholly or in
parts: their columns are then 0 and the flag `*_available` of that bar is 0; no bar is dropped.
"""

import numpy as np
from numpy.typing import NDArray

from xrl.features.feature import Feature, declare
from xrl.features.inputs import Inputs
from xrl.features.rolling import Array, delay, ratio, rolling_sum, trailing_sum

#: Bars behind the funding z-score: 30 settlements at one every 8 hours.
FUNDING_WINDOW = 240
#: A funding rate older than this is not known any more.
FUNDING_AGE = 48
FUNDING_SETTLEMENTS = 5
#: Rates that differ by less than this fraction of notional (0.001 bps) count as constant.
FUNDING_FLOOR = 1e-7
FUNDING_PAID_BARS = 72
OPEN_INTEREST_BARS = 12
#: Bars and known values behind the z-score of the change of open interest.
OPEN_INTEREST_WINDOW, OPEN_INTEREST_KNOWN = 96, 24
#: Changes of open interest that differ by less than this count as constant.
OPEN_INTEREST_FLOOR = 1e-9
TAKER_BARS, TAKER_LONG_BARS = 12, 48

_ABSENT, _UNIT = "0 where absent", "60-bar volatilities"
_PAID, _HELD = "fraction of notional", "log over 12 bars"

FEATURES: tuple[Feature, ...] = (
    declare(
        "volume_trend",
        "I",
        "0..1",
        (60, 59),
        "0.5 without volume",
        "12-bar mean over itself plus that of 60",
        "volume",
    ),
    declare(
        "volume_return_12",
        "I",
        _UNIT,
        (61, 60),
        "0 without volume",
        "volume-weighted mean return of 12 bars",
        "price, volume",
    ),
    declare(
        "volume_return_24",
        "I",
        _UNIT,
        (61, 60),
        "0 without volume",
        "volume-weighted mean return of 24 bars",
        "price, volume",
    ),
    declare(
        "confirmed_move_12",
        "I",
        _UNIT,
        (61, 60),
        "0 without movement",
        "12-bar return times 2 `volume_trend`",
        "price, volume",
    ),
    declare(
        "taker_imbalance",
        "IO",
        "-1..1",
        (1, 0),
        _ABSENT,
        "taker buys less sells over volume",
        "taker, volume",
    ),
    declare("taker_imbalance_12", "I", "-1..1", (12, 0), _ABSENT, "the same over 12 bars", "taker, volume"),
    declare("taker_imbalance_48", "I", "-1..1", (48, 0), _ABSENT, "the same over 48 bars", "taker, volume"),
    declare(
        "taker_absorption",
        "I",
        "-1..1",
        (1, 0),
        _ABSENT,
        "half of imbalance less (2 `close_position` - 1)",
        "price, taker, volume",
    ),
    declare(
        "taker_available", "I", "0 or 1", (1, 0), "never", "whether the bar reports taker volume", "taker"
    ),
    declare("funding_rate_last", "IO", _PAID, (48, 0), _ABSENT, "last settled rate", "funding"),
    declare(
        "funding_z",
        "IO",
        "standard deviations",
        (240, 0),
        _ABSENT,
        "last rate among the settlements of 240 bars",
        "funding",
    ),
    declare(
        "funding_paid_72", "I", _PAID, (72, 0), _ABSENT, "rates settled within 72 bars, summed", "funding"
    ),
    declare(
        "funding_due",
        "I",
        "0..1 of the period",
        (96, 0),
        _ABSENT,
        "time to the next settlement, as the last two foretell",
        "funding",
    ),
    declare(
        "funding_available",
        "I",
        "0 or 1",
        (48, 0),
        "never",
        "whether one was settled within 48 bars",
        "funding",
    ),
    declare(
        "open_interest_change",
        "I",
        _HELD,
        (13, 0),
        _ABSENT,
        "log(open interest / 12 bars before)",
        "open_interest",
    ),
    declare(
        "open_interest_z",
        "I",
        "standard deviations",
        (108, 0),
        _ABSENT,
        "that change among those of 96 bars",
        "open_interest",
    ),
    declare(
        "open_interest_available",
        "I",
        "0 or 1",
        (13, 0),
        "never",
        "whether both values are known",
        "open_interest",
    ),
)


def flow(x: Inputs) -> dict[str, Array]:
    """Every flow column; see `FEATURES` for units and warm-up."""
    return {**_volume(x), **_taker(x), **_funding(x), **_open_interest(x)}


def _volume(x: Inputs) -> dict[str, Array]:
    """Whether moves came with volume.

    `volume_return_w` is the volume-weighted mean one-bar return of w bars over 60-bar volatility;
    `confirmed_move_12` is the 12-bar return in volatilities times twice the share `volume_trend`, which is
    short over short plus long mean volume (0.5 where both are alike or no volume was traded).
    """
    short, long = x.volume_12 / 12.0, rolling_sum(x.volume, 60) / 60.0
    trend = ratio(short, short + long, undefined=0.5)
    move = ratio(rolling_sum(x.log_return, 12), x.volatility * 12**0.5, undefined=0.0, floor=1e-9)
    return {
        "volume_trend": trend,
        "volume_return_12": _volume_return(x, 12, x.volume_12),
        "volume_return_24": _volume_return(x, 24, x.volume_24),
        "confirmed_move_12": 2.0 * trend * move,
    }


def _volume_return(x: Inputs, window: int, volume: Array) -> Array:
    weighted = rolling_sum(x.log_return * x.volume, window)
    mean = ratio(weighted, volume, undefined=0.0)
    return ratio(mean, x.volatility, undefined=0.0, floor=1e-9)


def _taker(x: Inputs) -> dict[str, Array]:
    """Taker buys minus taker sells over volume, of the bar and of the last 12 and 48 bars that report it.

    `taker_absorption` sets this effort against its result: 1 where takers bought all and the bar closed at
    its low, -1 where they sold all and it closed at its high.
    """
    bought = np.full(len(x), np.nan) if x.taker_buy_volume is None else x.taker_buy_volume
    known = np.isfinite(bought)
    net = np.where(known, np.clip(2.0 * bought - x.volume, -x.volume, x.volume), 0.0)
    volume = np.where(known, x.volume, 0.0)
    imbalance = ratio(net, volume, undefined=0.0)
    absorbed = (imbalance - (2.0 * x.close_position - 1.0)) / 2.0

    def of(bars: int) -> Array:
        return ratio(trailing_sum(net, bars), trailing_sum(volume, bars), undefined=0.0)

    return {
        "taker_imbalance": imbalance,
        "taker_imbalance_12": of(TAKER_BARS),
        "taker_imbalance_48": of(TAKER_LONG_BARS),
        "taker_absorption": np.where(known, absorbed, 0.0),
        "taker_available": known.astype(np.float64),
    }


def _funding(x: Inputs) -> dict[str, Array]:
    """Last settled rate, its z-score, what 72 bars cost, and how far off the next settlement is.

    Settlements come at a known period that a venue may change: the next is expected as long after the last
    as that came after the one before it, and stands at 0 (any moment) once that time is over.
    """
    rates = np.full(len(x), np.nan) if x.funding_rate is None else x.funding_rate
    settled = np.isfinite(rates)
    position = np.arange(len(x))
    last = np.maximum.accumulate(np.where(settled, position, -1)) if len(x) else position
    known = (last >= 0) & (position - last < FUNDING_AGE)
    paid = np.where(settled, rates, 0.0)
    current = np.where(known, paid[last] if len(x) else paid, 0.0)
    count = trailing_sum(settled.astype(np.float64), FUNDING_WINDOW)
    mean = ratio(trailing_sum(paid, FUNDING_WINDOW), count, undefined=0.0)
    square = ratio(trailing_sum(paid * paid, FUNDING_WINDOW), count, undefined=0.0)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
    score = ratio(current - mean, deviation, undefined=0.0, floor=FUNDING_FLOOR)
    before = _before(last)
    period = (last - before).astype(np.float64)
    timed = known & (before >= 0) & (period < FUNDING_AGE)
    left = ratio(np.maximum(last + period - position - 1.0, 0.0), period, undefined=0.0)
    return {
        "funding_rate_last": current,
        "funding_z": np.where(known & (count >= FUNDING_SETTLEMENTS), score, 0.0),
        "funding_paid_72": np.where(known, trailing_sum(paid, FUNDING_PAID_BARS), 0.0),
        "funding_due": np.where(timed, left, 0.0),
        "funding_available": known.astype(np.float64),
    }


def _before(last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of the settlement before `last`, -1 where there is none."""
    at_previous_bar = np.concatenate([[-1], last[:-1]])  # (n,): the last one before each bar
    return np.where(last >= 0, at_previous_bar[last], -1) if len(last) else last


def _open_interest(x: Inputs) -> dict[str, Array]:
    """Log change of open interest over 12 bars, and its z-score among those known of the last 96 bars."""
    held = np.full(len(x), np.nan) if x.open_interest is None else x.open_interest
    before = delay(held, OPEN_INTEREST_BARS)
    known = (held > 0) & (before > 0) & np.isfinite(held) & np.isfinite(before)
    change = np.log(np.where(known, held, 1.0)) - np.log(np.where(known, before, 1.0))
    count = trailing_sum(known.astype(np.float64), OPEN_INTEREST_WINDOW)
    mean = ratio(trailing_sum(change, OPEN_INTEREST_WINDOW), count, undefined=0.0)
    square = ratio(trailing_sum(change * change, OPEN_INTEREST_WINDOW), count, undefined=0.0)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
    score = ratio(change - mean, deviation, undefined=0.0, floor=OPEN_INTEREST_FLOOR)
    return {
        "open_interest_change": change,
        "open_interest_z": np.where(known & (count >= OPEN_INTEREST_KNOWN), score, 0.0),
        "open_interest_available": known.astype(np.float64),
    }
