"""What the policy is paid for.

Enters: equity before and after a bar, in any one currency. Leaves: a dimensionless reward.
"""

import math

from xrl.account.compiled import njit

#: An account below this share of its starting equity is ruined: the episode terminates.
RUIN_SHARE = 0.01


@njit
def log_growth(equity_t: float, equity_tp1: float) -> float:
    """Change of log equity over a bar; a total loss counts as a loss of 99 %, so that it stays finite."""
    if equity_t <= 0.0:
        return 0.0
    return math.log(max(equity_tp1 / equity_t, RUIN_SHARE))
