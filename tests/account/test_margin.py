"""Liquidation and funding against numbers computed elsewhere (tests/data/margin_cases.csv)."""

import csv
from pathlib import Path

import pytest

from xrl.account.margin import funding_payment, liquidation_price

TABLE = Path(__file__).parents[1] / "data" / "margin_cases.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))
CASES = [row for row in ROWS if row["kind"] == "liq"]
FUNDING = [row for row in ROWS if row["kind"] == "funding"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_liquidation_price_equals_binances(case: dict[str, str]) -> None:
    quantity = float(case["qty"]) * (1.0 if case["side"] == "long" else -1.0)
    price = liquidation_price(
        quantity,
        float(case["entry"]),
        float(case["isolated_wallet"]),
        float(case["mmr"]),
        float(case["cum"] or 0.0),
        float(case["cross_term"] or 0.0),
    )
    assert price == pytest.approx(float(case["expected"]), abs=float(case["tol"]))


@pytest.mark.parametrize("case", FUNDING, ids=lambda case: case["id"])
def test_shorts_receive_a_positive_funding_rate_and_longs_pay_it(case: dict[str, str]) -> None:
    quantity, mark, rate = float(case["qty"]), float(case["mark"]), float(case["funding_rate"])
    received = float(case["expected"])
    assert -funding_payment(-quantity, mark, rate) == pytest.approx(received, abs=1e-12)
    assert funding_payment(quantity, mark, rate) == pytest.approx(received, abs=1e-12)


def test_a_long_below_its_own_equity_cannot_be_liquidated() -> None:
    assert liquidation_price(0.5, 100.0, 100.0, 0.005) < 0.0


def test_twice_levered_long_and_short_are_liquidated_near_half_and_one_and_a_half() -> None:
    # long: (1000 - 20 * 100) / (20 * .005 - 20) = -1000 / -19.9; short: (1000 + 2000) / (20 * .005 + 20)
    assert liquidation_price(20.0, 100.0, 1000.0, 0.005) == pytest.approx(50.25125628)
    assert liquidation_price(-20.0, 100.0, 1000.0, 0.005) == pytest.approx(149.25373134)
