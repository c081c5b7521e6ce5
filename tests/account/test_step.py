"""One bar of one account, by hand and by property."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrl.account.contract import Contract
from xrl.account.costs import Terms, slippage
from xrl.account.orders import Order, bracket_order, market_order
from xrl.account.step import Account, Bar, Flows, Step, hold, open_account, step
from xrl.account.tiers import tiers_of

TERMS = Terms(
    taker=0.001,
    maker=0.0004,
    slippage=0.002,
    slippage_volatility=0.0,
    slippage_size=0.0,
    liquidation_fee=0.005,
    max_leverage=2.0,
    capital=1000.0,
)
FREE = TERMS._replace(taker=0.0, maker=0.0, slippage=0.0)
COIN = Contract(step_size=0.0, min_notional=0.0, tiers=tiers_of([(0, 0.005)]))


def bar(
    account: Account,
    target: float | Order,
    ohlc: tuple[float, ...],
    rate: float = 0.0,
    terms: Terms = TERMS,
    contract: Contract = COIN,
) -> Step:
    order = target if isinstance(target, Order) else market_order(target)
    return step(account, order, Bar(*ohlc, rate, 0.01, 1e6), contract, terms)


def flows_of(**values: float) -> Flows:
    return Flows(*[0.0] * len(Flows._fields))._replace(**values)


def flat_bar(price: float) -> tuple[float, float, float, float]:
    return price, price, price, price


def test_an_order_fills_at_the_open_with_fee_and_slippage() -> None:
    after, flows = bar(open_account(1000.0), 1.0, (100.0, 112.0, 99.0, 110.0))
    assert after.quantity == pytest.approx(10.0)  # 1000 of equity at the open price of 100
    assert after.entry == pytest.approx(100.2)  # open + 0.2 %
    assert after.wallet == pytest.approx(1000.0 - 1.002)  # 0.1 % of 1002
    assert after.equity == pytest.approx(998.998 + 10.0 * (110.0 - 100.2))
    assert flows == pytest.approx(flows_of(costs=1.002 + 2.0, traded=1000.0))
    assert (after.held, after.idle, after.target) == (1.0, 0.0, 1.0)


def test_a_repeated_target_trades_nothing() -> None:
    opened = bar(open_account(1000.0), 1.0, flat_bar(100.0)).account
    held, flows = bar(opened, 1.0, (120.0, 130.0, 120.0, 130.0))
    assert flows == flows_of()
    assert held.quantity == opened.quantity  # exposure drifts with the price; hold does not rebalance
    assert (held.held, held.idle) == (2.0, 1.0)


def test_fee_is_charged_on_both_sides() -> None:
    opened, first = bar(open_account(1000.0), 1.0, flat_bar(100.0))
    closed, second = bar(opened, 0.0, flat_bar(100.0))
    # buy 10 at 100.2, sell 10 at 99.8, fee 0.1 % of each notional
    assert closed.wallet == pytest.approx(1000.0 - 4.0 - 1.002 - 0.998)
    assert first.costs + second.costs == pytest.approx(6.0)
    assert closed.last_trade == pytest.approx(math.log(99.8 / 100.2))
    assert (closed.quantity, closed.entry, closed.held) == (0.0, 0.0, 0.0)


def test_a_reversal_closes_first_and_pays_both_sides() -> None:
    opened = bar(open_account(1000.0), 1.0, flat_bar(100.0)).account
    turned, flows = bar(opened, -1.0, flat_bar(100.0))
    closed_equity = 1000.0 - 4.0 - 1.002 - 0.998  # 994
    assert turned.quantity == pytest.approx(-closed_equity / 100.0)
    assert flows.traded == pytest.approx(1000.0 + closed_equity)
    assert flows.costs == pytest.approx((2.0 + 0.998) + 9.94 * (0.2 + 0.0998))
    assert turned.last_trade == pytest.approx(math.log(99.8 / 100.2))


def test_a_smaller_target_sells_the_difference_and_keeps_the_entry() -> None:
    opened = bar(open_account(1000.0), 2.0, flat_bar(100.0), terms=FREE).account
    reduced, flows = bar(opened, 1.0, flat_bar(110.0), terms=FREE)
    # equity 1000 + 20 * 10 = 1200, so 1x is 1200 / 110 coins
    assert reduced.quantity == pytest.approx(1200.0 / 110.0)
    assert reduced.entry == 100.0
    assert flows.traded == pytest.approx(20.0 * 110.0 - 1200.0)
    assert reduced.equity == pytest.approx(1200.0)
    assert reduced.held == 2.0  # the same position
    assert reduced.idle == 0.0
    assert reduced.last_trade == 0.0  # nothing was closed


def test_adding_averages_the_entry() -> None:
    opened = bar(open_account(1000.0), 1.0, flat_bar(100.0), terms=FREE).account
    added = bar(opened, 2.0, flat_bar(110.0), terms=FREE).account
    # equity 1100: 2x is 20 coins, 10 at 100 and 10 at 110
    assert added.quantity == pytest.approx(20.0)
    assert added.entry == pytest.approx(105.0)


def test_funding_is_charged_on_the_position_coming_in_not_on_the_one_filled() -> None:
    opened, flows = bar(open_account(1000.0), 1.0, flat_bar(100.0), rate=0.01, terms=FREE)
    assert flows.funding == 0.0
    kept, paid = bar(opened, 1.0, flat_bar(100.0), rate=0.01, terms=FREE)
    assert paid.funding == pytest.approx(10.0)
    assert kept.wallet == pytest.approx(990.0)
    closed, last = bar(kept, 0.0, flat_bar(100.0), rate=-0.01, terms=FREE)
    assert last.funding == pytest.approx(-10.0)  # received, though the order closes at this open
    assert closed.wallet == pytest.approx(1000.0)


def test_funding_of_a_short_held_from_after_midnight_to_eight_is_charged_once() -> None:
    # account_cases.csv L43/L44: -8e-6 settled at 00:00, -3e-6 at 08:00, mark 2.77, short of 30
    account = open_account(100.0)
    received = 0.0
    for hour in range(9):
        rate = {0: -8e-6, 8: -3e-6}.get(hour, 0.0)
        after, flows = bar(account, -30.0 * 2.77 / 100.0, flat_bar(2.77), rate=rate, terms=FREE)
        received -= flows.funding
        account = after
    assert received == pytest.approx(-0.0002493, abs=1e-8)


def test_a_long_is_liquidated_against_the_low_and_pays_the_fee() -> None:
    # wallet 1000, 20 coins at 100: liquidation price 50.2513, margin left there 0.5 % of notional, all fee
    after, flows = bar(open_account(1000.0), 2.0, (100.0, 101.0, 50.0, 90.0), terms=FREE)
    assert flows.liquidated == 1.0
    assert after.equity == pytest.approx(0.0, abs=1e-9)
    assert flows.costs == pytest.approx(20.0 * 50.25125628 * 0.005)
    assert (after.quantity, after.target) == (0.0, 0.0)


def test_a_short_is_liquidated_against_the_high() -> None:
    after, flows = bar(open_account(1000.0), -2.0, (100.0, 150.0, 99.0, 100.0), terms=FREE)
    assert flows.liquidated == 1.0
    assert after.equity == pytest.approx(0.0, abs=1e-9)


def test_what_the_fee_leaves_of_the_margin_goes_to_the_insurance_fund() -> None:
    cheap = FREE._replace(liquidation_fee=0.002)
    after, flows = bar(open_account(1000.0), 2.0, (100.0, 101.0, 50.0, 90.0), terms=cheap)
    assert after.wallet == 0.0
    assert flows.costs == pytest.approx(20.0 * 50.25125628 * 0.002)
    assert flows.insurance == pytest.approx(20.0 * 50.25125628 * 0.003)


def test_a_larger_position_needs_more_margin_by_its_tier() -> None:
    tiered = COIN._replace(tiers=tiers_of([(0, 0.005), (500, 0.1)]))
    bars = (
        100.0,
        101.0,
        52.0,
        90.0,
    )  # liquidation: at 50.25 within the first tier, at 52.92 within the second
    assert bar(open_account(1000.0), 2.0, bars, terms=FREE).flows.liquidated == 0.0
    assert bar(open_account(1000.0), 2.0, bars, terms=FREE, contract=tiered).flows.liquidated == 1.0


LONG = bracket_order(1.0, close=100.0, stop=0.05, take_profit=0.1)  # stop 95, take-profit 110
SHORT = bracket_order(-1.0, close=100.0, stop=0.05, take_profit=0.1)  # stop 105, take-profit 90


def test_brackets_stand_on_the_side_that_guards() -> None:
    assert pytest.approx((1.0, 95.0, 110.0, 0.0)) == LONG
    assert pytest.approx((-1.0, 105.0, 90.0, 0.0)) == SHORT


@pytest.mark.parametrize(
    ("order", "ohlc", "fill"),
    [
        (LONG, (100.0, 101.0, 94.0, 100.0), 95.0),
        (SHORT, (100.0, 106.0, 99.0, 100.0), 105.0),
    ],
)
def test_a_stop_is_filled_at_its_price_as_a_taker(order: Order, ohlc: tuple[float, ...], fill: float) -> None:
    after, flows = bar(open_account(1000.0), order, ohlc)
    side = order.target
    entry, out = 100.0 * (1.0 + 0.002 * side), fill * (1.0 - 0.002 * side)
    paid = 10.0 * (entry + out) * 0.001
    assert flows.stopped == 1.0
    assert after.wallet == pytest.approx(1000.0 - paid + side * 10.0 * (out - entry))
    assert (after.quantity, after.target, after.stop, after.take_profit) == (0.0, 0.0, 0.0, 0.0)
    assert flows.traded == pytest.approx(1000.0 + 10.0 * fill)


def test_a_take_profit_is_filled_at_its_price_as_a_maker_without_slippage() -> None:
    after, flows = bar(open_account(1000.0), LONG, (100.0, 111.0, 99.0, 105.0))
    assert flows.took_profit == 1.0
    assert after.wallet == pytest.approx(1000.0 - 1.002 - 10.0 * 110.0 * 0.0004 + 10.0 * (110.0 - 100.2))


def test_within_one_bar_the_adverse_order_comes_first() -> None:
    flows = bar(open_account(1000.0), LONG, (100.0, 120.0, 90.0, 118.0)).flows
    assert (flows.stopped, flows.took_profit) == (1.0, 0.0)


def test_an_open_beyond_the_stop_fills_there() -> None:
    opened = bar(open_account(1000.0), LONG, flat_bar(100.0), terms=FREE).account
    after, flows = bar(opened, hold(opened), (90.0, 91.0, 89.0, 90.0), terms=FREE)
    assert flows.stopped == 1.0
    assert after.equity == pytest.approx(900.0)


def test_an_open_beyond_the_take_profit_fills_there() -> None:
    opened = bar(open_account(1000.0), SHORT, flat_bar(100.0), terms=FREE).account
    after, flows = bar(opened, hold(opened), (80.0, 81.0, 79.0, 80.0), terms=FREE)
    assert flows.took_profit == 1.0
    assert after.equity == pytest.approx(1200.0)


def test_holding_keeps_the_orders_and_a_new_order_replaces_them() -> None:
    opened = bar(open_account(1000.0), LONG, flat_bar(100.0), terms=FREE).account
    kept = bar(opened, hold(opened), flat_bar(100.0), terms=FREE).account
    assert (kept.stop, kept.take_profit) == pytest.approx((95.0, 110.0))
    bare = bar(opened, 1.0, (100.0, 120.0, 90.0, 100.0), terms=FREE)
    assert bare.flows == flows_of()
    assert (bare.account.stop, bare.account.take_profit) == (0.0, 0.0)


def test_liquidation_bounds_a_stop_that_lies_beyond_it() -> None:
    late = Order(2.0, 40.0, 0.0, 0.0)  # liquidation of 2x lies at 50.25
    after, flows = bar(open_account(1000.0), late, (100.0, 101.0, 39.0, 60.0), terms=FREE)
    assert (flows.liquidated, flows.stopped, after.equity) == (1.0, 0.0, 0.0)


def test_a_stop_before_the_liquidation_price_saves_the_rest() -> None:
    early = Order(2.0, 60.0, 0.0, 0.0)
    after, flows = bar(open_account(1000.0), early, (100.0, 101.0, 39.0, 60.0), terms=FREE)
    assert (flows.liquidated, flows.stopped) == (0.0, 1.0)
    assert after.equity == pytest.approx(200.0)


def test_orders_are_whole_steps_rounded_towards_nothing() -> None:
    lots = COIN._replace(step_size=3.0)
    after = bar(open_account(1000.0), 1.0, flat_bar(100.0), contract=lots, terms=FREE).account
    assert after.quantity == 9.0
    assert bar(after, 0.0, flat_bar(100.0), contract=lots, terms=FREE).account.quantity == 0.0


def test_an_order_below_the_smallest_notional_is_not_sent() -> None:
    large = COIN._replace(min_notional=600.0)
    nothing, flows = bar(open_account(1000.0), 0.5, flat_bar(100.0), contract=large)
    assert (nothing.quantity, flows, nothing.idle) == (0.0, flows_of(), 1.0)
    opened = bar(open_account(1000.0), 1.0, flat_bar(100.0), contract=large, terms=FREE).account
    fallen = bar(opened, 0.0, flat_bar(10.0), contract=large, terms=FREE)
    assert fallen.account.quantity == 0.0  # closing is always accepted


def test_an_order_that_rebalances_trades_back_to_the_standing_target() -> None:
    opened = bar(open_account(1000.0), 2.0, flat_bar(100.0), terms=FREE).account
    again = Order(2.0, 0.0, 0.0, 1.0)
    after = bar(opened, again, flat_bar(80.0), terms=FREE).account
    assert after.quantity == pytest.approx(2.0 * 600.0 / 80.0)  # equity 600 after the fall


def test_slippage_grows_with_unrest_and_with_the_root_of_size() -> None:
    terms = TERMS._replace(slippage_volatility=0.1, slippage_size=0.5)
    assert slippage(1e4, 0.02, 1e6, terms) == pytest.approx(0.002 + 0.002 + 0.5 * 0.1)
    assert slippage(1e4, 0.02, 0.0, terms) == pytest.approx(0.004)
    _, flows = bar(open_account(1e4), 1.0, flat_bar(100.0), terms=terms)
    assert flows.costs > 1e4 * (0.002 + 0.001 + 0.05)


TARGETS = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
MOVES = st.floats(-0.3, 0.3)
BARS = st.lists(st.tuples(TARGETS, MOVES, MOVES, st.floats(-0.003, 0.003)), min_size=1, max_size=12)


def lived(
    bars: list[tuple[float, float, float, float]], terms: Terms
) -> list[tuple[Account, Step, tuple[float, ...]]]:
    """Account before, step and prices of each bar; opens gap by the first move, closes move by the second."""
    account, close, history = open_account(1000.0), 100.0, []
    for target, gap, move, rate in bars:
        open_ = close * math.exp(gap)
        close = open_ * math.exp(move)
        prices = (open_, max(open_, close) * 1.01, min(open_, close) * 0.99, close)
        after = bar(account, target, prices, rate, terms)
        history.append((account, after, prices))
        account = after.account
    return history


@settings(max_examples=200, deadline=None)
@given(BARS)
def test_equity_changes_by_price_moves_less_costs_and_funding(
    bars: list[tuple[float, float, float, float]],
) -> None:
    last_close = 100.0
    for before, (after, flows), (open_, _, _, close) in lived(bars, TERMS):
        if flows.liquidated == 0.0:
            gained = before.quantity * (open_ - last_close) + after.quantity * (close - open_)
            expected = before.equity + gained - flows.costs - flows.funding
            assert after.equity == pytest.approx(expected, abs=1e-8)
            assert after.equity == pytest.approx(
                after.wallet + after.quantity * (close - after.entry), abs=1e-8
            )
        last_close = close


@settings(max_examples=200, deadline=None)
@given(BARS)
def test_equity_is_never_negative_and_costs_never_pay(bars: list[tuple[float, float, float, float]]) -> None:
    for _, (after, flows), _ in lived(bars, TERMS):
        assert after.equity >= 0.0
        assert after.peak >= after.equity
        assert flows.costs >= 0.0
        assert flows.costs >= flows.traded * TERMS.slippage - 1e-9


@settings(max_examples=100, deadline=None)
@given(TARGETS, TARGETS)
def test_no_reversal_is_free(first: float, second: float) -> None:
    (_, one, _), (_, two, _) = lived([(first, 0.0, 0.0, 0.0), (second, 0.0, 0.0, 0.0)], TERMS)
    moved = abs(second - first) * 990.0
    assert two.flows.costs >= moved * (TERMS.taker + TERMS.slippage) * 0.98
    assert one.flows.costs + two.flows.costs == pytest.approx(1000.0 - two.account.equity, abs=1e-8)


def test_driftless_paths_do_not_earn_net_of_costs() -> None:
    rng = np.random.default_rng(0)
    growth = []
    for _ in range(400):
        account, close = open_account(1.0), 100.0
        for move, target in zip(rng.normal(0.0, 0.01, 50), rng.choice([-1.0, 0.0, 1.0], 50)):
            open_, close = close, close * (1.0 + move)
            prices = (open_, max(open_, close), min(open_, close), close)
            account = bar(account, float(target), prices).account
        growth.append(account.equity - 1.0)
    error = np.std(growth) / math.sqrt(len(growth))
    assert np.mean(growth) < -3.0 * error  # about 50 * 0.89 sides at 0.3 %
