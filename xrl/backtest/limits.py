"""The risk limits of `account.risk` over all accounts of a replay: what the service does for one.

Enters: states and orders as in `env.kernel`, guards as a matrix with the fields of `Guard` as columns.
Leaves: guards after a close, and the orders that may be sent at it.
"""

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import inlined, njit
from xrl.account.orders import Order
from xrl.account.risk import Guard, Limits, allowed, watched
from xrl.account.step import Flows
from xrl.env import kernel
from xrl.env.market import Panel

_LIQUIDATED = Flows._fields.index("liquidated")


def new_guards(cursor: NDArray[np.int64], panel: Panel, capital: float) -> NDArray[np.float64]:
    """Guards of accounts that open with `capital` at their rows. (accounts, fields of Guard)"""
    guards = np.zeros((len(cursor), len(Guard._fields)))
    guards[:, 0] = panel.closed[cursor]
    guards[:, 1:3] = capital
    return guards


@njit
def watch(
    guards: NDArray[np.float64],
    states: NDArray[np.float64],
    flows: NDArray[np.float64],
    cursor: NDArray[np.int64],
    panel: Panel,
    limits: Limits,
) -> None:
    """Let each guard see its account at the close of its row; guards change in place."""
    for i in range(len(cursor)):
        liquidated = flows[i, _LIQUIDATED] > 0.0
        after = watched(
            _guard(guards, i), kernel.load(states, i), liquidated, panel.closed[cursor[i]], limits
        )
        guards[i, 0] = after.closed
        guards[i, 1] = after.last_equity
        guards[i, 2] = after.day_equity
        guards[i, 3] = after.is_stopped
        guards[i, 4] = after.is_killed
        guards[i, 5] = after.cooling


@njit
def restrain(
    orders: NDArray[np.float64],
    guards: NDArray[np.float64],
    states: NDArray[np.float64],
    cursor: NDArray[np.int64],
    panel: Panel,
    limits: Limits,
) -> NDArray[np.float64]:
    """Put what may be sent in place of what was asked for.

    Args:
        orders: fields of `Order`, changed in place. (accounts, 4)
        guards: after the close at which the orders are sent.
        states, cursor, panel: accounts at that close, their rows, the market.
        limits: bounds.

    Returns:
        1 where an order was changed, or nothing may be held whatever is asked for. (accounts,)
    """
    changed = np.zeros(len(cursor))
    for i in range(len(cursor)):
        asked = Order(orders[i, 0], orders[i, 1], orders[i, 2], orders[i, 3])
        close = panel.prices[cursor[i], 3]
        guard = _guard(guards, i)
        sent = allowed(asked, kernel.load(states, i), close, guard, limits)
        if sent != asked or guard.is_stopped + guard.is_killed + guard.cooling > 0.0:
            changed[i] = 1.0
        orders[i, 0] = sent.target
        orders[i, 1] = sent.stop
        orders[i, 2] = sent.take_profit
        orders[i, 3] = sent.rebalances
    return changed


@inlined
def _guard(guards: NDArray[np.float64], i: int) -> Guard:
    return Guard(guards[i, 0], guards[i, 1], guards[i, 2], guards[i, 3], guards[i, 4], guards[i, 5])
