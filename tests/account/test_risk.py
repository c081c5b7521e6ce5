"""Limits outside the policy: each breach by hand, and that they only ever take risk away."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrl.account.orders import Order, market_order
from xrl.account.risk import Guard, Limits, allowed, limits_of, new_guard, reason, watched
from xrl.account.step import open_account
from xrl.config import RiskParams

LIMITS = Limits(max_exposure=2.0, daily_loss=0.1, max_drawdown=0.3, cooldown_bars=3.0)
HOUR, DAY = 3_600_000.0, 86_400_000.0
FLAT = market_order(0.0)
LONG = market_order(1.0)


def account(equity: float, peak: float = 1000.0, quantity: float = 0.0):  # type: ignore[no-untyped-def]
    return open_account(equity)._replace(peak=peak, quantity=quantity)


def after(
    guard: Guard, equity: float, day: float = 10.0, liquidated: bool = False, peak: float = 1000.0
) -> Guard:
    """The guard an hour after its last close, or at the first close of a later UTC day."""
    closed = max(guard.closed + HOUR, day * DAY + HOUR)
    return watched(guard, account(equity, peak), liquidated, closed, LIMITS)


def opened(day: float, equity: float) -> Guard:
    return new_guard(day * DAY, equity)


def sent(guard: Guard, order: Order = LONG) -> Order:
    return allowed(order, account(1000.0), 100.0, guard, LIMITS)


def test_without_a_breach_the_order_goes_out_as_it_is() -> None:
    order = Order(-1.5, 110.0, 90.0, 0.0)
    assert sent(opened(10.0, 1000.0), order) == order


def test_a_days_loss_closes_the_account_until_the_next_day() -> None:
    guard = after(opened(10.0, 1000.0), 899.0)
    assert sent(guard) == FLAT
    recovered = after(guard, 990.0)
    assert sent(recovered) == FLAT  # the same day
    assert sent(after(recovered, 990.0, day=11.0)) == LONG


def test_the_loss_counts_from_the_equity_at_the_days_start() -> None:
    guard = after(opened(10.0, 1000.0), 905.0)
    assert sent(guard) == LONG
    tomorrow = after(guard, 905.0, day=11.0)
    assert sent(after(tomorrow, 820.0, day=11.0)) == LONG  # 9.4 % of that day's 905
    assert sent(after(tomorrow, 814.0, day=11.0)) == FLAT


def test_the_loss_of_the_days_first_hour_counts() -> None:
    midnight = after(opened(9.0, 1000.0)._replace(closed=10 * DAY - HOUR), 1000.0, day=9.0)
    assert midnight.closed == 10 * DAY  # midnight ends the day before
    guard = watched(midnight, account(899.0), False, 10 * DAY + HOUR, LIMITS)
    assert (guard.day_equity, sent(guard)) == (1000.0, FLAT)


def test_asking_twice_spends_nothing_and_an_old_close_lifts_nothing() -> None:
    resting = after(opened(10.0, 1000.0), 1000.0, liquidated=True)
    assert watched(resting, account(1000.0), False, resting.closed, LIMITS) == resting
    assert watched(resting, account(1000.0), True, resting.closed, LIMITS) == resting
    stopped = after(opened(10.0, 1000.0), 899.0)
    yesterday = watched(stopped, account(899.0), False, 9 * DAY + HOUR, LIMITS)
    assert yesterday == stopped
    assert sent(after(yesterday, 899.0)) == FLAT


def test_a_liquidated_account_trades_on_after_its_rest_with_new_money() -> None:
    guard = after(opened(10.0, 1000.0), 0.0, liquidated=True)
    for _ in range(3):
        assert sent(guard) == FLAT
        guard = after(guard, 0.0)
    guard = after(guard, 500.0, peak=500.0)
    assert sent(guard) == LONG
    assert sent(after(guard, 449.0, peak=500.0)) == FLAT  # the day's loss counts from the new money


def test_the_drawdown_limit_closes_the_account_for_good() -> None:
    guard = after(opened(10.0, 720.0), 699.0)
    assert sent(guard) == FLAT
    for day in range(11, 40):
        guard = after(guard, 1000.0, day=float(day))
    assert sent(guard) == FLAT
    assert "opened again" in str(reason(guard))


def test_a_liquidation_is_followed_by_bars_without_a_position() -> None:
    guard = after(opened(10.0, 1000.0), 1000.0, liquidated=True)
    held_back = []
    for _ in range(5):
        held_back.append(sent(guard) == FLAT)
        guard = after(guard, 1000.0)
    assert held_back == [True, True, True, False, False]


def test_targets_are_cut_to_the_largest_exposure() -> None:
    tight = LIMITS._replace(max_exposure=0.7)
    guard = opened(10.0, 1000.0)
    assert allowed(market_order(-2.0), account(1000.0), 100.0, guard, tight).target == -0.7


def test_a_position_that_prices_have_carried_beyond_the_limit_is_traded_back() -> None:
    guard = opened(10.0, 1000.0)
    within = allowed(market_order(2.0), account(1000.0, quantity=20.0), 100.0, guard, LIMITS)
    beyond = allowed(market_order(2.0), account(1000.0, quantity=21.0), 100.0, guard, LIMITS)
    assert (within.rebalances, beyond.rebalances) == (0.0, 1.0)


def test_no_limit_is_infinite() -> None:
    none = limits_of(RiskParams(max_exposure=None, daily_loss=None, max_drawdown=None, cooldown_bars=0))
    assert none == (math.inf, math.inf, math.inf, 0.0)
    guard = watched(opened(1.0, 1000.0), account(1.0), True, DAY + HOUR, none)
    assert allowed(market_order(2.0), account(1.0), 100.0, guard, none) == market_order(2.0)
    assert reason(guard) is None


@settings(deadline=None)
@given(
    st.floats(-2.0, 2.0),
    st.lists(st.tuples(st.floats(1.0, 2000.0), st.booleans(), st.integers(0, 3)), max_size=20),
)
def test_limits_never_add_risk(target: float, life: list[tuple[float, bool, int]]) -> None:
    guard, day, peak = opened(0.0, 1000.0), 0, 1000.0
    for equity, liquidated, days in life:
        day, peak = day + days, max(peak, equity)
        guard = after(guard, equity, float(day), liquidated, peak)
        found = sent(guard, market_order(target))
        assert abs(found.target) <= abs(target)
        assert found.target * target >= 0.0


@pytest.mark.parametrize(
    ("guard", "text"),
    [
        (Guard(1.0, 1.0, 1.0, 1.0, 0.0, 0.0), "next UTC day"),
        (Guard(1.0, 1.0, 1.0, 0.0, 1.0, 0.0), "drawdown"),
        (Guard(1.0, 1.0, 1.0, 0.0, 0.0, 7.0), "7 bars"),
    ],
)
def test_the_reason_is_a_sentence(guard: Guard, text: str) -> None:
    assert text in str(reason(guard))
