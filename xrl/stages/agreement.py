"""Does the refit act like the recipe that was judged?

Enters: two policies, each with its own blocks. Leaves: the share of bars on which both ask for the same
target exposure, and how often the second takes each action. Both are asked on the account
of the first, replayed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.orders import target_after
from xrl.account.step import Terms
from xrl.backtest.replay import replay_policy
from xrl.columns import ACTIONS
from xrl.env.market import MarketTensor, Panel, stack
from xrl.env.observation import ACCOUNT_WIDTH, MARKET_WIDTH
from xrl.policy.exported import ExportedPolicy


class Agreement(NamedTuple):
    share: float  # of bars with the same target exposure
    actions: dict[str, float]  # share of each action of the second policy


def action_agreement(
    judged: ExportedPolicy,
    judged_tensors: Sequence[MarketTensor],
    refit: ExportedPolicy,
    refit_tensors: Sequence[MarketTensor],
    terms: Terms,
) -> Agreement:
    """Ask both policies on every bar of the judged one's path.

    Args:
        judged, refit: the policies.
        judged_tensors, refit_tensors: the same bars, each with its own blocks and scaler.
        terms: costs and margin of the accounts.
    """
    panel, other = stack(judged_tensors), stack(refit_tensors)
    answers = np.full(len(panel.volatility), -1, dtype=np.int64)

    def decide(seen: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        answers[rows] = refit.actions(_as_seen_by(other, seen, rows))
        return judged.actions(seen)

    path = replay_policy(decide, panel, terms)
    same = [
        target_after(int(ours), float(standing), terms.max_leverage)
        == target_after(int(theirs), float(standing), terms.max_leverage)
        for ours, theirs, standing in zip(answers, path.action, path.target)
    ]
    shares = np.bincount(answers, minlength=len(ACTIONS)) / len(answers)
    return Agreement(float(np.mean(same)), dict(zip(ACTIONS, shares.tolist())))


def _as_seen_by(panel: Panel, seen: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Observations with the account of `seen` and everything else from `panel`."""
    start = panel.block.shape[1] + MARKET_WIDTH
    account = seen[:, start : start + ACCOUNT_WIDTH]
    parts = (panel.block[rows], panel.market[rows], account, panel.regime[rows])
    return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)
