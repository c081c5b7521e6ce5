"""What a reward's terms are divided by, so that each has variance 1 under random actions on training bars."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xrl.account.costs import Terms
from xrl.columns import ACTIONS
from xrl.env.market import MarketTensor
from xrl.env.play import Play
from xrl.env.reward import TERMS, reward_of
from xrl.env.vec_env import BatchedEnv

_ACCOUNTS = 64
#: A term that varies less is not blown up to variance 1.
_LEAST = 1e-6


def measured(
    tensors: Sequence[MarketTensor], terms: Terms, kind: str, confirm_bars: int, seed: int
) -> NDArray[np.float64]:
    """Standard deviation of each unweighted term of the reward `kind`; 1 for those it does not pay.

    Args:
        tensors: training bars alone.
        terms: costs.
        kind, confirm_bars: as in `reward_of`.
        seed: of starts and actions.

    Returns:
        (TERMS,)

    Raises:
        ConfigError: no such kind, or its terms need hints that the tensors do not have.
    """
    reward = reward_of(kind, confirm_bars)
    bars = max(min(len(tensor) for tensor in tensors) - 1, 1)
    env = BatchedEnv(tensors, terms, _ACCOUNTS, bars, seed, play=Play(reward))
    rng, seen = np.random.default_rng(seed), []
    env.reset()
    for _ in range(min(bars, 10 * confirm_bars)):
        seen.append(env.step(rng.integers(len(ACTIONS), size=_ACCOUNTS)).terms.copy())
    spread = np.concatenate(seen).std(axis=0)
    paid = reward.weights != 0.0
    scale = np.ones(len(TERMS))
    scale[paid] = np.maximum(spread[paid] / np.abs(reward.weights[paid]), _LEAST)
    return scale
