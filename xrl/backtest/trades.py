"""The round trips behind an equity curve: what was held from when to when, and what it earned and paid.

Enters: a replay with the orders it sent, the market it traded. Leaves: one row per round trip,
`columns.TRADE`. Every bar is lived again through `account.step.step`; a bar in which a
position ends or begins is cut at its open by stepping to the open alone. So a sub-account's trades add up to
its equity, and their contributions to the portfolio's.

Money is the sub-account's, opened with `backtest.account_usdt` and never refilled, unless it says portfolio.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.account.compiled import njit
from xrl.account.contract import Contract, pick
from xrl.account.costs import Terms, slippage
from xrl.account.orders import Order
from xrl.account.step import Account, Bar, Step, open_account, step
from xrl.backtest.portfolio import Grid, money_before
from xrl.backtest.replay import Replay
from xrl.env.market import Panel
from xrl.env.reward import RUIN_SHARE

#: Why a position ended, in the order of their codes. `limit`: by an order that a risk limit made of another;
#: `end`: it did not, and is marked at the last close.
REASONS: Final = ("signal", "limit", "stop", "take_profit", "liquidation", "end")
_SIGNAL, _LIMIT, _STOP, _TAKE_PROFIT, _LIQUIDATION, _END = range(len(REASONS))

#: What is noted of a round trip while it runs, and of its end.
_FIELDS: Final = (
    "entry_row",
    "base",  # equity just before the first fill
    "quantity",  # the largest so far, signed
    "notional",  # of the largest, at the open of its fill
    "leverage",  # largest notional / equity at a fill
    "fills",
    "fees",
    "slippage",
    "funding",
    "insurance",
    "contribution",
    "exit_row",
    "reason",
    "entry_price",
    "exit_price",
    "equity",  # just after the end
)
_ENTRY_ROW, _BASE, _QUANTITY, _NOTIONAL, _LEVERAGE, _FILLS, _FEES, _SLIPPAGE = range(8)
_FUNDING, _INSURANCE, _CONTRIBUTION, _EXIT_ROW, _REASON, _ENTRY_PRICE, _EXIT_PRICE, _EQUITY = range(8, 16)


def round_trips(
    replay: Replay, panel: Panel, terms: Terms, grid: Grid, symbols: Sequence[str]
) -> pd.DataFrame:
    """Every round trip of every symbol, by symbol and entry.

    Args:
        replay: what was sent, `sent` and `limited`, and earned, `net_return`.
        panel: the market it traded.
        terms: its costs.
        grid: of the panel.
        symbols: names in the panel's order.

    Returns:
        Columns `columns.TRADE`.
    """
    money = money_before(replay.net_return, grid)
    spans = list(zip(panel.starts.tolist(), panel.ends.tolist()))
    found = [_walk(replay.sent, panel, terms, money, *span) for span in spans]
    raw = dict(zip(_FIELDS, np.concatenate(found).T))
    entered, left, reason = (raw[name].astype(np.int64) for name in ("entry_row", "exit_row", "reason"))
    reason[(reason == _SIGNAL) & (replay.limited[left - 1] > 0.0)] = _LIMIT
    opens = pd.DatetimeIndex(grid.timestamp[grid.row]).tz_localize("UTC").as_unit("ms")
    pnl = raw["equity"] - raw["base"]
    return pd.DataFrame(
        {
            c.SYMBOL: np.repeat(np.array(symbols, dtype=object), [len(own) for own in found]),
            c.SIDE: np.where(raw["quantity"] > 0.0, "long", "short"),
            c.ENTRY_TIME: opens[entered],
            c.ENTRY_PRICE: raw["entry_price"],
            c.EXIT_TIME: opens[left],
            c.EXIT_PRICE: raw["exit_price"],
            c.EXIT_REASON: np.array(REASONS)[reason],
            c.BARS_HELD: left - entered + ~np.isin(reason, (_SIGNAL, _LIMIT)),
            c.ENTRY_EQUITY: raw["base"],
            c.QUANTITY: np.abs(raw["quantity"]),
            c.NOTIONAL: raw["notional"],
            c.LEVERAGE: raw["leverage"],
            c.FILLS: raw["fills"].astype(np.int64),
            c.FEES: raw["fees"],
            c.SLIPPAGE: raw["slippage"],
            c.FUNDING_PAID: raw["funding"],
            c.INSURANCE: raw["insurance"],
            c.PNL: pnl,
            c.TRADE_RETURN: pnl / raw["base"],
            c.CONTRIBUTION: raw["contribution"],
        }
    )


@njit
def _walk(
    sent: NDArray[np.float64],
    panel: Panel,
    terms: Terms,
    money: NDArray[np.float64],
    start: int,
    end: int,
) -> NDArray[np.float64]:
    """Round trips of one symbol's rows; (trades, fields)."""
    table = np.zeros((end - start, len(_FIELDS)))
    count, runs = 0, False
    account, contract = open_account(terms.capital), pick(panel.contracts, panel.symbol[start])
    for t in range(start + 1, end):
        order = Order(sent[t - 1, 0], sent[t - 1, 1], sent[t - 1, 2], sent[t - 1, 3])
        bar, share = _bar(panel, t), money[t] / account.equity
        after = _lived(account, order, bar, contract, terms)
        if runs:
            table[count, _FUNDING] += after.flows.funding
        if after.flows.traded > 0.0 or after.flows.liquidated > 0.0:
            count, runs = _cut(table, count, runs, t, account, order, bar, after, contract, terms, share)
        elif runs:
            table[count, _CONTRIBUTION] += share * (after.account.equity - account.equity)
        is_ruined = after.account.equity < RUIN_SHARE * account.equity
        account = after.account
        if runs and (is_ruined or t + 1 == end):
            reason = _LIQUIDATION if is_ruined else _END
            count, runs = _end(table, count, t, reason, account.entry, bar.close, account.equity), False
        if is_ruined:
            account = open_account(terms.capital)
    return table[:count]


@njit
def _cut(
    table: NDArray[np.float64],
    count: int,
    runs: bool,
    t: int,
    account: Account,
    order: Order,
    bar: Bar,
    after: Step,
    contract: Contract,
    terms: Terms,
    share: float,
) -> tuple[int, bool]:
    """Note a bar with a fill: who came in, what was filled at the open, who was stopped on the way.

    Returns how many round trips have ended, and whether one runs.
    """
    at_open = Bar(bar.open, bar.open, bar.open, bar.open, bar.funding_rate, bar.volatility, bar.volume)
    costs, traded, passed = 0.0, 0.0, account.equity  # spent and left at the open by the position coming in
    if runs:
        closed = _lived(account, Order(0.0, 0.0, 0.0, 1.0), at_open, contract, terms)
        was_liquidated = closed.flows.liquidated > 0.0
        if was_liquidated or _closes(order, account):
            costs, traded, passed = closed.flows.costs, closed.flows.traded, closed.account.equity
            table[count, _CONTRIBUTION] += share * (passed - account.equity)
            table[count, _INSURANCE] += closed.flows.insurance
            reason = _LIQUIDATION if was_liquidated else _SIGNAL
            _pay(table[count], costs, traded, reason, bar, terms)
            price = _exit_price(account.quantity, account.entry, closed.account)
            count, runs = _end(table, count, t, reason, account.entry, price, passed), False
    opened = _lived(account, Order(order.target, 0.0, 0.0, order.rebalances), at_open, contract, terms)
    filled = opened.flows.traded - traded
    if filled > 0.0:
        if not runs:
            table[count, _ENTRY_ROW], table[count, _BASE], runs = t, passed, True
        _pay(table[count], opened.flows.costs - costs, filled, _SIGNAL, bar, terms)
        _enlarge(table[count], opened.account, bar.open)
    if not runs:
        return count, False
    table[count, _CONTRIBUTION] += share * (after.account.equity - passed)
    if after.account.quantity != 0.0:
        return count, True
    reason = _STOP if after.flows.stopped > 0.0 else _TAKE_PROFIT
    reason = _LIQUIDATION if after.flows.liquidated > 0.0 else reason
    left = after.flows.traded - opened.flows.traded
    _pay(table[count], after.flows.costs - opened.flows.costs, left, reason, bar, terms)
    table[count, _INSURANCE] += after.flows.insurance
    price = _exit_price(opened.account.quantity, opened.account.entry, after.account)
    return _end(table, count, t, reason, opened.account.entry, price, after.account.equity), False


@njit
def _lived(account: Account, order: Order, bar: Bar, contract: Contract, terms: Terms) -> Step:
    """`account.step.step`, compiled once for all its callers here."""
    after: Step = step(account, order, bar, contract, terms)
    return after


@njit
def _bar(panel: Panel, t: int) -> Bar:
    p = panel.prices[t]
    return Bar(p[0], p[1], p[2], p[3], panel.funding[t], panel.unrest[t - 1], panel.volume[t - 1])


@njit
def _closes(order: Order, account: Account) -> bool:
    """Whether `order` gives up the position held, as `step` reads it."""
    is_new = order.target != account.target or order.rebalances != 0.0
    return is_new and account.quantity * order.target <= 0.0


@njit
def _pay(
    trade: NDArray[np.float64], costs: float, notional: float, reason: int, bar: Bar, terms: Terms
) -> None:
    """Divide what a fill cost: orders at rest and liquidations pay no slippage."""
    slipped = 0.0
    if reason in (_SIGNAL, _STOP):
        slipped = notional * slippage(notional, bar.volatility, bar.volume, terms)
    trade[_FEES] += costs - slipped
    trade[_SLIPPAGE] += slipped


@njit
def _enlarge(trade: NDArray[np.float64], account: Account, price: float) -> None:
    """Count a fill at the open; note the position where it is the largest so far."""
    trade[_FILLS] += 1.0
    if abs(account.quantity) > abs(trade[_QUANTITY]):
        trade[_QUANTITY] = account.quantity
        trade[_NOTIONAL] = abs(account.quantity) * price
    trade[_LEVERAGE] = max(trade[_LEVERAGE], abs(account.quantity) * price / account.equity)


@njit
def _exit_price(quantity: float, entry: float, closed: Account) -> float:
    """Price of the closing fill, out of the closed trade's log return."""
    side = 1.0 if quantity > 0.0 else -1.0
    return entry * math.exp(side * closed.last_trade)


@njit
def _end(
    table: NDArray[np.float64], count: int, t: int, reason: int, entry: float, price: float, equity: float
) -> int:
    """Close the running round trip. Returns how many have ended."""
    trade = table[count]
    trade[_EXIT_ROW], trade[_REASON], trade[_ENTRY_PRICE], trade[_EXIT_PRICE] = t, reason, entry, price
    trade[_EQUITY] = equity
    return count + 1
