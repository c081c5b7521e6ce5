"""Many accounts over a stacked market, compiled: the loops behind the batched environment and the backtest.

Enters: `Panel`, account states as a matrix with the fields of `Account` as columns, and each account's row in
the panel. Leaves: the same matrix, moved on by one bar. Every account goes through `account.step.step`.
"""

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import njit
from xrl.account.orders import target_after
from xrl.account.step import Account, Terms, open_account, step
from xrl.env.market import Panel
from xrl.env.observation import ACCOUNT_WIDTH, write_account_features, write_observation

FIELDS = len(Account._fields)


def open_accounts(count: int, equity: float = 1.0) -> NDArray[np.float64]:
    """States of `count` flat accounts. (count, FIELDS)"""
    return np.tile(np.array(open_account.py_func(equity)), (count, 1))


@njit
def observe(
    out: NDArray[np.float32],
    states: NDArray[np.float64],
    cursor: NDArray[np.int64],
    panel: Panel,
    terms: Terms,
) -> None:
    """Write each account's observation at the close of its row. out: (accounts, width)"""
    account = np.empty(ACCOUNT_WIDTH)
    for i in range(len(cursor)):
        t = cursor[i]
        write_account_features(
            account, load(states, i), panel.prices[t, 3], panel.volatility[t], panel.funding_last[t], terms
        )
        write_observation(out[i], panel.block[t], panel.market[t], panel.regime[t], account)


@njit
def advance(
    states: NDArray[np.float64],
    cursor: NDArray[np.int64],
    actions: NDArray[np.int64],
    panel: Panel,
    terms: Terms,
    flows: NDArray[np.float64],
) -> None:
    """Carry each account over the bar after its row and move the row on.

    Args:
        states: changed in place. (accounts, FIELDS)
        cursor: row of the close at which the action was decided; changed in place. (accounts,)
        actions: indices into `columns.ACTIONS`. (accounts,)
        panel: the market; row cursor + 1 must belong to the same symbol.
        terms: costs and margin.
        flows: receives the bar's `Flows`. (accounts, 4)
    """
    for i in range(len(cursor)):
        t = cursor[i] + 1
        account = load(states, i)
        after = step(
            account,
            target_after(actions[i], account.target, terms.max_leverage),
            panel.prices[t, 0],
            panel.prices[t, 1],
            panel.prices[t, 2],
            panel.prices[t, 3],
            panel.funding[t],
            terms,
        )
        cursor[i] = t
        save(states, i, after.account)
        flow = after.flows
        flows[i, 0] = flow.costs
        flows[i, 1] = flow.funding
        flows[i, 2] = flow.traded
        flows[i, 3] = flow.liquidated


@njit
def load(states: NDArray[np.float64], i: int) -> Account:
    """Row i as an `Account`."""
    s = states[i]
    return Account(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8])


@njit
def save(states: NDArray[np.float64], i: int, a: Account) -> None:
    """`Account` into row i."""
    s = states[i]
    s[0] = a.wallet
    s[1] = a.quantity
    s[2] = a.entry
    s[3] = a.target
    s[4] = a.equity
    s[5] = a.peak
    s[6] = a.held
    s[7] = a.idle
    s[8] = a.last_trade
