import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from xrl.errors import DataError
from xrl.evaluation import metrics

#: Ten bars: truth 4 SELL, 2 HOLD, 4 BUY.
TRUTH = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
CALLS = np.array([0, 0, 1, 2, 1, 0, 2, 2, 2, 1])
MATRIX = np.array([[2.0, 1, 1], [1, 1, 0], [0, 1, 3]])


def test_confusion_has_truth_in_rows():
    np.testing.assert_array_equal(metrics.confusion(TRUTH, CALLS), MATRIX)


def test_f1_of_each_class():
    np.testing.assert_allclose(metrics.f1_per_class(MATRIX), [4 / 7, 2 / 5, 6 / 8])
    assert metrics.f1_macro(MATRIX) == pytest.approx((4 / 7 + 2 / 5 + 6 / 8) / 3)


def test_a_class_that_never_occurs_has_f1_zero():
    assert metrics.f1_macro(np.diag([5.0, 5.0, 0.0])) == pytest.approx(2 / 3)
    assert metrics.f1_macro(np.zeros((3, 3))) == 0


def test_accuracies():
    assert metrics.accuracy(MATRIX) == 0.6
    assert metrics.balanced_accuracy(MATRIX) == pytest.approx((2 / 4 + 1 / 2 + 3 / 4) / 3)
    assert metrics.majority_accuracy(MATRIX) == 0.4
    assert metrics.majority_accuracy(MATRIX, majority=1) == 0.2


def test_shares_are_of_the_calls():
    np.testing.assert_allclose(metrics.class_shares(MATRIX), [0.3, 0.3, 0.4])


def test_functions_take_many_matrices_at_once():
    both = np.stack([MATRIX, np.eye(3)])
    np.testing.assert_allclose(metrics.f1_macro(both), [metrics.f1_macro(MATRIX), 1.0])
    np.testing.assert_allclose(metrics.accuracy(both), [0.6, 1.0])
    np.testing.assert_allclose(metrics.volatility_only(both)[0], metrics.volatility_only(MATRIX))


def test_volatility_only_keeps_hold_calls_and_deals_directions_in_their_shares():
    """Seven directional calls, 3 SELL and 4 BUY, on 3 true SELL, 1 HOLD and 3 BUY."""
    expected = [[9 / 7, 1, 12 / 7], [3 / 7, 1, 4 / 7], [9 / 7, 1, 12 / 7]]
    np.testing.assert_allclose(metrics.volatility_only(MATRIX), expected)


def test_volatility_only_is_the_mean_of_dealing_directions_out():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 3000)
    calls = np.where(rng.random(3000) < 0.4, truth, rng.integers(0, 3, 3000))
    sides = np.flatnonzero(calls != 1)
    draws = []
    for _ in range(200):
        dealt = calls.copy()
        dealt[sides] = rng.permutation(calls[sides])
        draws.append(metrics.f1_macro(metrics.confusion(truth, dealt)))
    expected = metrics.f1_macro(metrics.volatility_only(metrics.confusion(truth, calls)))
    assert np.mean(draws) == pytest.approx(expected, abs=1e-3)


def test_chance_keeps_both_margins():
    found = metrics.chance(MATRIX)
    np.testing.assert_allclose(found.sum(axis=0), MATRIX.sum(axis=0))
    np.testing.assert_allclose(found.sum(axis=1), MATRIX.sum(axis=1))
    assert found[0, 0] == pytest.approx(4 * 3 / 10)


def test_direction_counts_buy_and_sell_calls_where_the_price_moved():
    calls = np.array([2, 0, 2, 1, 0, 2])
    forward = np.array([0.1, -0.1, -0.1, 0.5, 0.1, 0.0])
    assert metrics.direction_accuracy(calls, forward) == 0.5  # right, right, wrong, HOLD, wrong, no move


def test_direction_without_calls_is_unknown():
    assert np.isnan(metrics.direction_accuracy(np.array([1, 1]), np.array([0.1, 0.2])))


def test_information_coefficient_of_four_bars():
    """Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15)."""
    found = metrics.information_coefficient(np.array([0.1, 0.2, 0.3, 0.4]), np.array([2.0, 1.0, 9.0, 5.0]))
    assert found == pytest.approx(0.6)


def test_information_coefficient_of_a_constant_is_unknown():
    assert np.isnan(metrics.information_coefficient(np.ones(4), np.arange(4.0)))


def test_ranks_within_two_years() -> None:
    found = metrics.ranks_within(np.array([3.0, 1, 2, 9, 9, 0]), np.array([1, 1, 1, 2, 2, 2]))
    np.testing.assert_allclose(found, [5 / 6, 1 / 6, 3 / 6, 4 / 6, 4 / 6, 1 / 6])


def test_years_are_utc() -> None:
    stamps = np.array(["2023-12-31T23", "2024-01-01T00"], "datetime64[ms]")
    np.testing.assert_array_equal(metrics.years(stamps), [2023, 2024])


def test_foreseeing_which_year_moves_is_no_skill_within_a_year() -> None:
    rng = np.random.default_rng(0)
    year = np.repeat([2023, 2024], 2000)
    bull = (year == 2024).astype(float)
    signal, score = bull + rng.normal(size=4000), bull + rng.normal(size=4000)
    assert metrics.information_coefficient(signal, score) > 0.15
    assert abs(metrics.yearly_information_coefficient(signal, score, year)) < 0.05
    assert metrics.yearly_information_coefficient(signal, score, np.ones(4000, int)) == pytest.approx(
        metrics.information_coefficient(signal, score)
    )


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=40))
def test_information_coefficient_is_spearmans_with_ties(pairs):
    a, b = np.array(pairs, dtype=float).T
    found = metrics.information_coefficient(a, b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)


def test_daily_returns_take_the_last_equity_of_each_utc_day():
    time = np.array(["2025-01-01T22", "2025-01-01T23", "2025-01-02T00", "2025-01-02T23"], "datetime64[ms]")
    found = metrics.daily_returns(time, np.array([100.0, 110.0, 90.0, 121.0]))
    np.testing.assert_allclose(found, [0.1, 0.1])


def test_sharpe_of_three_days():
    """Mean 1 %, sample deviation 1 %."""
    assert metrics.sharpe(np.array([0.0, 0.01, 0.02])) == pytest.approx(np.sqrt(365))


def test_sharpe_of_constant_returns_is_zero():
    assert metrics.sharpe(np.full(5, 0.01)) == 0
    assert metrics.sharpe(np.array([0.01])) == 0


def test_drawdown_and_total_return():
    equity = np.array([100.0, 120.0, 90.0, 130.0, 117.0])
    assert metrics.max_drawdown(equity) == pytest.approx(0.25)
    assert metrics.total_return(equity) == pytest.approx(0.17)
    assert metrics.max_drawdown(np.array([])) == 0


def test_arrays_of_unequal_length_are_refused():
    with pytest.raises(DataError, match="one length"):
        metrics.confusion(TRUTH, CALLS[:3])
