"""Decisions as orders: what exposure an action asks for, what is guarded, what a venue accepts.

Enters: an index into `columns.ACTIONS` or an exposure, and the standing target. Leaves: an `Order`.
"""

import math
from typing import NamedTuple

import numpy as np

from xrl.account.compiled import inlined
from xrl.account.contract import Contract
from xrl.columns import ACTIONS

HOLD_ACTION = ACTIONS.index("hold")
INCREASE_ACTION = ACTIONS.index("increase")
REDUCE_ACTION = ACTIONS.index("reduce")
#: What increase and reduce move the target by, in multiples of equity.
EXPOSURE_STEP = 0.5


class Order(NamedTuple):
    """What is asked for at close t and filled at open t+1."""

    target: float  # exposure, signed multiples of equity; equal to the standing one: keep what is held
    stop: float  # price at which the position is given up; 0: none
    take_profit: float  # price at which it is sold with profit; 0: none
    rebalances: float  # 1.0: trade back to the target although it already stands


def _target_named(action: str) -> float:
    side, _, size = action.partition("_")
    return {"buy": 1.0, "sell": -1.0}[side] * float(size.removesuffix("x")) if size else 0.0


#: Target exposure of buy and sell actions; 0 for the others. (actions,)
ACTION_TARGETS = np.array([_target_named(action) for action in ACTIONS])


@inlined
def target_after(action: int, standing: float, max_leverage: float) -> float:
    """Target exposure once `action` is taken while `standing` is the target in force.

    Hold keeps the target; increase and reduce move it from and towards 0 by 0.5; both do nothing when flat.

    Args:
        action: index into `columns.ACTIONS`.
        standing: target exposure in force, signed multiples of equity.
        max_leverage: bound of the result's size.
    """
    if action == HOLD_ACTION:
        return standing
    side = float(np.sign(standing))
    if action == INCREASE_ACTION:
        return side * min(abs(standing) + EXPOSURE_STEP, max_leverage)
    if action == REDUCE_ACTION:
        return side * max(abs(standing) - EXPOSURE_STEP, 0.0)
    return float(min(max(ACTION_TARGETS[action], -max_leverage), max_leverage))


@inlined
def is_valid(action: int, standing: float, max_leverage: float) -> bool:
    """Whether `action` would change anything, so that an agent may be kept from the others; hold always is.

    Args:
        action: index into `columns.ACTIONS`.
        standing: target exposure in force.
        max_leverage: bound of a target's size.
    """
    return action == HOLD_ACTION or target_after(action, standing, max_leverage) != standing


@inlined
def continuous_target(wanted: float, standing: float, max_leverage: float, smallest_change: float) -> float:
    """Target of a continuous action, kept as it stands where the change would be too small to pay for.

    Args:
        wanted: exposure asked for, signed multiples of equity.
        standing: target exposure in force.
        max_leverage: bound of the result's size.
        smallest_change: of exposure; closing is always allowed.
    """
    bounded = min(max(wanted, -max_leverage), max_leverage)
    if abs(bounded) < smallest_change:
        return 0.0
    return standing if abs(bounded - standing) < smallest_change else bounded


@inlined
def market_order(target: float) -> Order:
    """An order without stop and take-profit."""
    return Order(target, 0.0, 0.0, 0.0)


@inlined
def bracket_order(target: float, close: float, stop: float, take_profit: float) -> Order:
    """An order guarded on both sides.

    Args:
        target: signed multiples of equity.
        close: the price that the distances count from.
        stop, take_profit: distances as fractions of `close`; 0: none.
    """
    side = 1.0 if target > 0.0 else -1.0
    below = close * (1.0 - side * stop) if stop > 0.0 else 0.0
    above = close * (1.0 + side * take_profit) if take_profit > 0.0 else 0.0
    return Order(target, max(below, 0.0), max(above, 0.0), 0.0)


@inlined
def tradable(change: float, price: float, contract: Contract) -> float:
    """`change` coins in whole steps, rounded towards 0; 0 where that is less than the venue accepts."""
    if contract.step_size > 0.0:
        # a hair more than the quotient, so that a whole number of steps is not cut to one less
        steps = math.floor(abs(change) / contract.step_size * (1.0 + 1e-12))
        change = math.copysign(steps * contract.step_size, change)
    return change if abs(change) * price >= contract.min_notional and change != 0.0 else 0.0
