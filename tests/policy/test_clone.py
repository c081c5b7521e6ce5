"""Cloning shows the network what the teacher does."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.env import toy
from xrl.columns import ACTIONS
from xrl.env.vec_env import BatchedEnv
from xrl.policy.clone import demonstrate
from xrl.policy.teacher import Teacher, fit_teacher


def shown_actions(teacher: Teacher) -> set[str]:
    env = BatchedEnv([toy.foreseen(600, 0)], toy.TERMS, accounts=16, episode_bars=50, seed=0)
    shown = demonstrate(teacher, env, steps=30, gamma=0.9, seed=0)
    assert shown.observations.shape == (16 * 30, 31)
    assert shown.returns.shape == shown.actions.shape == (16 * 30,)
    return {ACTIONS[action] for action in shown.actions}


def test_a_teacher_that_trades_names_the_side_it_wants() -> None:
    teacher = fit_teacher([toy.foreseen(600, 0)], toy.TERMS, horizon_bars=1)
    assert {"buy_1x", "sell_1x"} <= shown_actions(teacher) <= {"buy_1x", "sell_1x", "close", "hold"}


def test_a_flat_teacher_closes_and_holds() -> None:
    teacher = fit_teacher([toy.foreseen(600, 0)], toy.TERMS, horizon_bars=1)
    flat = replace(teacher, threshold=math.inf)
    assert shown_actions(flat) == {"close", "hold"}  # close after a random step into a position


def test_returns_are_discounted_to_the_end_of_the_demonstration() -> None:
    teacher = fit_teacher([toy.foreseen(600, 0)], toy.TERMS, horizon_bars=1)
    flat = replace(teacher, threshold=math.inf)
    market = toy.tensor(np.zeros(200))
    env = BatchedEnv([market], toy.TERMS, accounts=4, episode_bars=150, seed=0)
    shown = demonstrate(flat, env, steps=5, gamma=0.5, seed=1)
    last = shown.returns.reshape(5, 4)[-1]
    first = shown.returns.reshape(5, 4)[0]
    assert (last <= 0.0).all()  # nothing moves, so only costs are paid
    assert first == pytest.approx(_by_hand(shown.returns.reshape(5, 4), 0.5), abs=1e-6)


def _by_hand(returns: np.ndarray, gamma: float) -> np.ndarray:
    """First row from the rows' differences: r_t = R_t - gamma R_{t+1}, summed up again."""
    rewards = returns - gamma * np.vstack([returns[1:], np.zeros((1, 4))])
    return sum(gamma**t * rewards[t] for t in range(5))
