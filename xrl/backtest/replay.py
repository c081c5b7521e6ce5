"""Replay of decisions over history through the same account step that training used.

Enters: a stacked market and either a policy (asked bar by bar) or orders. Leaves: per bar, what each
sub-account earned, paid and held. Accounts start flat at each symbol's first bar; one that loses 99 % within
a bar is ruined and starts anew, which counts for nothing until the portfolio's next rebalancing refunds it.
Under risk limits it rests first (`cooldown_bars`); the limits forget the account that was liquidated.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import inlined, njit
from xrl.account.costs import Terms
from xrl.account.orders import Order, target_after
from xrl.account.risk import UNLIMITED, Guard, Limits
from xrl.account.step import Account, Flows, equity_at, is_liquidated, open_account
from xrl.backtest.limits import new_guards, restrain, watch
from xrl.env import kernel
from xrl.env.market import Panel
from xrl.env.reward import RUIN_SHARE

_EQUITY = Account._fields.index("equity")
_TARGET = Account._fields.index("target")
_KILLED = Guard._fields.index("is_killed")

#: Observations (symbols, width) float32 and their panel rows (symbols,) -> action indices (symbols,).
Decide = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.int64]]


class Replay(NamedTuple):
    """One strategy over a panel; every array has one row per panel row.

    Row t holds what happened within bar t and the exposure at its close; each symbol's first row is zero.
    Money is a fraction of the sub-account's equity at the close before.
    """

    net_return: NDArray[np.float64]
    exposure: NDArray[np.float64]  # signed notional / equity at the close
    target: NDArray[np.float64]  # exposure last asked for, in force at the close
    costs: NDArray[np.float64]
    funding: NDArray[np.float64]  # paid; negative when received
    traded: NDArray[np.float64]
    insurance: NDArray[np.float64]  # kept by the venue of a liquidated margin
    liquidated: NDArray[np.float64]  # 1 where it happened
    stopped: NDArray[np.float64]  # 1 where a stop was filled
    took_profit: NDArray[np.float64]  # 1 where a take-profit was filled
    limited: NDArray[np.float64]  # 1 where the risk limits changed the close's order, or forbade any
    killed: NDArray[np.float64]  # 1 where a spent drawdown keeps the account closed
    sent: NDArray[np.float64]  # (rows, 4) that order, fields of `Order`; 0 where no policy was asked
    action: NDArray[np.int8]  # decided at the row's close; -1 where no policy was asked


def replay_policy(
    decide: Decide, panel: Panel, terms: Terms, delay_bars: int = 0, limits: Limits = UNLIMITED
) -> Replay:
    """Let a policy trade every symbol of `panel`, asking it at every close.

    Args:
        decide: the policy.
        panel: the market.
        terms: costs.
        delay_bars: bars by which orders come late on top of the usual fill at the next open.
        limits: what may be sent, judged at the close at which it is sent.
    """
    result = _empty(len(panel.volatility))
    cursor, ends = panel.starts.copy(), panel.ends
    states = kernel.open_accounts(len(cursor), terms.capital)
    guards = new_guards(cursor, panel, terms.capital)
    waiting = [np.zeros(len(cursor), dtype=np.int64)] * delay_bars
    while len(cursor):
        seen = np.empty((len(cursor), panel.seen.shape[1]), dtype=np.float32)
        kernel.observe(seen, states, cursor, panel, terms)
        decided = decide(seen, cursor)
        result.action[cursor] = decided
        waiting = [*waiting, decided]
        due, waiting = waiting[0], waiting[1:]
        going = cursor + 1 < ends
        if not going.all():
            cursor, ends, states, due = cursor[going], ends[going], states[going], due[going]
            guards = guards[going]
            waiting = [late[going] for late in waiting]
        orders = np.zeros((len(cursor), len(Order._fields)))
        for i, action in enumerate(due):
            orders[i, 0] = target_after(action, states[i, _TARGET], terms.max_leverage)
        result.limited[cursor] = restrain(orders, guards, states, cursor, panel, limits)
        result.killed[cursor] = guards[:, _KILLED]
        result.sent[cursor] = orders
        before = states[:, _EQUITY].copy()
        flows = np.empty((len(cursor), kernel.FLOWS))
        kernel.advance(states, cursor, orders, panel, terms, flows)
        _record(result, states, before, flows, cursor, panel, terms.capital)
        watch(guards, states, flows, cursor, panel, limits)
    return result


def replay_targets(targets: NDArray[np.float64], panel: Panel, terms: Terms) -> Replay:
    """Trade given target exposures: row t's target is decided at close t and filled at the next open.

    Args:
        targets: signed multiples of equity; equal to the row before means hold. (rows,)
        panel: the market.
        terms: costs.
    """
    result = _empty(len(targets))
    for start, end in zip(panel.starts, panel.ends):
        _run_targets(result, targets, start, end, panel, terms)
    return result


def _empty(rows: int) -> Replay:
    # One block: the system then hands out large pages, which costs less than filling them.
    names = [name for name in Replay._fields if name not in ("sent", "action")]
    block = np.zeros((len(names), rows))
    sent = np.zeros((rows, len(Order._fields)))
    return Replay(**dict(zip(names, block)), sent=sent, action=np.full(rows, -1, dtype=np.int8))


@njit
def _record(
    result: Replay,
    states: NDArray[np.float64],
    before: NDArray[np.float64],
    flows: NDArray[np.float64],
    cursor: NDArray[np.int64],
    panel: Panel,
    capital: float,
) -> None:
    """Write the bar that every account has just lived through; restart the ruined."""
    for i in range(len(cursor)):
        t, f = cursor[i], flows[i]
        account = kernel.load(states, i)
        moved = Flows(f[0], f[1], f[2], f[3], f[4], f[5], f[6])
        _write_flows(result, t, moved, before[i])
        account = _write_close(result, t, account, before[i], panel.prices[t, 3], capital)
        kernel.save(states, i, account)


@njit
def _run_targets(
    result: Replay,
    targets: NDArray[np.float64],
    start: int,
    end: int,
    panel: Panel,
    terms: Terms,
) -> None:
    """One symbol's rows start..end: stretches in which nothing is asked for or due, and the bars between."""
    account = open_account(terms.capital)
    t = start + 1
    while t < end:
        account, t = _run_quiet(
            result.net_return, result.exposure, result.target, targets, t, end, account, panel
        )
        if t < end:
            before = account.equity
            after = kernel.lived(account, Order(targets[t - 1], 0.0, 0.0, 0.0), t, panel, terms)
            _write_flows(result, t, after.flows, before)
            account = _write_close(result, t, after.account, before, panel.prices[t, 3], terms.capital)
            t += 1


@njit
def _run_quiet(
    net_return: NDArray[np.float64],
    exposure: NDArray[np.float64],
    standing: NDArray[np.float64],
    targets: NDArray[np.float64],
    t: int,
    end: int,
    account: Account,
    panel: Panel,
) -> tuple[Account, int]:
    """Mark the bars from row t on in which the wallet stays as it is, as `step` would.

    Those are bars whose target stands already, without funding, and with liquidation out of reach. Returns
    the account after them, and the first row that is not one of them.
    """
    prices, rates = panel.prices, panel.funding
    first, quantity, target = t, account.quantity, account.target
    now, peak = account.equity, account.peak
    while t < end and targets[t - 1] == target:
        if quantity != 0.0:
            reach = prices[t, 2] if quantity > 0.0 else prices[t, 1]
            if rates[t] != 0.0 or is_liquidated(account, reach):
                break
            before, now = now, equity_at(account, prices[t, 3])
            if now < RUIN_SHARE * before:
                now = before
                break
            net_return[t] = now / before - 1.0
            exposure[t] = quantity * prices[t, 3] / now
            peak = max(peak, now)
        standing[t] = target
        t += 1
    bars = float(t - first)
    held = account.held + bars if quantity != 0.0 else 0.0
    after = Account(
        account.wallet,
        quantity,
        account.entry,
        target,
        now,
        peak,
        held,
        account.idle + bars,
        account.last_trade,
        account.liquidation,
        0.0,
        0.0,
    )
    return after, t


@inlined
def _write_flows(result: Replay, t: int, flows: Flows, before: float) -> None:
    result.costs[t] = flows.costs / before
    result.funding[t] = flows.funding / before
    result.traded[t] = flows.traded / before
    result.insurance[t] = flows.insurance / before
    result.liquidated[t] = flows.liquidated
    result.stopped[t] = flows.stopped
    result.took_profit[t] = flows.took_profit


@inlined
def _write_close(
    result: Replay, t: int, account: Account, before: float, close: float, capital: float
) -> Account:
    """Write what a bar left. Returns the account to go on with: a fresh one where the bar took 99 %."""
    result.net_return[t] = account.equity / before - 1.0
    if account.equity < RUIN_SHARE * before:
        account = open_account(capital)
    result.exposure[t] = account.quantity * close / account.equity
    result.target[t] = account.target
    return account
