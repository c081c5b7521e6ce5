"""Liquidation, tiers and funding against numbers computed elsewhere (tests/data/account_cases.csv)."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from xrl.account.margin import (
    bankruptcy_price,
    funding_payment,
    liquidation_price,
    liquidation_price_bybit,
    liquidation_price_gate,
    pays_settlement,
)

TABLE = Path(__file__).parents[1] / "data" / "account_cases.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))


def cases(kind: str, *formulas: str) -> list[dict[str, str]]:
    return [row for row in ROWS if row["kind"] == kind and (not formulas or row["venue_formula"] in formulas)]


def quantity(case: dict[str, str]) -> float:
    return float(case["qty"]) * (1.0 if case["side"] == "long" else -1.0)


def expected(case: dict[str, str]) -> object:
    return pytest.approx(float(case["expected"]), abs=float(case["tol"]))


def test_every_case_of_the_table_is_tried_here_or_in_test_tiers() -> None:
    tried = [*cases("liq", "binance", "gate", "okx", "bybit"), *cases("funding"), *cases("funding_window")]
    assert len(tried) + len(cases("tier")) + len(cases("cum")) == len(ROWS)


@pytest.mark.parametrize("case", cases("liq", "binance"), ids=lambda case: case["id"])
def test_liquidation_price_equals_binances(case: dict[str, str]) -> None:
    price = liquidation_price(
        quantity(case),
        float(case["entry"]),
        float(case["isolated_wallet"]),
        float(case["mmr"]),
        float(case["cum"] or 0.0),
        float(case["cross_term"] or 0.0),
    )
    assert price == expected(case)


@pytest.mark.parametrize("case", cases("liq", "gate", "okx"), ids=lambda case: case["id"])
def test_liquidation_price_equals_gates_and_okxs(case: dict[str, str]) -> None:
    numbers = [float(case[name]) for name in ("entry", "isolated_wallet", "mmr", "taker_fee")]
    assert liquidation_price_gate(quantity(case), *numbers) == expected(case)


@pytest.mark.parametrize("case", cases("liq", "bybit"), ids=lambda case: case["id"])
def test_liquidation_price_equals_bybits(case: dict[str, str]) -> None:
    numbers = [float(case[name]) for name in ("entry", "isolated_wallet", "mmr")]
    assert liquidation_price_bybit(quantity(case), *numbers) == expected(case)


@pytest.mark.parametrize("case", cases("funding"), ids=lambda case: case["id"])
def test_shorts_receive_a_positive_funding_rate_and_longs_pay_it(case: dict[str, str]) -> None:
    coins, mark, rate = float(case["qty"]), float(case["mark"]), float(case["funding_rate"])
    assert -funding_payment(-coins, mark, rate) == expected(case)
    assert funding_payment(coins, mark, rate) == expected(case)


@pytest.mark.parametrize("case", cases("funding_window"), ids=lambda case: case["id"])
def test_a_position_pays_the_settlements_it_is_held_at(case: dict[str, str]) -> None:
    opened, closed = re.findall(r"\d\d:\d\d:\d\d", case["note"])
    day = "2021-09-01" if opened < "23" else "2021-08-31"  # one opens on the evening before
    marks = [float(text.split("@")[0]) for text in case["mark"].split(",")]
    rates = [float(text.split("@")[0]) for text in case["funding_rate"].split(",")]
    settled = np.array(["2021-09-01T00:00", "2021-09-01T08:00"], dtype="datetime64[ms]")
    pays = pays_settlement(
        np.datetime64(f"{day}T{opened}", "ms"), np.datetime64(f"2021-09-01T{closed}", "ms"), settled
    )
    coins = quantity(case)
    received = -sum(funding_payment(coins, mark, rate) for mark, rate, due in zip(marks, rates, pays) if due)
    assert received == expected(case)


def test_a_long_below_its_own_equity_cannot_be_liquidated() -> None:
    assert liquidation_price(0.5, 100.0, 100.0, 0.005) < 0.0


def test_twice_levered_long_and_short_are_liquidated_near_half_and_one_and_a_half() -> None:
    # long: (1000 - 20 * 100) / (20 * .005 - 20) = -1000 / -19.9; short: (1000 + 2000) / (20 * .005 + 20)
    assert liquidation_price(20.0, 100.0, 1000.0, 0.005) == pytest.approx(50.25125628)
    assert liquidation_price(-20.0, 100.0, 1000.0, 0.005) == pytest.approx(149.25373134)


def test_bankruptcy_lies_where_the_margin_is_gone() -> None:
    assert bankruptcy_price(20.0, 100.0, 1000.0) == 50.0
    assert bankruptcy_price(-2000.0, 10.0, 10000.0) == 15.0  # case L37's note
