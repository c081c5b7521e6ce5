"""The threshold rule that the policy is cloned from."""

import math

import numpy as np
import pytest

from tests.env import toy
from xrl.env.market import stack
from xrl.policy.teacher import desired, fit_teacher, market_inputs


def test_it_finds_the_input_that_foresees() -> None:
    teacher = fit_teacher([toy.foreseen(1500, 0), toy.foreseen(1500, 1)], toy.TERMS, horizon_bars=1)
    assert teacher.trades
    assert np.abs(teacher.weights).argmax() == 0
    tensor = toy.foreseen(300, 2)
    edge = teacher.edge(market_inputs(tensor))
    assert np.array_equal(np.sign(edge), tensor.block[:, 0])


@pytest.mark.parametrize("seed", range(5))
def test_it_stays_flat_where_nothing_earns_its_costs(seed: int) -> None:
    market = [toy.foreseen(1500, 10 * seed + k, size=0.002, shuffled=True) for k in range(3)]
    assert not fit_teacher(market, toy.TERMS, horizon_bars=5).trades


def test_bars_after_the_training_ones_change_nothing() -> None:
    market = [toy.foreseen(1000, 0), toy.foreseen(1000, 1)]
    past = [tensor.rows(slice(0, 600)) for tensor in market]
    before = fit_teacher(past, toy.TERMS, horizon_bars=3)
    for tensor in market:
        tensor.prices[600:] *= 2.0
        tensor.block[600:] = 0.0
    after = fit_teacher([tensor.rows(slice(0, 600)) for tensor in market], toy.TERMS, horizon_bars=3)
    assert np.array_equal(before.weights, after.weights)
    assert before.threshold == after.threshold


def test_it_enters_beyond_the_threshold_and_leaves_when_the_edge_turns() -> None:
    edges = [0.1, 0.6, 0.2, 0.0, -0.2, -0.1, -0.7, 0.3]
    held, standing = [], 0.0
    for edge in edges:
        standing = desired(edge, 0.5, standing)
        held.append(standing)
    assert held == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0, -1.0, 0.0]
    assert desired(9.0, math.inf, 0.0) == 0.0
    assert desired(9.0, math.inf, 1.0) == 0.0


def test_inputs_are_the_observation_without_the_account() -> None:
    tensor = toy.foreseen(20, 0)
    inputs = market_inputs(stack([tensor]))
    assert inputs.shape == (20, 6 + 10 + 5)
    assert np.array_equal(inputs[:, :6], tensor.block)
    assert np.array_equal(inputs[:, 16:], tensor.regime)
