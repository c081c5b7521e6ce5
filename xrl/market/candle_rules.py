"""Rules on the rows of candles, those on time aside. Leaves: rules in the order of reports."""

from collections.abc import Iterator
from math import sqrt
from typing import Final

import pandas as pd

from xrl import columns as c
from xrl.config import ValidationParams
from xrl.market import derived as d
from xrl.market import tables
from xrl.market.checks import FitsPrices, Moving, NotBelow, Rule, There, Usual, Whole, Within

PRICES: Final = (c.OPEN, c.HIGH, c.LOW, c.CLOSE)
_ORDER: Final = ((c.HIGH, c.LOW), (c.HIGH, c.OPEN), (c.HIGH, c.CLOSE), (c.OPEN, c.LOW), (c.CLOSE, c.LOW))
_TAKEN: Final = ((c.VOLUME, c.TAKER_BUY_VOLUME), (c.QUOTE_VOLUME, c.TAKER_BUY_QUOTE_VOLUME))
_WORTH: Final = ((c.QUOTE_VOLUME, c.VOLUME), (c.TAKER_BUY_QUOTE_VOLUME, c.TAKER_BUY_VOLUME))


def candle_rules(kind: tables.Kind, params: ValidationParams) -> Iterator[Rule]:
    """Rules on values, moves and feed of the candles of one timeframe."""
    yield from _values(params)
    yield from _moves(params)
    yield volume_rule(params, tables.TIMEFRAMES[kind])
    yield Rule("no volume, no move", Within(d.IDLE_RANGE, high=0), "an absent volume sent as 0")
    yield from frozen_rules(params)
    yield from quiet_rules(params)


def volume_rule(params: ValidationParams, step: pd.Timedelta) -> Rule:
    # The shorter the bar, the wilder its volume against its neighbours'.
    bound = params.max_volume_ratio * max(1.0, sqrt(pd.Timedelta(hours=1) / step))
    check = Within(d.VOLUME_RATIO, high=bound, unit="recent medians")
    return Rule("volume is plausible", check, "volume in other units", parameters=("max_volume_ratio",))


def frozen_rules(params: ValidationParams) -> Iterator[Rule]:
    cause, warn, stop = "the last row served again under new times", "frozen_warn_bars", "frozen_stop_bars"
    yield Rule("rows differ", Moving(d.EQUAL_BARS, params.frozen_warn_bars), cause, "warn", (warn,))
    yield Rule("feed is not frozen", Moving(d.EQUAL_BARS, params.frozen_stop_bars), cause, "stop", (stop,))


def quiet_rules(params: ValidationParams) -> Iterator[Rule]:
    unit = "hours without a trade"
    brief = Within(d.QUIET_H, below=params.quiet_warn_hours, unit=unit)
    yield Rule("trading goes on", brief, "an outage of the venue", "warn", ("quiet_warn_hours",))
    long = Within(d.QUIET_H, below=params.quiet_stop_hours, unit=unit)
    yield Rule("feed is not silent", long, "a halted symbol, a dead feed", "stop", ("quiet_stop_hours",))


def _values(params: ValidationParams) -> Iterator[Rule]:
    for name in c.OHLCV:
        yield Rule(f"{name} is there", There(name), "a value left out")
    for name in PRICES:
        yield Rule(f"{name} is positive", Within(name, above=0), "a price of 0 or below")
    for name in (c.VOLUME, *c.OPTIONAL_CANDLE):
        yield Rule(f"{name} is not negative", Within(name, low=0), "a count or amount below 0")
    yield Rule("trades are whole", Whole(c.TRADES), "another column in the place of the count")
    for above, below in _ORDER:
        yield Rule(f"{above} is not below {below}", NotBelow(above, below), "columns swapped, a wrong digit")
    for above, below in _TAKEN:
        cause = "takers that bought more than was traded: other units, columns swapped"
        yield Rule(f"{above} is not below {below}", NotBelow(above, below), cause)
    for quote, volume in _WORTH:
        check = FitsPrices(quote, volume, params.quote_tolerance)
        cause = "volume in contracts or lots, quote volume in coins"
        yield Rule(f"{quote} fits {volume}", check, cause, parameters=("quote_tolerance",))


def _moves(params: ValidationParams) -> Iterator[Rule]:
    for name, column, bound, cause in (
        ("price jump is plausible", d.JUMP, "max_jump", "a price in other units, the bars of another coin"),
        ("open follows the close before", d.GAP, "max_gap", "one wrong open or close, a bad splice"),
        ("price does not spike and return", d.SPIKE, "max_spike", "one bar of bad ticks"),
        ("wicks are plausible", d.WICK, "max_wick", "one bad tick in a high or low"),
    ):
        check = Usual(column, d.VOLATILITY, getattr(params, bound), params.sigmas)
        yield Rule(name, check, cause, parameters=(bound, "sigmas"))
