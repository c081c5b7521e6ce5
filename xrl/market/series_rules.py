"""Rules on the rows of funding, open interest and taker volume. Leaves: rules in the order of reports."""

from collections.abc import Iterator
from typing import Final

import pandas as pd

from xrl import columns as c
from xrl.config import ValidationParams
from xrl.market import derived as d
from xrl.market.candle_rules import frozen_rules, quiet_rules, volume_rule
from xrl.market.checks import Moving, OnSchedule, Rule, There, Usual, Within

#: Times between two settlements that venues use.
FUNDING_HOURS: Final = (1.0, 2.0, 4.0, 8.0)


def funding_rules(params: ValidationParams) -> Iterator[Rule]:
    # A venue that changes its schedule may leave one odd gap: worth a look, not a stop.
    yield Rule("settlements keep a schedule", OnSchedule(d.GAP_H, FUNDING_HOURS), "an odd gap", "warn")
    yield Rule("funding_rate is there", There(c.FUNDING_RATE), "a settlement without a rate")
    most = params.max_funding_rate
    check = Within(c.FUNDING_RATE, low=-most, high=most)
    cause = "a rate in percent or per year"
    yield Rule("funding_rate is plausible", check, cause, parameters=("max_funding_rate",))


def open_interest_rules(params: ValidationParams) -> Iterator[Rule]:
    yield Rule(f"{c.OPEN_INTEREST} is there", There(c.OPEN_INTEREST), "a mark without a value")
    for name in (c.OPEN_INTEREST, c.OPEN_INTEREST_VALUE):
        yield Rule(f"{name} is not negative", Within(name, low=0), "an amount below 0")
    own = Usual(d.JUMP, d.VOLATILITY, params.max_open_interest_jump, params.sigmas)
    bounds = ("max_open_interest_jump", "sigmas")
    yield Rule("open_interest jump is plausible", own, "contracts sent for coins", parameters=bounds)
    implied = Usual(d.IMPLIED_JUMP, d.IMPLIED_VOLATILITY, params.max_jump, params.sigmas)
    cause = "an amount and a worth whose units do not fit"
    yield Rule("implied price jump is plausible", implied, cause, parameters=("max_jump", "sigmas"))
    # The mark of a quiet coin may stand still for a while, so it gets the hours of a quiet feed.
    cause, brief, long = "the last mark served again under new times", "frozen_stop_bars", "quiet_stop_hours"
    yield Rule("rows differ", Moving(d.EQUAL_BARS, params.frozen_stop_bars), cause, "warn", (brief,))
    hours = int(params.quiet_stop_hours)
    yield Rule("feed is not frozen", Moving(d.EQUAL_BARS, hours), cause, "stop", (long,))


def taker_volume_rules(params: ValidationParams) -> Iterator[Rule]:
    for name in (c.TAKER_BUY_VOLUME, c.TAKER_SELL_VOLUME):
        yield Rule(f"{name} is there", There(name), "an hour without a value")
        yield Rule(f"{name} is not negative", Within(name, low=0), "an amount below 0")
    yield volume_rule(params, pd.Timedelta(hours=1))
    yield from frozen_rules(params)
    yield from quiet_rules(params)
