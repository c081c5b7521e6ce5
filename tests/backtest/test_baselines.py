"""Baselines by hand, and thresholds that never look ahead."""

import math

import numpy as np
import pytest

from tests.env import toy
from xrl.backtest.baselines import (
    Court,
    choose_threshold,
    constant_targets,
    random_timing,
    threshold_targets,
)
from xrl.backtest.portfolio import grid_of
from xrl.backtest.replay import replay_targets
from xrl.env.market import MarketTensor, stack


def court(*tensors: MarketTensor) -> Court:
    return Court(stack(tensors), grid_of([tensor.timestamp for tensor in tensors]), toy.TERMS)


def test_holding_is_rebalanced_when_the_month_turns() -> None:
    rising = toy.tensor(np.full(24 * 40, 0.0003))
    here = court(rising)
    replay = replay_targets(constant_targets(1.0, here.grid), here.panel, here.terms)
    assert np.flatnonzero(replay.traded).tolist() == [1, 24 * 31 + 1]
    short = replay_targets(constant_targets(-1.0, here.grid), here.panel, here.terms)
    assert short.exposure[24 * 31] < -1.5  # a losing short has grown against its equity
    assert short.exposure[24 * 31 + 1] == pytest.approx(-1.0, abs=0.01)


def test_the_threshold_rule_by_hand() -> None:
    panel = stack([toy.tensor(np.zeros(7)), toy.tensor(np.zeros(2))])
    signal = np.array([0.1, 0.6, 0.2, -0.2, -0.6, -0.1, 0.1, 0.9, 0.1])
    threshold = np.full(9, 0.5)
    expected = [0.0, 1.0, 1.0, 0.0, -1.0, -1.0, 0.0, 1.0, 1.0]
    assert threshold_targets(signal, threshold, panel).tolist() == expected
    threshold[1] = 0.7  # another fold's threshold
    assert threshold_targets(signal, threshold, panel)[:3].tolist() == [0.0, 0.0, 0.0]


def test_a_signal_that_earns_gets_a_threshold_and_noise_does_not() -> None:
    seen = toy.foreseen(1000, 0)
    here = court(seen)
    rng = np.random.default_rng(0)
    signal = seen.block[:, 0] * rng.uniform(0.1, 1.0, 1000)
    assert 0.0 < choose_threshold(signal, here) < 1.0
    small = court(toy.foreseen(1000, 0, size=0.001))
    assert math.isinf(choose_threshold(rng.normal(size=1000), small))


def test_random_timing_keeps_turnover_and_loses_the_timing() -> None:
    seen = toy.foreseen(2000, 0, size=0.004)
    here = court(seen)
    targets = np.sign(seen.block[:, 0]).astype(np.float64)
    found = random_timing(targets, here, runs=30, seed=0)
    assert found.shape == (30,)
    assert here.sharpe(targets) > np.quantile(found, 0.95) + 5.0
    assert np.median(found) < 0.0  # costs without foresight
    again = random_timing(targets, here, runs=30, seed=0)
    assert np.array_equal(found, again)
