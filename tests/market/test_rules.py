"""Every rule has a name, a bound that is a parameter, and a line in the document."""

from pathlib import Path

import pandas as pd
import pytest

from tests.market.batches import PARAMS
from xrl.config import ValidationParams
from xrl.errors import ConfigError
from xrl.market import tables
from xrl.market.candle_rules import volume_rule
from xrl.market.checks import Within
from xrl.market.derived import Demand
from xrl.market.rules import every_rule, row_rules, rule_table, schema_rules

DOCUMENT = Path(__file__).parents[2] / "docs" / "validation.md"
NOTHING = Demand()


def test_the_document_holds_the_rules_as_they_are():
    assert rule_table(PARAMS) in DOCUMENT.read_text(), (
        "docs/validation.md is out of date: its table is the text of xrl.market.rules.rule_table"
    )


def test_every_bound_of_the_parameters_belongs_to_a_rule():
    used = {name for found in every_rule(PARAMS).values() for _, rule in found for name in rule.parameters}
    assert used == set(ValidationParams.model_fields) - {"severity"}


@pytest.mark.parametrize("kind", ["1h", *tables.SERIES])
def test_names_of_a_kind_are_unique_and_say_what_holds(kind: tables.Kind):
    asked = Demand({}, "bybit", pd.Timestamp(0, tz="UTC"), whole_history=True)
    suite = (*schema_rules(kind, PARAMS, asked), *row_rules(kind, PARAMS, asked))
    assert len({rule.name for rule in suite}) == len(suite)
    assert all(rule.broken_by and str(rule.check) for rule in suite)


def test_what_is_not_asked_for_has_no_rule():
    asked = Demand({}, "bybit", pd.Timestamp(0, tz="UTC"), whole_history=True)
    more = {rule.name for rule in row_rules("1h", PARAMS, asked)} - {
        rule.name for rule in row_rules("1h", PARAMS, NOTHING)
    }
    history = {"history is long enough", "history is of good length"}
    assert more == {"close agrees with bybit", "newest row is fresh"} | history
    assert "rows are there" not in {rule.name for rule in schema_rules("1h", PARAMS, NOTHING)}


def test_spacing_is_named_after_the_timeframe():
    assert "one bar every 15m" in {rule.name for rule in row_rules("15m", PARAMS, NOTHING)}
    assert "one row every hour" in {rule.name for rule in row_rules("taker_volume", PARAMS, NOTHING)}


def test_severities_of_the_parameters_win():
    other = PARAMS.model_copy(update={"severity": {"one bar every step": "warn", "columns": "stop"}})
    chosen = {rule.name: rule.severity for rule in row_rules("4h", other, NOTHING)}
    assert chosen["one bar every 4h"] == "warn" and chosen["time increases"] == "stop"


def test_an_unknown_rule_is_refused_with_the_list():
    other = PARAMS.model_copy(update={"severity": {"one bar every 1h": "warn"}})
    with pytest.raises(
        ConfigError, match=r"not exist: \['one bar every 1h'\]; expected some of .*every step"
    ):
        schema_rules("1h", other, NOTHING)


@pytest.mark.parametrize("name", ["columns", "time is UTC", "close is float64"])
def test_another_schema_cannot_be_let_pass(name: str):
    other = PARAMS.model_copy(update={"severity": {name: "warn"}})
    with pytest.raises(ConfigError, match=f"cannot let '{name}' pass"):
        row_rules("1h", other, NOTHING)


def test_finer_bars_may_have_wilder_volume():
    bounds = {}
    for kind in ("1m", "15m", "1h", "1d"):
        check = volume_rule(PARAMS, tables.TIMEFRAMES[kind]).check
        assert isinstance(check, Within)
        bounds[kind] = check.high
    assert bounds == {"1m": pytest.approx(1000 * 60**0.5), "15m": 2000, "1h": 1000, "1d": 1000}
