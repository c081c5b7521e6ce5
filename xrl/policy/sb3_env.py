"""`env.vec_env.BatchedEnv` as stable-baselines3 wants a vectorised environment.

Enters: a batched environment. Leaves: a `VecEnv` with as little work a step as possible: accounts whose
episode goes on share one empty info.
"""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from xrl.columns import ACTIONS
from xrl.env.vec_env import BatchedEnv

_NOTHING: dict[str, Any] = {}


class AccountsVecEnv(VecEnv):
    """All accounts of a `BatchedEnv`; attributes and methods of single environments do not exist."""

    def __init__(self, env: BatchedEnv) -> None:
        self.env = env
        self._actions: NDArray[np.int64] = np.zeros(env.accounts, dtype=np.int64)
        bound = np.full(env.width, np.inf, dtype=np.float32)
        super().__init__(
            env.accounts, gymnasium.spaces.Box(-bound, bound), gymnasium.spaces.Discrete(len(ACTIONS))
        )

    def reset(self) -> NDArray[np.float32]:
        """Start every account afresh."""
        return self.env.reset()

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """One bar of every account; ended ones report their last observation and have already restarted."""
        batch = self.env.step(self._actions)
        infos: list[dict[str, Any]] = [_NOTHING] * self.num_envs
        for account, last in batch.terminal.items():
            infos[account] = {
                "terminal_observation": last,
                "TimeLimit.truncated": bool(batch.truncated[account]),
            }
        return batch.observations, batch.rewards, batch.terminated | batch.truncated, infos

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Attributes of the whole; stable-baselines3 asks for `render_mode` only."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Accounts have no attributes of their own."""
        raise NotImplementedError(f"accounts share one batch; `{attr_name}` cannot be set for one of them")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Accounts have no methods of their own."""
        raise NotImplementedError(
            f"accounts share one batch; `{method_name}` cannot be called on one of them"
        )

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No account is wrapped."""
        return [False] * self.num_envs

    def seed(self, seed: int | None = None) -> list[int | None]:
        """The batch is seeded at its construction."""
        return [seed] * self.num_envs
