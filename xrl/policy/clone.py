"""Cloning the teacher into a network: the warm start of PPO.

Enters: a teacher, a batched environment over training bars, an untrained actor-critic. Leaves: the network
with the teacher's actions and the value of following it.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy

from xrl.account.step import Account
from xrl.columns import ACTIONS
from xrl.env.vec_env import BatchedEnv
from xrl.policy.teacher import Teacher, market_inputs

_TARGET = Account._fields.index("target")
_HOLD, _CLOSE = ACTIONS.index("hold"), ACTIONS.index("close")
_LONG, _SHORT = ACTIONS.index("buy_1x"), ACTIONS.index("sell_1x")
#: Share of accounts' steps taken at random, so that the clone also knows what to do in states not its own.
WANDER = 0.05


class Demonstration(NamedTuple):
    """What the teacher did where, and what followed."""

    observations: NDArray[np.float32]  # (samples, width)
    actions: NDArray[np.int64]  # (samples,)
    returns: NDArray[np.float32]  # (samples,) discounted reward to the end of the demonstration


def demonstrate(teacher: Teacher, env: BatchedEnv, steps: int, gamma: float, seed: int) -> Demonstration:
    """Let the teacher trade every account of `env` for `steps` bars, with some random actions between."""
    rng = np.random.default_rng(seed)
    edges = teacher.edge(market_inputs(env.panel))
    observation = env.reset().copy()
    seen, taught, rewards, ended = [], [], [], []
    for _ in range(steps):
        action = _teach(edges[env.cursor], teacher.threshold, env.states[:, _TARGET])
        seen.append(observation)
        taught.append(action)
        wander = rng.random(env.accounts) < WANDER
        batch = env.step(np.where(wander, rng.integers(len(ACTIONS), size=env.accounts), action))
        rewards.append(batch.rewards)
        ended.append(batch.terminated | batch.truncated)
        observation = batch.observations.copy()
    returns = _discount(np.array(rewards), np.array(ended), gamma)
    return Demonstration(np.concatenate(seen), np.concatenate(taught), returns.ravel())


def clone(
    policy: ActorCriticPolicy, shown: Demonstration, epochs: int, batch: int, learning_rate: float, seed: int
) -> float:
    """Fit actor and critic to a demonstration.

    Returns:
        Mean cross-entropy of the teacher's action in the last epoch, nats.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(policy.parameters(), lr=learning_rate)
    seen, taught = torch.as_tensor(shown.observations), torch.as_tensor(shown.actions)
    returns = torch.as_tensor(shown.returns)
    losses: list[float] = []
    for _ in range(epochs):
        losses = []
        for index in torch.randperm(len(seen), generator=generator).split(batch):
            values, log_likelihood, _ = policy.evaluate_actions(seen[index], taught[index])
            loss = -log_likelihood.mean()
            optimiser.zero_grad()
            (loss + 0.5 * torch.nn.functional.mse_loss(values.flatten(), returns[index])).backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    return float(np.mean(losses))


def _teach(edge: NDArray[np.float64], threshold: float, standing: NDArray[np.float64]) -> NDArray[np.int64]:
    """The teacher's action. Beyond the threshold it names the side even where that side is already held: the
    same market then has the same answer, which a network learns sooner than rare changes."""
    against = (edge * standing < 0.0) | (np.isinf(threshold) & (standing != 0.0))
    return np.select([edge > threshold, edge < -threshold, against], [_LONG, _SHORT, _CLOSE], _HOLD)


def _discount(rewards: NDArray[np.float32], ended: NDArray[np.bool_], gamma: float) -> NDArray[np.float32]:
    """Discounted sums of rewards, cut at episode ends. (steps, accounts)"""
    returns = np.zeros_like(rewards)
    running = np.zeros(rewards.shape[1], dtype=np.float32)
    for t in range(len(rewards) - 1, -1, -1):
        running = rewards[t] + gamma * np.where(ended[t], 0.0, running).astype(np.float32)
        returns[t] = running
    return returns
