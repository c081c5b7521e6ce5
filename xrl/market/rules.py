"""The rules that a batch must keep, by kind of table: each with its name, severity, bound and what breaks it.

Enters: a kind of table, the bounds and severities of params.yaml. Leaves: its rules, which `expectations`
judges, and the table of all rules in docs/validation.md, which also says where the bounds come from.
"""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from xrl import columns as c
from xrl.config import ValidationParams
from xrl.errors import ConfigError
from xrl.market import derived as d
from xrl.market import tables
from xrl.market.candle_rules import candle_rules
from xrl.market.checks import (
    Columns,
    Finite,
    NotRepeated,
    OnGrid,
    Rule,
    SomeRows,
    Spaced,
    Stored,
    There,
    Usual,
    Within,
)
from xrl.market.series_rules import funding_rules, open_interest_rules, taker_volume_rules

_SERIES_RULES = {
    tables.FUNDING: funding_rules,
    tables.OPEN_INTEREST: open_interest_rules,
    tables.TAKER_VOLUME: taker_volume_rules,
}


def schema_rules(kind: tables.Kind, params: ValidationParams, demand: d.Demand) -> tuple[Rule, ...]:
    """Rules on the frame of `kind`, judged before any row is.

    Raises:
        ConfigError: `params.severity` names a rule that does not exist or that cannot be but a stop.
    """
    return _with_severity(_schema(kind, demand), params)


def row_rules(kind: tables.Kind, params: ValidationParams, demand: d.Demand) -> tuple[Rule, ...]:
    """Rules on the rows that `derived.judged_rows(kind, .., demand)` leaves.

    Raises:
        ConfigError: `params.severity` names a rule that does not exist or that cannot be but a stop.
    """
    return _with_severity(_rows(kind, params, demand), params)


def every_rule(params: ValidationParams) -> dict[str, list[tuple[tables.Kind, Rule]]]:
    """All rules by key, each with the kinds that have it; `1h` stands for candles of every timeframe."""
    demand = d.Demand({}, fresh_until=pd.Timestamp(0, tz="UTC"), whole_history=True)
    found: dict[str, list[tuple[tables.Kind, Rule]]] = {}
    for kind in ("1h", *tables.SERIES):
        for rule in (*_schema(kind, demand), *_rows(kind, params, demand)):
            found.setdefault(rule.key, []).append((kind, rule))
    return found


def rule_table(params: ValidationParams) -> str:
    """All rules as a Markdown table, with their own severities and the bounds of `params`."""
    lines = [
        "| rule | tables | severity | holds | broken by, for example | parameter |",
        "|---|---|---|---|---|---|",
    ]
    for key, found in every_rule(params).items():
        kinds = ", ".join("candles" if tables.is_candles(kind) else kind for kind, _ in found)
        rules = [rule for _, rule in found]
        holds = "; ".join(dict.fromkeys(str(rule.check) for rule in rules))
        causes = "; ".join(dict.fromkeys(rule.broken_by for rule in rules))
        names = ", ".join(dict.fromkeys(f"`{name}`" for rule in rules for name in rule.parameters))
        lines.append(f"| {key} | {kinds} | {rules[0].severity} | {holds} | {causes} | {names} |")
    return "\n".join(lines) + "\n"


def _with_severity(rules: Iterator[Rule], params: ValidationParams) -> tuple[Rule, ...]:
    chosen = params.severity
    if chosen:
        known = every_rule(params)
        unknown = sorted(set(chosen) - set(known))
        if unknown:
            raise ConfigError(
                f"`validation.severity` names rules that do not exist: {unknown}; "
                f"expected some of {sorted(known)}"
            )
        for name in chosen:
            if chosen[name] == "warn" and isinstance(known[name][0][1].check, Columns | Stored):
                raise ConfigError(
                    f"`validation.severity` cannot let {name!r} pass: the store holds no other schema. "
                    "Remove it there."
                )
    return tuple(replace(rule, severity=chosen.get(rule.key, rule.severity)) for rule in rules)


def _schema(kind: tables.Kind, demand: d.Demand) -> Iterator[Rule]:
    names = tables.table(kind).columns
    yield Rule("columns", Columns(names), "a column left out, added, renamed or moved")
    yield Rule("time is UTC", Stored(c.TIMESTAMP, c.TIME_DTYPE), "a time of another zone, unit or type")
    for name in names[1:]:
        yield Rule(f"{name} is float64", Stored(name, "float64"), "numbers as text, counts as integers")
    if demand.fresh_until is not None or demand.whole_history:
        yield Rule("rows are there", SomeRows(), "an empty answer where fresh rows or a history are due")


def _rows(kind: tables.Kind, params: ValidationParams, demand: d.Demand) -> Iterator[Rule]:
    yield from _time(kind)
    if kind != tables.FUNDING:  # the bound on its one number keeps infinities out
        yield Rule("values are finite", Finite(tables.table(kind).columns[1:]), "a division by zero")
    if tables.is_candles(kind):
        yield from candle_rules(kind, params)
    else:
        yield from _SERIES_RULES[kind](params)
    yield from _demanded(kind, params, demand)


def _time(kind: tables.Kind) -> Iterator[Rule]:
    funding, step = kind == tables.FUNDING, tables.table(kind).step or pd.Timedelta(hours=1)
    spacing = d.GAP_H if funding else d.SLOTS
    yield Rule("time is there", There(c.TIMESTAMP), "a row without a time")
    yield Rule("time is not repeated", NotRepeated(spacing), "a row sent twice, two rows for one slot")
    yield Rule("time increases", Within(spacing, low=0), "rows out of order")
    yield Rule("time is on the grid", OnGrid(c.TIMESTAMP, step), "a time that jitters, another timeframe")
    if funding:
        check = Spaced(spacing, float(d.LONGEST_FUNDING_GAP_H), "h")
        yield Rule("no settlement is missing", check, "a settlement left out")
    else:
        name = f"one bar every {kind}" if tables.is_candles(kind) else "one row every hour"
        yield Rule(name, Spaced(spacing, 1.0, "step"), "a row left out", general="one bar every step")


def _demanded(kind: tables.Kind, params: ValidationParams, demand: d.Demand) -> Iterator[Rule]:
    if demand.references is not None and tables.is_candles(kind):
        check = Usual(d.VENUE_GAP, d.VOLATILITY, params.max_venue_gap, params.sigmas)
        cause = "one venue alone is wrong, or lists another coin by that name"
        general, bounds = "close agrees with the other venue", ("max_venue_gap", "sigmas")
        yield Rule(f"close agrees with {demand.venue}", check, cause, "stop", bounds, general)
    if demand.fresh_until is not None:
        check_end = Within(d.BEHIND_H, high=0, unit="hours before the expected end")
        yield Rule("newest row is fresh", check_end, "an answer that ends too early")
    if demand.whole_history:
        least = Within(d.HISTORY_DAYS, low=params.min_history_days, unit="days")
        yield Rule("history is long enough", least, "a new listing", "stop", ("min_history_days",))
        advised = Within(d.HISTORY_DAYS, low=params.warn_history_days, unit="days")
        yield Rule("history is of good length", advised, "a new listing", "warn", ("warn_history_days",))
