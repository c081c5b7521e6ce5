"""What must hold of every account whatever the market does: money adds up, and luck is not paid for."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.env import toy
from xrl.account.contract import Contract
from xrl.account.orders import bracket_order
from xrl.account.step import Account, Bar, Step, open_account, step
from xrl.account.tiers import maintenance_margin, tiers_of
from xrl.env import kernel
from xrl.env.market import stack

TERMS = toy.TERMS._replace(capital=10_000.0, slippage_volatility=0.05, slippage_size=0.001)
LOTS = Contract(step_size=0.01, min_notional=5.0, tiers=tiers_of([(0, 0.005), (8_000, 0.02), (15_000, 0.1)]))
CENT = 0.005

BARS = st.lists(
    st.tuples(
        st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]),
        st.sampled_from([0.0, 0.02, 0.1]),  # distance of the stop
        st.sampled_from([0.0, 0.03, 0.1]),  # of the take-profit
        st.floats(-0.1, 0.1),  # log gap to the open
        st.floats(-0.3, 0.3),  # log move to the close
        st.floats(0.0, 0.1),  # reach beyond both
        st.floats(-0.003, 0.003),  # funding
    ),
    min_size=1,
    max_size=10,
)
Drawn = list[tuple[float, float, float, float, float, float, float]]


def lived(bars: Drawn) -> list[tuple[Account, Step, Bar, float]]:
    """Account before, step, bar and the close before."""
    account, close, history = open_account(TERMS.capital), 100.0, []
    for target, stop, profit, gap, move, reach, rate in bars:
        if account.equity <= 0.0:
            break
        order, last = bracket_order(target, close, stop, profit), close
        open_ = close * math.exp(gap)
        close = open_ * math.exp(move)
        high, low = max(open_, close) * math.exp(reach), min(open_, close) * math.exp(-reach)
        bar = Bar(open_, high, low, close, rate, 0.01, 1e6)
        after = step(account, order, bar, LOTS, TERMS)
        history.append((account, after, bar, last))
        account = after.account
    return history


@settings(max_examples=150, deadline=None)
@given(BARS)
def test_cash_margin_and_profit_add_up_to_the_cent(bars: Drawn) -> None:
    for _, (after, _), bar, _ in lived(bars):
        owned = after.wallet + after.quantity * (bar.close - after.entry)
        assert after.equity == pytest.approx(max(owned, 0.0), abs=CENT)
        assert after.quantity == pytest.approx(round(after.quantity / 0.01) * 0.01, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(BARS)
def test_what_an_account_loses_the_market_the_venue_and_the_fund_receive(bars: Drawn) -> None:
    """Every bar's change of equity is price moves less fees, slippage, funding and what the fund kept."""
    for before, (after, flows), bar, last in lived(bars):
        if flows.liquidated or flows.stopped or flows.took_profit:
            continue  # their prices are within the bar: the next test
        moved = before.quantity * (bar.open - last) + after.quantity * (bar.close - bar.open)
        expected = before.equity + moved - flows.costs - flows.funding
        assert after.equity == pytest.approx(expected, abs=CENT)


@settings(max_examples=150, deadline=None)
@given(BARS)
def test_nobody_falls_below_zero_and_only_the_liquidated_lose_all(bars: Drawn) -> None:
    for _, (after, flows), bar, _ in lived(bars):
        assert after.equity >= 0.0 and after.peak >= after.equity
        assert flows.costs >= 0.0 and flows.insurance >= 0.0
        if flows.liquidated:
            assert (after.equity, after.quantity, after.stop, after.take_profit) == (0.0, 0.0, 0.0, 0.0)
            continue
        assert after.equity > 0.0
        worst = bar.low if after.quantity > 0.0 else bar.high
        held = after.equity + after.quantity * (worst - bar.close)
        if after.quantity:  # what survived the bar had its margin even at the worst price
            assert held >= maintenance_margin(abs(after.quantity) * worst, LOTS.tiers) - CENT


@settings(max_examples=150, deadline=None)
@given(BARS)
def test_both_sides_of_every_trade_pay_and_no_reversal_is_free(bars: Drawn) -> None:
    for before, (after, flows), bar, _ in lived(bars):
        cheapest = min(TERMS.taker, TERMS.maker)
        assert flows.costs >= flows.traded * cheapest * 0.9
        if before.quantity * after.quantity < 0.0 and not flows.liquidated:
            both = (abs(before.quantity) + abs(after.quantity)) * bar.open
            assert flows.costs >= both * (TERMS.taker + TERMS.slippage) * 0.99


PATHS, LENGTH, INNER = 1500, 40, 8
STEP = 0.005  # of the log price, within a bar


def martingales(seed: int) -> NDArray[np.int64]:
    """Levels of open, high, low, close; prices are 100 exp(STEP level), a martingale. (PATHS, LENGTH, 4)

    A level up multiplies the price by exp(STEP), a level down divides it: odds of 1 : exp(STEP) are fair.
    Orders that lie on levels are met exactly, as on a path without jumps.
    """
    rng = np.random.default_rng(seed)
    up = rng.random((PATHS, LENGTH * INNER)) < 1.0 / (1.0 + math.exp(STEP))
    level = np.cumsum(np.where(up, 1, -1), axis=1).reshape(PATHS, LENGTH, INNER)
    close = level[:, :, -1]
    open_ = np.concatenate([np.zeros((PATHS, 1), dtype=np.int64), close[:, :-1]], axis=1)
    high, low = np.maximum(level.max(axis=2), open_), np.minimum(level.min(axis=2), open_)
    return np.stack([open_, high, low, close], axis=2)


def price(level: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(100.0 * np.exp(STEP * level))


@pytest.mark.parametrize(
    ("side", "stop", "profit"),
    [
        *(("long", 0, 0), ("short", 0, 0), ("follow", 0, 0), ("fade", 0, 0)),
        *(("long", 2, 6), ("short", 6, 2), ("follow", 4, 4), ("fade", 0, 3)),
    ],
)
@pytest.mark.parametrize("cost", [0.0, 1.0])
def test_no_strategy_earns_on_driftless_paths(side: str, stop: int, profit: int, cost: float) -> None:
    """`stop` and `profit` lie so many levels away from the close."""
    terms = toy.TERMS._replace(taker=0.0005 * cost, maker=0.0002 * cost, slippage=0.0002 * cost)
    levels, own = martingales(3), toy.tensor(np.zeros(LENGTH))
    panel = stack([replace(own, prices=price(path)) for path in levels])
    states, cursor = kernel.open_accounts(PATHS, 1.0), panel.starts.copy()
    flows, spent = np.zeros((PATHS, kernel.FLOWS)), np.zeros(PATHS)
    for t in range(LENGTH - 1):
        close = levels[:, t, 3]
        moved = np.sign(close - levels[:, t, 0])
        target = {"long": 1.5, "short": -1.5, "follow": 1.5 * moved, "fade": -1.5 * moved}[side]
        way = np.where(np.broadcast_to(target, PATHS) > 0.0, 1, -1)
        orders = np.zeros((PATHS, 4))
        orders[:, 0] = target
        orders[:, 1] = price(close - way * stop) if stop else 0.0
        orders[:, 2] = price(close + way * profit) if profit else 0.0
        kernel.advance(states, cursor, orders, panel, terms, flows)
        spent += flows[:, 0]
    earned = states[:, 4] - 1.0
    error = earned.std() / math.sqrt(PATHS)
    assert earned.mean() <= -spent.mean() + 3.0 * error
    assert (spent.mean() > 0.0) == (cost > 0.0)
