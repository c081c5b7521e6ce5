"""Every bar's money belongs to a round trip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.env import toy
from xrl import columns as c
from xrl.account.costs import Terms
from xrl.account.orders import Order
from xrl.account.step import Bar, open_account, step
from xrl.backtest.portfolio import equity_curve, grid_of
from xrl.backtest.replay import Replay, replay_targets
from xrl.backtest.trades import REASONS, round_trips
from xrl.env.market import MarketTensor, Panel, stack

#: Fee of 10 bps, no slippage: figures that can be followed by hand.
PLAIN = toy.TERMS._replace(taker=0.001, maker=0.0005, slippage=0.0, capital=1000.0)


def orders(*rows: tuple[float, ...]) -> np.ndarray:
    """Targets, or whole orders, as sent at successive closes."""
    found = np.zeros((len(rows), len(Order._fields)))
    for i, row in enumerate(rows):
        found[i, : len(row)] = row
    return found


def replayed(sent: np.ndarray, earned: np.ndarray | None = None) -> Replay:
    """A replay of which the trade list sees the orders and what they earned."""
    empty = Replay(**{name: np.zeros(len(sent)) for name in Replay._fields})
    return empty._replace(sent=sent, net_return=empty.net_return if earned is None else earned)


def listed(  # type: ignore[no-untyped-def]
    sent: np.ndarray, tensors: list[MarketTensor], terms: Terms = PLAIN, limited: np.ndarray | None = None
):
    replay, grid = replayed(sent), grid_of([tensor.timestamp for tensor in tensors])
    if limited is not None:
        replay = replay._replace(limited=limited)
    return round_trips(replay, stack(tensors), terms, grid, [tensor.symbol for tensor in tensors])


def market(*closes: float, low: float | None = None, funding: float = 0.0) -> MarketTensor:
    """Bars opening at the close before, from 100; the last one reaches down to `low`."""
    returns = np.diff(np.log([100.0, *closes]))
    tensor = toy.tensor(returns, funding=np.full(len(closes), funding))
    if low is not None:
        tensor.prices[-1, 2] = low
    return tensor


def test_a_round_trip_is_what_was_bought_and_sold() -> None:
    # Bought at the open of the second bar (100), sold at the open of the fourth (110).
    trade = listed(orders((1.0,), (1.0,), (0.0,), (0.0,)), [market(100.0, 105.0, 110.0, 120.0)]).iloc[0]
    assert (trade[c.SIDE], trade[c.EXIT_REASON], trade[c.BARS_HELD], trade[c.FILLS]) == (
        "long",
        "signal",
        2,
        1,
    )
    assert (str(trade[c.ENTRY_TIME])[11:16], str(trade[c.EXIT_TIME])[11:16]) == ("01:00", "03:00")
    assert (trade[c.ENTRY_PRICE], trade[c.EXIT_PRICE]) == pytest.approx((100.0, 110.0))
    assert (trade[c.QUANTITY], trade[c.NOTIONAL]) == pytest.approx((10.0, 1000.0))
    assert trade[c.LEVERAGE] == pytest.approx(1000.0 / 999.0)  # of the equity that the fee has left
    assert trade[c.FEES] == pytest.approx(1.0 + 1.1)
    assert trade[c.SLIPPAGE] == 0.0
    assert trade[c.PNL] == pytest.approx(100.0 - 2.1)
    assert trade[c.TRADE_RETURN] == pytest.approx(0.0979)


def test_a_reversal_ends_one_trade_and_begins_the_next_at_one_open() -> None:
    both = listed(orders((1.0,), (-1.0,), (-1.0,)), [market(100.0, 110.0, 99.0)])
    assert both[c.SIDE].tolist() == ["long", "short"]
    assert both[c.EXIT_REASON].tolist() == ["signal", "end"]
    # Ten coins from 100 to 110; then what is left, 1097.9, short from 110 to 99, fee 1.0979.
    assert both[c.PNL].tolist() == pytest.approx([97.9, 1097.9 * 0.1 - 1.0979])
    assert both[c.FEES].tolist() == pytest.approx([2.1, 1.0979])
    assert both[c.ENTRY_TIME].iloc[1] == both[c.EXIT_TIME].iloc[0]


def test_slippage_stands_apart_from_fees() -> None:
    slipping = PLAIN._replace(slippage=0.01)
    trade = listed(orders((1.0,), (0.0,), (0.0,)), [market(100.0, 100.0, 100.0)], slipping).iloc[0]
    # Ten coins bought at 101 and sold at 99.
    assert (trade[c.ENTRY_PRICE], trade[c.EXIT_PRICE]) == pytest.approx((101.0, 99.0))
    assert trade[c.SLIPPAGE] == pytest.approx(20.0)
    assert trade[c.FEES] == pytest.approx(1.01 + 0.99)
    assert trade[c.PNL] == pytest.approx(-22.0)


def test_funding_is_paid_by_who_came_in() -> None:
    # The bar of the fill settles at its open, before it; the next one charges 1 % of ten coins at 100.
    both = listed(orders((1.0,), (-1.0,), (-1.0,)), [market(100.0, 100.0, 100.0, funding=0.01)])
    assert both[c.FUNDING_PAID].tolist() == pytest.approx([10.0, 0.0])


def test_adding_and_reducing_belong_to_the_same_trade() -> None:
    trades = listed(orders((1.0,), (2.0,), (0.5,), (0.0,), (0.0,)), [market(*[100.0] * 5)])
    assert len(trades) == 1
    assert trades[c.FILLS].iloc[0] == 3
    assert trades[c.LEVERAGE].iloc[0] == pytest.approx(2.0, rel=1e-2)


@pytest.mark.parametrize(
    ("order", "low", "reason", "price"),
    [
        ((1.0, 95.0, 0.0, 0.0), 94.0, "stop", 95.0),
        ((-1.0, 0.0, 97.0, 0.0), 96.0, "take_profit", 97.0),
        ((2.0, 0.0, 0.0, 0.0), 40.0, "liquidation", None),
    ],
)
def test_what_happens_within_a_bar_gives_its_reason(
    order: tuple[float, ...], low: float, reason: str, price: float | None
) -> None:
    trade = listed(orders(order, order), [market(100.0, 99.0, low=low)]).iloc[0]
    assert (trade[c.EXIT_REASON], trade[c.BARS_HELD]) == (reason, 1)
    assert trade[c.ENTRY_TIME] == trade[c.EXIT_TIME]
    if price is not None:
        assert trade[c.EXIT_PRICE] == pytest.approx(price)
        rate = PLAIN.taker if reason == "stop" else PLAIN.maker
        assert trade[c.FEES] == pytest.approx(1.0 + 10.0 * price * rate)
    else:
        assert trade[c.PNL] == pytest.approx(-1000.0)
        moved = trade[c.QUANTITY] * (trade[c.EXIT_PRICE] - trade[c.ENTRY_PRICE])
        assert moved - trade[c.FEES] - trade[c.INSURANCE] == pytest.approx(-1000.0)
        assert trade[c.INSURANCE] > 0.0


def test_a_limit_that_closes_is_called_one() -> None:
    sent, flags = orders((1.0,), (0.0,), (1.0,), (0.0,), (0.0,)), np.array([0.0, 1.0, 0.0, 0.0, 0.0])
    trades = listed(sent, [market(*[100.0] * 5)], limited=flags)
    assert trades[c.EXIT_REASON].tolist() == ["limit", "signal"]
    assert trades[c.BARS_HELD].tolist() == [1, 1]


def test_who_never_trades_has_no_trades() -> None:
    found = listed(orders((0.0,), (0.0,), (0.0,)), [market(100.0, 110.0, 90.0)])
    assert list(found) == list(c.TRADE)
    assert found.empty


@st.composite
def histories(draw: st.DrawFn) -> tuple[np.ndarray, list[MarketTensor], Terms]:
    """Two symbols over a month's turn with violent bars, and any orders with stops and take-profits."""
    bars = 40
    tensors = []
    for name in ("A", "B"):
        returns = draw(arrays.arrays(np.float64, bars, elements=st.floats(-0.25, 0.25)))
        rates = draw(arrays.arrays(np.float64, bars, elements=st.floats(-0.01, 0.01)))
        tensor = toy.tensor(returns, symbol=name, funding=rates)
        tensor.prices[:, 1] *= 1.0 + draw(st.floats(0.0, 0.2))
        tensor.prices[:, 2] *= 1.0 - draw(st.floats(0.0, 0.2))
        hours = np.arange(bars) * np.timedelta64(1, "h")
        object.__setattr__(tensor, "timestamp", np.datetime64("2026-01-31T04", "ms") + hours)
        tensors.append(tensor)
    targets = draw(arrays.arrays(np.float64, 2 * bars, elements=st.sampled_from([-2.0, -0.5, 0.0, 0.5, 2.0])))
    away = draw(arrays.arrays(np.float64, (2 * bars, 2), elements=st.sampled_from([0.0, 0.03, 0.1])))
    again = draw(arrays.arrays(np.float64, 2 * bars, elements=st.sampled_from([0.0, 1.0])))
    close = np.concatenate([tensor.prices[:, 3] for tensor in tensors])
    side = np.sign(targets)
    stop, profit = close * (1 - side * away[:, 0]), close * (1 + side * away[:, 1])
    guard = [np.where((away[:, k] > 0) & (side != 0), price, 0.0) for k, price in enumerate((stop, profit))]
    slipping = draw(st.sampled_from([0.0, 0.1]))
    terms = toy.TERMS._replace(capital=10_000.0, slippage_volatility=slipping, slippage_size=slipping)
    return np.stack([targets, *guard, again], axis=1), tensors, terms


def lived(sent: np.ndarray, panel: Panel, terms: Terms) -> tuple[np.ndarray, list[float], float]:
    """Net returns by the account step alone, final equities, and what was spent on costs in all."""
    earned, left, costs = np.zeros(len(panel.volatility)), [], 0.0
    for start, end in zip(panel.starts, panel.ends):
        account = open_account(terms.capital)
        for t in range(start + 1, end):
            known = panel.funding[t], panel.unrest[t - 1], panel.volume[t - 1]
            after = step(account, Order(*sent[t - 1]), Bar(*panel.prices[t], *known), toy.CONTRACT, terms)
            costs += after.flows.costs
            earned[t] = after.account.equity / account.equity - 1.0
            account = after.account
            if earned[t] < -0.99:
                left.append(account.equity)
                account = open_account(terms.capital)
        left.append(account.equity)
    return earned, left, costs


@settings(max_examples=60, deadline=None)
@given(histories())
def test_trades_add_up_to_the_equity_to_the_cent(
    history: tuple[np.ndarray, list[MarketTensor], Terms],
) -> None:
    sent, tensors, terms = history
    panel, grid = stack(tensors), grid_of([tensor.timestamp for tensor in tensors])
    earned, left, costs = lived(sent, panel, terms)
    trades = round_trips(replayed(sent, earned), panel, terms, grid, ["A", "B"])
    gained = sum(left) - len(left) * terms.capital  # a ruined account began anew
    assert trades[c.PNL].sum() == pytest.approx(gained, abs=0.005)
    assert (trades[c.FEES] + trades[c.SLIPPAGE]).sum() == pytest.approx(costs, abs=0.005)
    assert 1.0 + trades[c.CONTRIBUTION].sum() == pytest.approx(equity_curve(earned, grid)[-1], abs=1e-9)
    assert set(trades[c.EXIT_REASON]) <= set(REASONS)
    for _, own in trades.groupby(c.SYMBOL):
        assert (own[c.ENTRY_TIME].iloc[1:].to_numpy() >= own[c.EXIT_TIME].iloc[:-1].to_numpy()).all()


def test_a_replays_targets_are_orders() -> None:
    rng = np.random.default_rng(3)
    tensors = [toy.tensor(rng.normal(0.0, 0.02, 200), symbol=name) for name in ("A", "B")]
    panel, grid = stack(tensors), grid_of([tensor.timestamp for tensor in tensors])
    targets = np.repeat(rng.choice([-1.0, 0.0, 1.0], 80), 5)
    replay = replay_targets(targets, panel, toy.TERMS)
    sent = orders(*[(target,) for target in targets])
    trades = round_trips(replayed(sent, replay.net_return), panel, toy.TERMS, grid, ["A", "B"])
    assert 1.0 + trades[c.CONTRIBUTION].sum() == pytest.approx(equity_curve(replay.net_return, grid)[-1])


def test_a_trade_that_has_ended_does_not_change_with_later_bars() -> None:
    rng = np.random.default_rng(4)
    tensor = toy.tensor(rng.normal(0.0, 0.02, 120))
    sent = orders(*[(t,) for t in np.repeat(rng.choice([-1.0, 0.0, 1.0], 40), 3)])
    whole, cut = listed(sent, [tensor]), listed(sent[:70], [tensor.rows(slice(0, 70))])
    ended = cut[cut[c.EXIT_REASON] != "end"]
    assert len(ended) > 5
    assert whole.head(len(ended)).equals(ended)
