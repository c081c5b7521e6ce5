"""Targets beside the class: ten visible bars, and nothing that ends too late."""

import numpy as np
import pytest

from xrl.errors import TrainingError
from xrl.experts.targets import Targets, check_targets, rank_targets, scores
from xrl.presets import PRESETS, chosen

HOUR = 3_600_000
#: Ten hourly bars of one symbol, then four of another.
CLOSE = np.exp([0.0, 1, 3, 6, 10, 15, 21, 28, 36, 45, 0, 2, 4, 6])
SYMBOL = np.array([0] * 10 + [1] * 4)
TIME = np.concatenate([np.arange(10), np.arange(4)]) * HOUR
ALL = np.ones(14, dtype=bool)
STEADY = np.ones(14)


def _ranks(horizons=(2,), learned=ALL, known_by=10**15, close=CLOSE, time=TIME, volatility=STEADY):
    return rank_targets(close, volatility, SYMBOL, time, learned, known_by, horizons, HOUR)


def test_scores_are_returns_in_volatilities_and_bounded():
    found = scores(np.array([0.02, -0.3, np.nan, 0.01]), np.array([0.01, 0.01, 0.01, 0.0]))
    np.testing.assert_array_equal(found, np.array([2.0, -5.0, np.nan, np.nan], dtype=np.float32))


def test_ranks_order_the_returns_ahead():
    """Two bars ahead: 3, 5, 7, ... 17 of the first symbol, 4 and 4 of the second."""
    found = _ranks()[:, 0]
    order = np.argsort(found[[0, 10, 11, 1, 2, 3, 4, 5, 6, 7]])
    np.testing.assert_array_equal(order, np.arange(10))
    np.testing.assert_allclose(np.sort(found[np.isfinite(found)]), (np.arange(10) + 0.5) / 10, rtol=1e-6)


def test_no_return_reaches_into_another_symbol():
    found = _ranks()[:, 0]
    assert np.isnan(found[[8, 9, 12, 13]]).all()


def test_no_return_reaches_over_a_gap():
    late = TIME.copy()
    late[5:10] += HOUR
    found = _ranks(time=late)[:, 0]
    assert np.isnan(found[[3, 4]]).all()
    assert np.isfinite(found[[0, 1, 2, 5, 6, 7]]).all()


def test_returns_are_measured_in_volatilities():
    volatility = np.where(np.arange(14) == 0, 0.1, 1.0)  # a return of 3 is now 30 volatilities
    assert np.nanargmax(_ranks(volatility=volatility)[:, 0]) == 0
    assert np.isnan(_ranks(volatility=volatility * 0)).all()


class TestPurge:
    """The targets are known at the close of the bar that ends them, each horizon by itself."""

    def test_a_target_counts_once_its_last_bar_has_closed(self):
        # bar 4 + 2 bars ahead ends with bar 6, which closes at hour 7
        assert np.isfinite(_ranks(known_by=7 * HOUR)[4, 0])
        assert np.isnan(_ranks(known_by=7 * HOUR - 1)[4, 0])

    def test_a_longer_horizon_is_purged_earlier(self):
        found = _ranks(horizons=(1, 4), known_by=7 * HOUR)
        assert np.flatnonzero(np.isfinite(found[:10, 0])).tolist() == [0, 1, 2, 3, 4, 5]
        assert np.flatnonzero(np.isfinite(found[:10, 1])).tolist() == [0, 1, 2]

    def test_what_comes_later_changes_nothing(self):
        """Prefix test: prices after the moment by which all must be known leave every rank as it is."""
        changed = CLOSE.copy()
        changed[7:10] = 1e6  # bar 7 opens at hour 7
        before = _ranks(horizons=(1, 2, 4), known_by=7 * HOUR)
        after = _ranks(horizons=(1, 2, 4), known_by=7 * HOUR, close=changed)
        np.testing.assert_array_equal(before, after)

    def test_ranks_are_fitted_on_training_bars_alone(self):
        learned = np.arange(14) < 6
        found = _ranks(learned=learned)[:, 0]
        np.testing.assert_allclose(found[:6], (np.arange(6) + 0.5) / 6, rtol=1e-6)
        assert np.isnan(found[6:]).all()
        changed = CLOSE.copy()
        changed[8:] *= 7  # no training bar's return ends there
        np.testing.assert_array_equal(_ranks(learned=learned, close=changed)[:, 0], found)


def test_a_recipe_without_further_tasks_needs_no_targets():
    check_targets(None, PRESETS["lean"].model_copy())


@pytest.mark.parametrize(
    "override",
    [
        {"loss": {"vsa_weight": 0.5}},
        {"loss": {"return_weight": 0.1}},
        {"loss": {"rank_weight": 0.5}},
        {"curriculum": {"epochs": 2}},
    ],
)
def test_a_recipe_with_further_tasks_needs_targets(override):
    with pytest.raises(TrainingError, match="hold no such targets"):
        check_targets(None, chosen("lean", override))


def test_ranks_must_be_over_the_recipes_horizons():
    three = Targets(*(np.zeros(shape, dtype=np.float32) for shape in (5, (5, 3), 5)))
    with pytest.raises(TrainingError, match="names 4 horizons; received ranks over 3"):
        check_targets(three, chosen("lean", {"loss": {"rank_weight": 0.5}}))
