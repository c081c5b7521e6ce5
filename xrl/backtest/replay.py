"""Replay of decisions over history through the same account step that training used.

Enters: a stacked market and either a policy (asked bar by bar) or target exposures. Leaves: per bar, what
each sub-account earned, paid and held. Accounts start flat at each symbol's first bar; one that loses 99 %
within a bar is ruined and starts anew, which counts for nothing until the portfolio's next rebalancing
refunds it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import njit
from xrl.account.step import Account, Terms, open_account, step
from xrl.env import kernel
from xrl.env.market import Panel
from xrl.env.observation import observation_width
from xrl.env.reward import RUIN_SHARE

_EQUITY = Account._fields.index("equity")

#: Observations (symbols, width) float32 and their panel rows (symbols,) -> action indices (symbols,).
Decide = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.int64]]


class Replay(NamedTuple):
    """One strategy over a panel; every array has one row per panel row.

    Row t holds what happened within bar t and the exposure at its close; each symbol's first row is zero.
    Money is a fraction of the sub-account's equity at the close before.
    """

    net_return: NDArray[np.float64]
    costs: NDArray[np.float64]
    funding: NDArray[np.float64]  # paid; negative when received
    traded: NDArray[np.float64]
    liquidated: NDArray[np.float64]  # 1 where it happened
    exposure: NDArray[np.float64]  # signed notional / equity at the close
    target: NDArray[np.float64]  # exposure last asked for, in force at the close
    action: NDArray[np.int64]  # decided at the row's close; -1 where no policy was asked


def replay_policy(decide: Decide, panel: Panel, terms: Terms, delay_bars: int = 0) -> Replay:
    """Let a policy trade every symbol of `panel`, asking it at every close.

    Args:
        decide: the policy.
        panel: the market.
        terms: costs and margin.
        delay_bars: bars by which orders come late on top of the usual fill at the next open.
    """
    result = _empty(len(panel.volatility))
    cursor, ends = panel.starts.copy(), panel.ends
    states = kernel.open_accounts(len(cursor))
    waiting = [np.zeros(len(cursor), dtype=np.int64)] * delay_bars
    width = observation_width(panel.block.shape[1])
    while len(cursor):
        seen = np.empty((len(cursor), width), dtype=np.float32)
        kernel.observe(seen, states, cursor, panel, terms)
        decided = decide(seen, cursor)
        result.action[cursor] = decided
        waiting = [*waiting, decided]
        due, waiting = waiting[0], waiting[1:]
        going = cursor + 1 < ends
        if not going.all():
            cursor, ends, states, due = cursor[going], ends[going], states[going], due[going]
            waiting = [late[going] for late in waiting]
        before = states[:, _EQUITY].copy()
        flows = np.empty((len(cursor), 4))
        kernel.advance(states, cursor, due, panel, terms, flows)
        _record(result, states, before, flows, cursor, panel)
    return result


def replay_targets(targets: NDArray[np.float64], panel: Panel, terms: Terms) -> Replay:
    """Trade given target exposures: row t's target is decided at close t and filled at the next open.

    Args:
        targets: signed multiples of equity; equal to the row before means hold. (rows,)
        panel: the market.
        terms: costs and margin.
    """
    result = _empty(len(targets))
    for start, end in zip(panel.starts, panel.ends):
        _run_targets(result, targets, start, end, panel, terms)
    return result


def _empty(rows: int) -> Replay:
    net, costs, funding, traded, liquidated, exposure, target = (np.zeros(rows) for _ in range(7))
    action = np.full(rows, -1, dtype=np.int64)
    return Replay(net, costs, funding, traded, liquidated, exposure, target, action)


@njit
def _record(
    result: Replay,
    states: NDArray[np.float64],
    before: NDArray[np.float64],
    flows: NDArray[np.float64],
    cursor: NDArray[np.int64],
    panel: Panel,
) -> None:
    """Write the bar that every account has just lived through; restart the ruined."""
    for i in range(len(cursor)):
        t = cursor[i]
        account = kernel.load(states, i)
        result.net_return[t] = account.equity / before[i] - 1.0
        result.costs[t] = flows[i, 0] / before[i]
        result.funding[t] = flows[i, 1] / before[i]
        result.traded[t] = flows[i, 2] / before[i]
        result.liquidated[t] = flows[i, 3]
        account = _restarted(account, before[i])
        kernel.save(states, i, account)
        result.exposure[t] = account.quantity * panel.prices[t, 3] / account.equity
        result.target[t] = account.target


@njit
def _run_targets(
    result: Replay, targets: NDArray[np.float64], start: int, end: int, panel: Panel, terms: Terms
) -> None:
    """One symbol's rows start..end. Arrays leave their tuples once: per bar, that would cost most."""
    net_return, costs, funding, traded, liquidated, exposure, target, _ = result
    prices, rates = panel.prices, panel.funding
    account = open_account(1.0)
    for t in range(start + 1, end):
        before = account.equity
        close = prices[t, 3]
        after = step(
            account, targets[t - 1], prices[t, 0], prices[t, 1], prices[t, 2], close, rates[t], terms
        )
        account = after.account
        net_return[t] = account.equity / before - 1.0
        costs[t] = after.flows.costs / before
        funding[t] = after.flows.funding / before
        traded[t] = after.flows.traded / before
        liquidated[t] = after.flows.liquidated
        account = _restarted(account, before)
        exposure[t] = account.quantity * close / account.equity
        target[t] = account.target


@njit
def _restarted(account: Account, equity_before: float) -> Account:
    """The account to go on with: a fresh one where the bar took 99 %."""
    if account.equity < RUIN_SHARE * equity_before:
        account = open_account(1.0)
    return account
