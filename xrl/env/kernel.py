"""Many accounts over a stacked market, compiled: the loops behind the batched environment and the backtest.

Enters: `Panel`, account states as a matrix with the fields of `Account` as columns, and each account's row in
the panel. Leaves: the same matrix, moved on by one bar. Every account goes through `account.step.step`.
"""

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import inlined, njit
from xrl.account.contract import pick
from xrl.account.costs import Terms
from xrl.account.orders import Order
from xrl.account.step import Account, Bar, Flows, Step, open_account, step
from xrl.env.market import Panel
from xrl.env.observation import ACCOUNT_WIDTH, write_account_features

FIELDS = len(Account._fields)
FLOWS = len(Flows._fields)


def open_accounts(count: int, equity: float) -> NDArray[np.float64]:
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
    seen, prices, volatility, funding = panel.seen, panel.prices, panel.volatility, panel.funding_last
    first = panel.block.shape[1] + panel.market.shape[1]
    whole = len(panel.account) == ACCOUNT_WIDTH
    some = np.empty(ACCOUNT_WIDTH, dtype=np.float32)
    for i in range(len(cursor)):
        t = cursor[i]
        out[i] = seen[t]
        write_account_features(
            out[i, first : first + ACCOUNT_WIDTH] if whole else some,
            load(states, i),
            prices[t, 3],
            volatility[t],
            funding[t],
            terms.max_leverage,
        )
        if not whole:
            for k in range(len(panel.account)):
                out[i, first + k] = some[panel.account[k]]


@njit
def advance(
    states: NDArray[np.float64],
    cursor: NDArray[np.int64],
    orders: NDArray[np.float64],
    panel: Panel,
    terms: Terms,
    flows: NDArray[np.float64],
) -> None:
    """Carry each account over the bar after its row and move the row on.

    Args:
        states: changed in place. (accounts, FIELDS)
        cursor: row of the close at which the order was decided; changed in place. (accounts,)
        orders: fields of `Order`. (accounts, 4)
        panel: the market; row cursor + 1 must belong to the same symbol.
        terms: costs.
        flows: receives the bar's `Flows`. (accounts, FLOWS)
    """
    for i in range(len(cursor)):
        t = cursor[i] + 1
        order = Order(orders[i, 0], orders[i, 1], orders[i, 2], orders[i, 3])
        after = lived(load(states, i), order, t, panel, terms)
        cursor[i] = t
        save(states, i, after.account)
        save_flows(flows, i, after.flows)


@inlined
def lived(account: Account, order: Order, t: int, panel: Panel, terms: Terms) -> Step:
    """`account.step.step` over row t with the order decided at the close of row t - 1."""
    prices = panel.prices
    bar = Bar(
        prices[t, 0],
        prices[t, 1],
        prices[t, 2],
        prices[t, 3],
        panel.funding[t],
        panel.unrest[t - 1],
        panel.volume[t - 1],
    )
    after: Step = step(account, order, bar, pick(panel.contracts, panel.symbol[t]), terms)
    return after


@inlined
def load(states: NDArray[np.float64], i: int) -> Account:
    """Row i as an `Account`."""
    s = states[i]
    return Account(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11])


@inlined
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
    s[9] = a.liquidation
    s[10] = a.stop
    s[11] = a.take_profit


@inlined
def save_flows(flows: NDArray[np.float64], i: int, f: Flows) -> None:
    """`Flows` into row i."""
    s = flows[i]
    s[0] = f.costs
    s[1] = f.funding
    s[2] = f.traded
    s[3] = f.insurance
    s[4] = f.liquidated
    s[5] = f.stopped
    s[6] = f.took_profit
