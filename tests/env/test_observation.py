"""The observation's order, units and bounds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.env.toy import CONTRACT, TERMS
from xrl.account.orders import market_order
from xrl.account.step import Account, Bar, margined, open_account, step
from xrl.columns import ACCOUNT_STATE, MARKET_STATE, REGIME_STATE
from xrl.env.observation import account_features, observation, observation_width
from xrl.errors import DataError


def named(account: Account, close: float, volatility: float = 0.02, rate: float = 0.0) -> dict[str, float]:
    return dict(zip(ACCOUNT_STATE, account_features(account, close, volatility, rate, 2.0).tolist()))


def state(*fields: float) -> Account:
    """An account without orders, with the liquidation price that follows from the rest."""
    return margined(Account(*fields, 0.0, 0.0, 0.0), CONTRACT)


def test_full_width_is_537() -> None:
    assert observation_width(2 * 256) == 537


def test_parts_stand_in_the_order_block_market_account_regime() -> None:
    block, market = np.full(6, 1.0, np.float32), np.full(len(MARKET_STATE), 2.0, np.float32)
    account, regime = np.full(len(ACCOUNT_STATE), 3.0), np.full(len(REGIME_STATE), 4.0, np.float32)
    seen = observation(block, market, account, regime)
    assert seen.dtype == np.float32
    assert seen.tolist() == [1.0] * 6 + [2.0] * 10 + [3.0] * 10 + [4.0] * 5


def test_a_part_of_the_wrong_width_is_named() -> None:
    with pytest.raises(DataError, match=r"`regime` part must have shape \(5,\); received \(4,\)"):
        observation(np.zeros(6, np.float32), np.zeros(10, np.float32), np.zeros(10), np.zeros(4, np.float32))


def test_a_fresh_account_is_flat_and_far_from_liquidation() -> None:
    assert named(open_account(1.0), 100.0, rate=0.0005) == {
        "exposure": 0.0,
        "is_long": 0.0,
        "is_short": 0.0,
        "unrealised": 0.0,
        "drawdown": 0.0,
        "holding": 0.0,
        "since_trade": 0.0,
        "liquidation_distance": 1.0,
        "carry": 0.0,
        "last_trade": 0.0,
    }


def test_a_losing_long_of_twice_its_equity() -> None:
    # 20 coins at 100, wallet 1000, now at 96: equity 920; liquidated at 1000 / 19.9 = 50.2513
    account = state(1000.0, 20.0, 100.0, 2.0, 920.0, 1000.0, 9.0, 8.0, -0.03)
    found = named(account, 96.0, volatility=0.02, rate=0.0002)
    assert found["exposure"] == 1.0  # 1920 / 920 is above 2x
    assert (found["is_long"], found["is_short"]) == (1.0, 0.0)
    assert found["unrealised"] == pytest.approx(math.log(0.96) / 0.02)  # -2.04 volatilities
    assert found["drawdown"] == pytest.approx(0.08)
    assert found["holding"] == pytest.approx(math.log(10.0) / math.log(101.0))
    assert found["since_trade"] == pytest.approx(math.log(9.0) / math.log(101.0))
    assert found["liquidation_distance"] == 1.0  # 0.65 is more than 10 volatilities
    assert found["carry"] == pytest.approx(-0.2)  # a long pays
    assert found["last_trade"] == pytest.approx(-1.5)


def test_a_short_gains_when_the_price_falls_and_earns_positive_funding() -> None:
    account = state(1000.0, -5.0, 100.0, -0.5, 1050.0, 1050.0, 3.0, 3.0, 0.0)
    found = named(account, 90.0, volatility=0.1, rate=0.0003)
    assert found["exposure"] == pytest.approx(-450.0 / 1050.0 / 2.0)
    assert found["unrealised"] == pytest.approx(math.log(100.0 / 90.0) / 0.1)
    assert found["carry"] == pytest.approx(0.3)


def test_liquidation_distance_counts_tens_of_volatilities() -> None:
    account = state(1000.0, 20.0, 100.0, 2.0, 1000.0, 1000.0, 1.0, 0.0, 0.0)
    found = named(account, 100.0, volatility=0.1)
    assert found["liquidation_distance"] == pytest.approx(math.log(100.0 / 50.25125628) / 0.1 / 10.0)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 2.0]), st.floats(-0.5, 0.5)), min_size=1, max_size=8
    ),
    st.floats(0.0, 0.5),
    st.floats(-0.01, 0.01),
)
def test_every_feature_keeps_its_bounds(
    bars: list[tuple[float, float]], volatility: float, rate: float
) -> None:
    account, close = open_account(1.0), 100.0
    for target, move in bars:
        open_, close = close, close * math.exp(move)
        prices = (open_, max(open_, close), min(open_, close), close)
        bar = Bar(*prices, rate, 0.01, 1e6)
        account = step(account, market_order(target), bar, CONTRACT, TERMS).account
        found = named(account, close, volatility, rate)
        assert all(math.isfinite(value) for value in found.values())
        assert -1.0 <= found["exposure"] <= 1.0
        assert abs(found["unrealised"]) <= 3.0
        assert abs(found["last_trade"]) <= 3.0
        assert abs(found["carry"]) <= 1.0
        assert 0.0 <= found["drawdown"] <= 1.0
        assert 0.0 <= found["liquidation_distance"] <= 1.0
        assert 0.0 <= found["holding"] <= 2.0


def test_prices_and_amounts_cancel() -> None:
    small = state(1.0, 0.01, 100.0, 1.0, 1.05, 1.1, 4.0, 4.0, 0.01)
    large = state(1e6, 0.1, 1e7, 1.0, 1.05e6, 1.1e6, 4.0, 4.0, 0.01)
    assert named(small, 105.0) == pytest.approx(named(large, 1.05e7))
