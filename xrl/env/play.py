"""What kind of game an environment plays: its actions, its reward, the length of its episodes."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import gymnasium
import numpy as np

from xrl.account.costs import Terms
from xrl.columns import ACTIONS
from xrl.env.market import MarketTensor
from xrl.env.reward import Reward, reward_of
from xrl.errors import ConfigError


class Play(NamedTuple):
    """The rules beside the market's and the account's."""

    reward: Reward
    is_continuous: bool = False  # actions are target exposures; else indices into `columns.ACTIONS`
    smallest_change: float = 0.0  # of a continuous target; a smaller one keeps what stands
    shortest_bars: int | None = None  # episodes last so long at least; None: all last `episode_bars`


#: Discrete actions, paid by the growth of log equity.
PLAY: Final = Play(reward_of("growth", 20))


def check(play: Play, tensors: Sequence[MarketTensor]) -> None:
    """Refuse a reward for what experts said where nobody said anything.

    Raises:
        ConfigError: a tensor has no hints and the reward needs them.
    """
    silent = [tensor.symbol for tensor in tensors if not len(tensor.hints)]
    if play.reward.needs_hints and silent:
        raise ConfigError(
            "this reward pays for what experts and VSA said; received markets without `hints`: "
            f"{', '.join(silent)}. Assemble them with hints, or take the reward `growth`."
        )


def action_space(play: Play, terms: Terms) -> gymnasium.spaces.Space[Any]:
    """Ten actions, or one target exposure in signed multiples of equity."""
    if not play.is_continuous:
        return gymnasium.spaces.Discrete(len(ACTIONS))
    return gymnasium.spaces.Box(-terms.max_leverage, terms.max_leverage, (1,), np.float32)
