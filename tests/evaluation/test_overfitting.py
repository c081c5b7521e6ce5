"""Choosing among noise is worth nothing; choosing what is truly better is."""

import numpy as np
import pytest

from xrl.errors import DataError
from xrl.evaluation import metrics
from xrl.evaluation.overfitting import probability_of_overfitting


def noise(seed: int, count: int = 20, days: int = 640) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.01, (days, count))


def test_a_choice_among_noise_lands_anywhere() -> None:
    """On one data set its halves make it scatter; over many it is a coin's."""
    found = [probability_of_overfitting(noise(seed), blocks=10) for seed in range(60)]
    assert np.mean([one.probability for one in found]) == pytest.approx(0.5, abs=0.08)
    assert np.mean([one.kept_sharpe for one in found]) == pytest.approx(0.0, abs=0.01)
    assert np.mean([one.chosen_sharpe for one in found]) > 0.05


def test_one_strategy_that_is_truly_better_is_chosen_rightly() -> None:
    returns = noise(0)
    returns[:, 7] += 0.002
    found = probability_of_overfitting(returns)
    assert found.probability < 0.01
    assert found.loss_probability < 0.01
    assert found.kept_sharpe == pytest.approx(0.2, abs=0.05)


def test_a_strategy_that_only_worked_once_is_an_overfit_choice() -> None:
    """Each candidate earns in its own tenth of the days and loses the same elsewhere."""
    returns = noise(1, count=10, days=400)
    for k in range(10):
        returns[:, k] -= 0.004
        returns[40 * k : 40 * (k + 1), k] += 0.04
    assert probability_of_overfitting(returns, blocks=10).probability > 0.9


def test_halves_are_scored_as_the_days_themselves() -> None:
    """Two blocks: the only splits are first half, second half and the reverse."""
    returns = noise(2, count=3, days=10)
    found = probability_of_overfitting(returns, blocks=2)
    first, second = (metrics.sharpe(half.T) / np.sqrt(365) for half in (returns[:5], returns[5:]))
    assert found.chosen_sharpe == pytest.approx((first.max() + second.max()) / 2)
    kept = [second[first.argmax()], first[second.argmax()]]
    assert found.kept_sharpe == pytest.approx(np.mean(kept))
    ranks = [(second < kept[0]).sum() + 1, (first < kept[1]).sum() + 1]
    np.testing.assert_allclose(sorted(found.logits), sorted(np.log(r / (4 - r)) for r in ranks))


def test_every_split_is_taken_once() -> None:
    assert len(probability_of_overfitting(noise(3), blocks=16).logits) == 12_870


def test_candidates_that_do_nothing_cannot_be_told_apart() -> None:
    found = probability_of_overfitting(np.zeros((64, 4)), blocks=4)
    assert (found.probability, found.kept_sharpe) == (1.0, 0.0)


@pytest.mark.parametrize(("days", "count", "blocks"), [(100, 1, 4), (100, 3, 5), (7, 3, 4)])
def test_too_little_to_judge_is_refused(days: int, count: int, blocks: int) -> None:
    with pytest.raises(DataError, match="received"):
        probability_of_overfitting(noise(0, count, days), blocks)


def test_a_return_that_is_unknown_is_refused() -> None:
    holed = noise(0)
    holed[3, 3] = np.nan
    with pytest.raises(DataError, match="finite"):
        probability_of_overfitting(holed)
