"""Maintenance tiers against Binance's brackets, and the liquidation price where they meet."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrl.account.tiers import maintenance_margin, tiered_liquidation_price, tiers_of
from xrl.errors import ConfigError

TABLE = Path(__file__).parents[1] / "data" / "account_cases.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))
TIER_CASES = [row for row in ROWS if row["kind"] == "tier"]

#: BTCUSDT: notional from, rate.
FLOORS = [0, 50e3, 600e3, 3e6, 12e6, 70e6]
BTC = tiers_of(list(zip(FLOORS, [0.004, 0.005, 0.0065, 0.01, 0.02, 0.025])))


@pytest.mark.parametrize("case", TIER_CASES, ids=lambda case: case["id"])
def test_rate_and_amount_equal_binances_bracket(case: dict[str, str]) -> None:
    notional, rate, amount = (float(case[name]) for name in ("qty", "funding_rate", "expected"))
    assert maintenance_margin(notional, BTC) == pytest.approx(notional * rate - amount, abs=1e-6)
    at = [floor <= notional for floor in FLOORS].count(True) - 1
    assert BTC.rate[at] == rate
    assert BTC.amount[at] == pytest.approx(amount, abs=1e-9)


def test_the_amount_follows_binances_recursion() -> None:
    # case L57: amounts of the FAQ's table, 50 at 50 000 and 1 300 at 250 000
    assert tiers_of([(0, 0.004), (50e3, 0.005), (250e3, 0.01)]).amount[:3] == pytest.approx((0, 50, 1300))
    # case L58, in BTC: 1.81 at 50 BTC
    coin = tiers_of([(0, 0.004), (5, 0.005), (10, 0.01), (20, 0.025), (50, 0.05)])
    assert coin.amount[-1] == pytest.approx(0.005 + 0.05 + 0.3 + 1.25)


def test_the_margin_is_continuous_at_every_bracket() -> None:
    for bound in FLOORS[1:]:
        assert maintenance_margin(bound - 1e-6, BTC) == pytest.approx(
            maintenance_margin(bound, BTC), abs=1e-4
        )


@settings(deadline=None)
@given(st.sampled_from([-1.0, 1.0]), st.floats(1e3, 2e8), st.floats(0.05, 1.0))
def test_at_its_liquidation_price_the_margin_is_just_the_tiers(
    side: float, notional: float, share: float
) -> None:
    entry = 30_000.0
    quantity, wallet = side * notional / entry, share * notional
    price = tiered_liquidation_price(quantity, entry, wallet, BTC)
    if price > 0.0:
        balance = wallet + quantity * (price - entry)
        assert balance == pytest.approx(maintenance_margin(abs(quantity) * price, BTC), rel=1e-9, abs=1e-6)


def test_a_larger_position_is_liquidated_earlier() -> None:
    small = tiered_liquidation_price(1.0, 30_000.0, 15_000.0, BTC)
    large = tiered_liquidation_price(1000.0, 30_000.0, 15_000_000.0, BTC)
    assert large > small


@pytest.mark.parametrize(
    "brackets",
    [
        [],
        [(10, 0.01)],
        [(0, 0.01), (0, 0.02)],
        [(0, 0.02), (10, 0.01)],
        [(0, 0.0)],
        [(0, 0.5), (1, 1.0)],
        [(n, 0.1) for n in range(11)],
    ],
)
def test_brackets_out_of_order_are_refused(brackets: list[tuple[float, float]]) -> None:
    with pytest.raises(ConfigError, match=r"tiers|maintenance rates"):
        tiers_of(brackets)
