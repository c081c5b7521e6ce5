"""Does the refit trade like the recipe that was judged?

Enters: two policies, each with its own blocks. Leaves: how far their positions agree, and what the second one
holds and does. Each trades its own account: asked on the account of the other, a policy that never trades
would agree on every bar on which the other holds, which is nearly all of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.costs import Terms
from xrl.backtest.replay import Replay, replay_policy
from xrl.columns import ACTIONS
from xrl.env.market import MarketTensor, Panel, stack
from xrl.policy.exported import ExportedPolicy

_SIDES = (-1.0, 0.0, 1.0)


class Agreement(NamedTuple):
    kappa: (
        float | None
    )  # of the sides, chance corrected: 1 equal, 0 as by chance; None: both constant and equal
    invested: (
        float | None
    )  # of the bars on which either is invested, share on the same side; None: no such bar
    side_share: float  # largest share of bars that the second is long, short or flat
    actions: dict[str, float]  # share of each action of the second policy


def side_agreement(
    judged: ExportedPolicy,
    judged_tensors: Sequence[MarketTensor],
    refit: ExportedPolicy,
    refit_tensors: Sequence[MarketTensor],
    terms: Terms,
) -> Agreement:
    """Let both policies trade the same bars, each on its own account, and compare the sides they hold.

    Args:
        judged, refit: the policies.
        judged_tensors, refit_tensors: the same bars, each with its own blocks and scaler.
        terms: costs and margin of the accounts.
    """
    panel = stack(judged_tensors)
    path = _traded(refit, stack(refit_tensors), terms)
    lived = np.ones(len(panel.volatility), dtype=bool)
    lived[panel.starts] = False  # every account starts flat: nobody's choice
    theirs = np.sign(_traded(judged, panel, terms).exposure[lived])
    ours = np.sign(path.exposure[lived])
    either = (ours != 0) | (theirs != 0)
    shares = np.bincount(path.action, minlength=len(ACTIONS)) / len(path.action)
    return Agreement(
        kappa=_kappa(ours, theirs),
        invested=float((ours == theirs)[either].mean()) if either.any() else None,
        side_share=max(float((ours == side).mean()) for side in _SIDES),
        actions=dict(zip(ACTIONS, shares.tolist())),
    )


def _traded(policy: ExportedPolicy, panel: Panel, terms: Terms) -> Replay:
    return replay_policy(lambda seen, _: policy.actions(seen), panel, terms)


def _kappa(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float | None:
    """Cohen's kappa (1960): agreement beyond what the shares of the sides alone bring about."""
    chance = sum(float((ours == side).mean() * (theirs == side).mean()) for side in _SIDES)
    return None if chance >= 1.0 else (float((ours == theirs).mean()) - chance) / (1.0 - chance)
