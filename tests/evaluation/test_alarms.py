import numpy as np
import pytest

from xrl.errors import DataError
from xrl.evaluation import alarms, metrics


def test_shifts_are_longer_than_window_and_horizon_both_ways_round():
    found = alarms.shift_lengths(bars=300, minimum=80, count=20, seed=0)
    assert len(np.unique(found)) == 20
    assert found.min() > 80 and found.max() < 300 - 80


def test_a_history_too_short_for_shifts_says_how_long_it_must_be():
    with pytest.raises(DataError, match=r"needs 181 .*received 150"):
        alarms.shift_lengths(bars=150, minimum=80, count=20, seed=0)


def test_fewer_than_twenty_shifts_are_no_null():
    one = np.zeros(5, dtype=int)
    with pytest.raises(DataError, match="at least 20 shifts"):
        alarms.shifted_null(np.repeat("a", 5), one, one, np.ones(5), np.arange(3))


def test_each_symbol_turns_on_its_own_circle():
    """Perfect calls, shifted by one of four bars: symbol a keeps none of its four, b (all HOLD) keeps all."""
    symbol = np.array(["a"] * 4 + ["b"] * 4)
    truth = np.array([0, 2, 0, 2, 1, 1, 1, 1])
    forward = np.array([-1.0, 1, -1, 1, 0, 0, 0, 0])
    null = alarms.shifted_null(symbol, truth, truth, forward, np.ones(20, dtype=int))
    assert null.direction_accuracy == 0
    assert null.f1_macro == pytest.approx(1 / 3)


def test_a_perfect_forecast_is_worth_nothing_on_shifted_labels():
    rng = np.random.default_rng(0)
    symbol = np.repeat(np.array(list("abcd")), 2000)
    score = rng.normal(size=8000)
    truth = np.digitize(score, [-0.43, 0.43])
    null = alarms.shifted_null(symbol, truth, truth, score, alarms.shift_lengths(2000, 80, 20, seed=0))
    chance = metrics.f1_macro(metrics.chance(metrics.confusion(truth, truth)))
    assert null.f1_macro == pytest.approx(chance, abs=alarms.null_tolerance(0.012, 0.0))
    assert null.direction_accuracy == pytest.approx(0.5, abs=0.03)
    assert len(null.f1_shifts) == len(null.direction_shifts) == 20


def test_tolerance_is_the_bound_or_the_sampling_error_if_that_is_wider():
    assert alarms.null_tolerance(0.012, 0.001) == 0.012
    assert alarms.null_tolerance(0.012, 0.01) == pytest.approx(0.026)
