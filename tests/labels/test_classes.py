import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.errors import DataError
from xrl.labels.classes import Cuts, classes, fit, return_bounds


def table(score, volatility=0.01):
    return pd.DataFrame({columns.SCORE: np.asarray(score, dtype=float), columns.VOLATILITY: volatility})


def test_percentile_kinds_cut_at_the_percentiles_of_the_known_scores(label_params):
    training = table(np.append(np.arange(101.0), np.nan))
    assert fit(training, label_params()) == Cuts(33.0, 67.0)
    assert fit(training, label_params(kind="raw_percentile")) == Cuts(30.0, 70.0)


def test_adaptive_kinds_cut_at_the_multiplier_whatever_the_scores(label_params):
    params = label_params(kind="adaptive", threshold_multiplier=0.5)
    assert fit(table(np.arange(101.0)), params) == Cuts(-0.5, 0.5)


def test_the_volatility_floor_is_a_percentile_of_matured_training_bars(label_params):
    score = np.append(np.zeros(101), np.nan)
    params = label_params(kind="adaptive_filtered", hold_below_percentile=0.3)
    found = fit(table(score, np.append(np.arange(101.0), 1e9)), params)
    assert found == Cuts(-1.0, 1.0, 30.0)


def test_cuts_need_a_matured_label_and_ordered_percentiles(label_params):
    for kind in ("normalised_percentile", "raw_percentile", "adaptive", "triple_barrier"):
        with pytest.raises(DataError, match="no matured label"):
            fit(table([np.nan]), label_params(kind=kind))
    with pytest.raises(DataError, match=r"labels\.raw_percentiles.*ordered"):
        fit(table([0, 1, 2]), label_params(kind="raw_percentile", raw_percentiles=(0.7, 0.3)))


def test_classes_are_sell_below_buy_above_and_hold_on_the_cut():
    found = classes(table([-2, -1, 0, 1, 2]), Cuts(-1.0, 1.0))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, [0, 1, 1, 1, 2])


def test_a_touch_is_a_class_and_the_way_there_is_not(label_params):
    cuts = fit(table([0]), label_params(kind="triple_barrier"))
    just_below = np.nextafter(1.0, 0.0)
    np.testing.assert_array_equal(classes(table([-1, -just_below, 0, just_below, 1]), cuts), [0, 1, 1, 1, 2])


def test_moves_below_the_volatility_floor_are_hold():
    found = classes(table([-2, 2, 2], [0.01, 0.01, 0.03]), Cuts(-1.0, 1.0, 0.02))
    np.testing.assert_array_equal(found, [1, 1, 2])


def test_an_unknown_outcome_is_no_class():
    found = classes(table([1, np.nan]), Cuts(-1.0, 1.0, 0.5))
    np.testing.assert_array_equal(found, [columns.HOLD, columns.UNKNOWN])


def test_cuts_that_are_not_fitted_give_no_classes():
    with pytest.raises(DataError, match="fit_cuts"):
        classes(table([1.0]), Cuts(np.nan, np.nan))


def test_returns_between_the_bounds_are_exactly_the_holds(label_params):
    """Where class and return are one thing, the bounds and the cut-offs say the same."""
    rng = np.random.default_rng(0)
    forward, volatility = rng.normal(0, 0.02, 500), rng.uniform(0.005, 0.03, 500)
    for kind in ("normalised_percentile", "raw_percentile", "adaptive", "adaptive_filtered"):
        score = forward if kind == "raw_percentile" else forward / volatility
        labels = table(score, volatility)
        cuts = fit(labels, label_params(kind=kind))
        low, high = return_bounds(labels, cuts, kind)
        by_return = np.where(forward < low, columns.SELL, np.where(forward > high, columns.BUY, columns.HOLD))
        assert (by_return == classes(labels, cuts)).mean() > 0.995  # rounding on the two cut bars


def test_a_triple_barrier_has_no_bounds_of_return(label_params):
    cuts = fit(table([0]), label_params(kind="triple_barrier"))
    assert return_bounds(table([0]), cuts, "triple_barrier") is None
