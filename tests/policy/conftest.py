"""A policy trained on a toy market whose next bar can be seen."""

import pytest

from tests.env import toy
from xrl.config import PolicyParams
from xrl.policy.train import FittedPolicy, fit_policy

SMALL = PolicyParams(
    algorithm="ppo",
    seeds=(0, 1),
    clone_steps=100,
    clone_epochs=20,
    clone_batch=256,
    clone_learning_rate=0.005,
    timesteps=8192,
    accounts=64,
    rollout_bars=64,
    episode_bars=200,
    batch=2048,
    update_epochs=2,
    learning_rate=0.0003,
    clip=0.1,
    target_kl=0.02,
    gamma=0.9,
    entropy=0.0,
    hidden=(16, 16),
)


@pytest.fixture(scope="session")
def small() -> PolicyParams:
    return SMALL


@pytest.fixture(scope="session")
def seeing() -> FittedPolicy:
    return fit_policy([toy.foreseen(1500, 0), toy.foreseen(1500, 1)], SMALL, toy.TERMS, horizon_bars=1)
