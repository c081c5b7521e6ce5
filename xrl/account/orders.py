"""Discrete actions as orders: what target exposure an action asks for.

Enters: an index into `columns.ACTIONS` and the standing target. Leaves: a target exposure,
signed multiples of equity.
"""

import numpy as np

from xrl.account.compiled import njit
from xrl.columns import ACTIONS

HOLD_ACTION = ACTIONS.index("hold")
INCREASE_ACTION = ACTIONS.index("increase")
REDUCE_ACTION = ACTIONS.index("reduce")
#: What increase and reduce move the target by, in multiples of equity.
EXPOSURE_STEP = 0.5


def _target_named(action: str) -> float:
    side, _, size = action.partition("_")
    return {"buy": 1.0, "sell": -1.0}[side] * float(size.removesuffix("x")) if size else 0.0


#: Target exposure of buy and sell actions; 0 for the others. (actions,)
ACTION_TARGETS = np.array([_target_named(action) for action in ACTIONS])


@njit
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
