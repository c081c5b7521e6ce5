"""Toy markets with a known optimum: what can be learned is learned, what cannot is not paid for."""

import logging

import numpy as np
import pytest
import torch

from tests.env import toy
from xrl.backtest.replay import replay_policy, replay_targets
from xrl.columns import ACTIONS
from xrl.config import PolicyParams
from xrl.env.market import MarketTensor, stack
from xrl.errors import TrainingError
from xrl.policy.train import FittedPolicy, fit_policy


def growth(fitted: FittedPolicy, tensor: MarketTensor) -> float:
    """Log growth of the policy's account over the tensor."""
    replay = replay_policy(lambda seen, _: fitted.policy.actions(seen), stack([tensor]), toy.TERMS)
    return float(np.log1p(replay.net_return).sum())


def test_a_visible_next_bar_is_traded_near_the_optimum(seeing: FittedPolicy) -> None:
    unseen = toy.foreseen(500, 7)
    optimum = replay_targets(np.sign(unseen.block[:, 0]).astype(np.float64), stack([unseen]), toy.TERMS)
    best = float(np.log1p(optimum.net_return).sum())  # 1x in the right direction at every bar
    assert best > 3.0
    assert growth(seeing, unseen) > 0.9 * best


def test_shuffled_hints_earn_nothing_and_are_not_paid_for(small: PolicyParams) -> None:
    lies = [toy.foreseen(1500, k, size=0.002, shuffled=True) for k in range(2)]
    fitted = fit_policy(lies, small, toy.TERMS, horizon_bars=5)
    assert not fitted.report["teacher_trades"]
    assert abs(growth(fitted, toy.foreseen(500, 7, size=0.002, shuffled=True))) < 0.02


def test_the_same_seeds_train_the_same_policy(small: PolicyParams) -> None:
    market = [toy.foreseen(300, 0)]
    short = small.model_copy(update={"clone_steps": 20, "clone_epochs": 1, "timesteps": 4096, "seeds": (3,)})
    policies = [fit_policy(market, short, toy.TERMS, horizon_bars=1).policy for _ in range(2)]
    first, second = (dict(policy.named_parameters()) for policy in policies)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_ensemble_is_the_mean_of_its_seeds(seeing: FittedPolicy) -> None:
    seen = torch.randn(5, seeing.policy.width, generator=torch.Generator().manual_seed(0))
    members = [actor(seen) for actor in seeing.policy.actors]
    assert len(members) == 2
    assert not torch.allclose(members[0], members[1])
    assert torch.allclose(seeing.policy(seen), (members[0] + members[1]) / 2.0)
    assert torch.allclose(seeing.policy(seen).sum(dim=1), torch.ones(5))
    assert seeing.policy(seen).shape == (5, len(ACTIONS))


def test_progress_is_logged(small: PolicyParams, caplog: pytest.LogCaptureFixture) -> None:
    short = small.model_copy(update={"clone_steps": 20, "clone_epochs": 1, "timesteps": 4096, "seeds": (0,)})
    with caplog.at_level(logging.INFO):
        fit_policy([toy.foreseen(300, 0)], short, toy.TERMS, horizon_bars=1)
    assert "seed 0: 4096 of 4096 steps" in caplog.text


def test_too_few_bars_are_refused_with_the_number_needed(small: PolicyParams) -> None:
    with pytest.raises(TrainingError, match="more than 80 bars of every symbol; received 80"):
        fit_policy([toy.foreseen(80, 0)], small, toy.TERMS, horizon_bars=20)


def test_a_diverged_training_is_named(small: PolicyParams) -> None:
    wild = {"clone_steps": 20, "clone_epochs": 1, "clone_learning_rate": 1e30, "seeds": (0,)}
    with pytest.raises(TrainingError, match="seed 0 diverged: its weights are not finite"):
        fit_policy([toy.foreseen(300, 0)], small.model_copy(update=wild), toy.TERMS, horizon_bars=1)


def test_an_input_that_is_no_number_is_refused(small: PolicyParams) -> None:
    market = toy.foreseen(300, 0)
    market.block[100, 3] = np.inf
    with pytest.raises(TrainingError, match="must be finite; TOY0 has a block"):
        fit_policy([market], small, toy.TERMS, horizon_bars=1)
