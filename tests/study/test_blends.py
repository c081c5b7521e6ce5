"""Means of probabilities, and stacks whose weights earlier folds decide."""

import numpy as np
import pytest

from xrl import columns
from xrl.errors import DataError
from xrl.study import blends

HOURS = np.datetime64("2025-01-01", "ms") + np.arange(600) * np.timedelta64(1, "h")
FOLD = np.repeat([0, 1], 300)
ENDS = {0: HOURS[0], 1: HOURS[290]}


def members(truth: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One that knows the class half of the time, one that knows nothing."""
    knows = np.full((len(truth), 3), 0.25)
    knows[
        np.arange(len(truth)), np.where(rng.random(len(truth)) < 0.5, truth, rng.integers(0, 3, len(truth)))
    ] = 0.5
    guesses = rng.dirichlet([20.0, 20.0, 20.0], len(truth))
    return knows, guesses


def test_a_mean_is_the_mean_and_refuses_other_bars() -> None:
    a, b = np.array([[0.2, 0.3, 0.5]]), np.array([[0.4, 0.3, 0.3]])
    assert blends.mean([a, b]) == pytest.approx(np.array([[0.3, 0.3, 0.4]]))
    with pytest.raises(DataError, match="same bars"):
        blends.mean([a, np.ones((2, 3)) / 3])


def test_the_first_fold_is_the_plain_geometric_mean() -> None:
    truth = np.random.default_rng(0).integers(0, 3, 600)
    pair = members(truth, np.random.default_rng(1))
    found, exponents = blends.stacked(pair, truth, FOLD, HOURS, ENDS)
    plain = np.sqrt(pair[0] * pair[1])[:300]
    assert exponents[0] == (0.5, 0.5)
    assert found[:300] == pytest.approx(plain / plain.sum(axis=1, keepdims=True))
    assert found.sum(axis=1) == pytest.approx(np.ones(600))


def test_who_knew_more_before_weighs_more_afterwards() -> None:
    truth = np.random.default_rng(0).integers(0, 3, 600)
    pair = members(truth, np.random.default_rng(1))
    _, exponents = blends.stacked(pair, truth, FOLD, HOURS, ENDS)
    knows, guesses = exponents[1]
    assert knows > 0.55 > guesses


def test_no_label_known_after_the_end_of_training_moves_a_weight() -> None:
    truth = np.random.default_rng(0).integers(0, 3, 600)
    pair = members(truth, np.random.default_rng(1))
    known_from = HOURS + np.timedelta64(5, "h")
    other = truth.copy()
    other[286:] = (truth[286:] + 1) % 3  # known at the end of training: rows 0 to 285
    one, same = (blends.stacked(pair, t, FOLD, known_from, ENDS) for t in (truth, other))
    assert one[1] == same[1]
    assert (one[0] == same[0]).all()
    other[285] = (truth[285] + 1) % 3
    assert blends.stacked(pair, other, FOLD, known_from, ENDS)[1] != one[1]


def test_rows_without_a_class_teach_nothing() -> None:
    truth = np.random.default_rng(0).integers(0, 3, 600)
    pair = members(truth, np.random.default_rng(1))
    truth[:290] = columns.UNKNOWN
    _, exponents = blends.stacked(pair, truth, FOLD, HOURS, ENDS)
    assert exponents[1] != (0.5, 0.5)  # rows 290 is the one that is left
    truth[290] = columns.UNKNOWN
    assert blends.stacked(pair, truth, FOLD, HOURS, ENDS)[1][1] == pytest.approx((0.5, 0.5))
