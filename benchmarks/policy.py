"""PPO: how much of its time the network itself needs, and what the batched environment gains.

Both on the observation and the settings of params.yaml, built by the function that `xrl policy` uses.
"""

from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import torch

from benchmarks.material import config, market_tensors
from benchmarks.timing import seconds, side_by_side
from xrl.account.costs import terms_of
from xrl.config import PolicyParams
from xrl.env.market import MarketTensor
from xrl.env.trading_env import TradingEnv
from xrl.env.vec_env import BatchedEnv
from xrl.policy.sb3_env import AccountsVecEnv
from xrl.policy.teacher import fit_teacher
from xrl.policy.train import _new_model

if TYPE_CHECKING:
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecEnv

_SEED = 0
_DUMMY_ACCOUNTS = 64


def measure(bars: int = 8760, updates: int = 3, repetitions: int = 3) -> dict[str, float]:
    """Figures of group `policy`: `updates` rollouts and updates of PPO a repetition."""
    torch.set_num_threads(1)
    # Updates stop early beyond `target_kl`: here every one runs in full on every side.
    params = config().policy.model_copy(update={"target_kl": 1e9})
    tensors = market_tensors(config().market.symbols, bars, 2 * config().oof.projection_width)
    rollout = params.accounts * params.rollout_bars
    # A rollout of as many steps in all on either side.
    longer = params.model_copy(update={"rollout_bars": rollout // _DUMMY_ACCOUNTS})
    teacher = fit_teacher(tensors, terms_of(config().backtest), config().labels.horizon_bars)
    model = _new_model(_batched(tensors, params), tensors, params, teacher, _SEED)
    dummy = _new_model(_dummies(tensors, params), tensors, longer, teacher, _SEED)
    for warm in (model, dummy):
        warm.learn(rollout)
    learned, passes = side_by_side(
        lambda: model.learn(updates * rollout), lambda: _passes(model, updates), repetitions
    )
    slow = seconds(lambda: dummy.learn(rollout))
    return {
        "policy.ppo_share_of_ceiling": passes / learned,
        "policy.ppo_speedup_vs_dummy": slow / (learned / updates),
    }


def _batched(tensors: tuple[MarketTensor, ...], params: PolicyParams) -> "VecEnv":
    env = BatchedEnv(tensors, terms_of(config().backtest), params.accounts, params.episode_bars, _SEED)
    return AccountsVecEnv(env)


def _dummies(tensors: tuple[MarketTensor, ...], params: PolicyParams) -> "VecEnv":
    from stable_baselines3.common.vec_env import DummyVecEnv

    def one() -> gymnasium.Env:
        return TradingEnv(tensors, terms_of(config().backtest), params.episode_bars)

    return DummyVecEnv([one] * _DUMMY_ACCOUNTS)


def _passes(model: "PPO", updates: int) -> None:
    """The network's own work in `updates` updates: forward passes of the rollouts, steps of the optimiser.

    Nothing of the environment, the buffers, the advantages and the surrogate loss is in it.
    """
    policy, env = model.policy, model.env
    rng = np.random.default_rng(_SEED)
    width = env.observation_space.shape[0]
    seen = torch.as_tensor(rng.standard_normal((env.num_envs, width), dtype=np.float32))
    batch = torch.as_tensor(rng.standard_normal((model.batch_size, width), dtype=np.float32))
    actions = torch.as_tensor(rng.integers(env.action_space.n, size=model.batch_size))
    steps = model.n_epochs * model.n_steps * env.num_envs // model.batch_size
    for _ in range(updates):
        policy.set_training_mode(False)
        with torch.no_grad():
            for _ in range(model.n_steps):
                policy(seen)
        policy.set_training_mode(True)
        for _ in range(steps):
            values, log_probability, entropy = policy.evaluate_actions(batch, actions)
            loss = log_probability.mean() + values.mean() + entropy.mean()
            policy.optimizer.zero_grad()
            loss.backward()
            policy.optimizer.step()
