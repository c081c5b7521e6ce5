import time
from functools import partial

import numpy as np
import pytest

from xrl.errors import DataError
from xrl.evaluation import calibration, metrics, significance
from xrl.evaluation.significance import of_confusion

F1 = of_confusion(metrics.f1_macro)


def hours(start: str, count: int) -> np.ndarray:
    return np.datetime64(start, "ms") + np.arange(count) * np.timedelta64(1, "h")


def test_weeks_begin_on_monday_and_are_shared_by_symbols():
    """2025-01-05 is a Sunday."""
    stamps = np.array(["2025-01-05T23", "2025-01-06T00", "2025-01-12T23", "2025-01-05T00"], "datetime64[ms]")
    np.testing.assert_array_equal(significance.week_index(stamps), [0, 1, 1, 0])


def test_weeks_without_bars_are_not_blocks():
    stamps = np.array(["2025-01-06", "2025-03-03"], "datetime64[ms]")
    np.testing.assert_array_equal(significance.week_index(stamps), [0, 1])


def test_sums_of_two_blocks():
    sums = significance.block_sums(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([1, 0, 1]))
    np.testing.assert_array_equal(sums, [[3, 4], [6, 8]])


def test_confusion_counts_of_two_blocks():
    sums = significance.confusion_sums(np.array([0, 2, 2]), np.array([1, 2, 2]), np.array([0, 1, 1]))
    np.testing.assert_array_equal(sums, [[0, 1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 2]])


def test_correlation_from_sums_is_spearmans():
    rng = np.random.default_rng(0)
    a = rng.normal(size=500)
    b = a + rng.normal(size=500)
    sums = significance.rank_sums(a, b, np.arange(500) % 7)
    assert significance.correlation(sums.sum(axis=0)) == pytest.approx(metrics.information_coefficient(a, b))


def test_correlation_of_a_constant_is_zero():
    sums = significance.rank_sums(np.ones(9), np.arange(9.0), np.zeros(9, dtype=int))
    assert significance.correlation(sums.sum(axis=0)) == 0


def test_share_of_nothing_is_zero():
    np.testing.assert_array_equal(significance.share(np.array([[4.0, 1.0], [0.0, 0.0]])), [0.25, 0.0])


def test_fast_draws_equal_resampling_the_bars_themselves():
    rng = np.random.default_rng(1)
    truth, calls, week = rng.integers(0, 3, 400), rng.integers(0, 3, 400), np.sort(rng.integers(0, 8, 400))
    fast = significance.bootstrap(F1, significance.confusion_sums(truth, calls, week), draws=50, seed=3)
    weights = np.random.default_rng(3).multinomial(8, np.full(8, 1 / 8), size=50)
    for draw, counts in zip(fast, weights):
        rows = np.concatenate([np.tile(np.flatnonzero(week == w), counts[w]) for w in range(8)])
        assert draw == pytest.approx(metrics.f1_macro(metrics.confusion(truth[rows], calls[rows])))


def test_an_interval_of_equal_blocks_has_no_width():
    found = significance.interval(significance.share, np.tile([4.0, 1.0], (10, 1)), 200, 0)
    assert found == (0.25, 0.25, 0.25)


def test_the_same_seed_gives_the_same_interval():
    sums = np.random.default_rng(0).random((30, 2)) + np.array([1, 0])
    first = significance.interval(significance.share, sums, 300, 5)
    assert first == significance.interval(significance.share, sums, 300, 5)
    assert first.low < first.value < first.high


def test_interval_of_a_mean_has_the_width_of_theory():
    """Mean of 200 unit normals: standard error .0707, interval +-1.96 of it."""
    x = np.random.default_rng(2).normal(size=200)
    sums = np.stack([np.ones(200), (x - x.mean()) / x.std()], axis=1)
    found = significance.interval(significance.share, sums, 4000, 0)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.0707, rel=0.06)


def test_paired_differences_cancel_what_moves_both():
    rng = np.random.default_rng(4)
    n = np.full(60, 100.0)
    common = rng.integers(20, 80, 60).astype(float)
    ours, theirs = np.stack([n, common + 5], axis=1), np.stack([n, common], axis=1)
    found = significance.paired(significance.share, significance.share, ours, theirs, 500, 0)
    np.testing.assert_allclose(found, 0.05)


def test_gaps_of_two_blocks_add_up_to_the_calibration_error() -> None:
    rng = np.random.default_rng(0)
    probabilities, truth = rng.dirichlet([2, 2, 2], 400), rng.integers(0, 3, 400)
    top = calibration.top_label(probabilities, truth)
    sums = significance.gap_sums(*top, np.arange(400) % 2)
    assert sums.shape == (2, 1 + calibration.BINS)
    np.testing.assert_array_equal(sums[:, 0], [200, 200])
    expected = calibration.expected_calibration_error(probabilities, truth)
    assert significance.calibration_error(sums.sum(axis=0)) == pytest.approx(expected)


def test_the_interval_of_a_calibration_error_holds_it_and_never_leaves_zero() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet([2, 2, 2], 3000)
    truth = (rng.random((3000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)  # calibrated by construction
    sums = significance.gap_sums(*calibration.top_label(probabilities, truth), np.arange(3000) // 100)
    found = significance.unbiased_interval(significance.calibration_error, sums, 500, 0)
    plain = significance.interval(significance.calibration_error, sums, 500, 0)
    assert plain.value < (plain.low + plain.high) / 2 - 0.002  # resampling inflates it
    assert 0.0 <= found.low < found.value < found.high


def test_a_paired_test_knows_a_difference_from_luck() -> None:
    rng = np.random.default_rng(4)
    n = np.full(60, 100.0)
    common = rng.integers(20, 80, 60).astype(float)
    theirs = np.stack([n, common], axis=1)
    better = np.stack([n, common + rng.normal(3, 5, 60)], axis=1)
    other = np.stack([n, common + rng.normal(0, 5, 60)], axis=1)
    test = partial(significance.paired_test, significance.share, significance.share)
    found, luck = test(better, theirs, 2000, 0), test(other, theirs, 2000, 0)
    assert found[:3] == significance.paired(significance.share, significance.share, better, theirs, 2000, 0)
    assert found.low > 0
    assert found.p < 0.01
    assert luck.low < 0 < luck.high
    assert luck.p > 0.05
    assert test(theirs, better, 2000, 0).p == found.p
    assert test(theirs, theirs, 200, 0) == (0, 0, 0, 1)


def test_a_paired_test_without_any_difference_rejects_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    n = np.full(80, 100.0)
    rejected = 0
    for _ in range(200):
        ours, theirs = (np.stack([n, rng.normal(50, 5, 80)], axis=1) for _ in range(2))
        found = significance.paired_test(significance.share, significance.share, ours, theirs, 400, 0)
        rejected += found.p <= 0.05
    assert rejected / 200 == pytest.approx(0.05, abs=0.04)


def test_one_week_is_too_little():
    with pytest.raises(DataError, match="at least 2 weeks"):
        significance.interval(significance.share, np.ones((1, 2)), 100, 0)


def test_a_thousand_draws_over_sixty_thousand_bars_take_a_fraction_of_a_second():
    rng = np.random.default_rng(0)
    n = 60_000
    truth, calls, stamps = (
        rng.integers(0, 3, n),
        rng.integers(0, 3, n),
        np.tile(hours("2024-01-01", n // 6), 6),
    )
    week = significance.week_index(stamps)
    started = time.process_time()
    significance.interval(F1, significance.confusion_sums(truth, calls, week), 1000, 0)
    assert time.process_time() - started < 0.3


def test_stationary_blocks_run_on_and_wrap_around():
    index = significance.stationary_indices(days=50, draws=400, seed=0, mean_block=10.0)
    assert index.shape == (400, 50)
    runs_on = (np.diff(index, axis=1) % 50 == 1).mean()
    assert runs_on == pytest.approx(0.9 + 0.1 / 50, abs=0.01)
    np.testing.assert_allclose(np.bincount(index.ravel(), minlength=50) / index.size, 1 / 50, atol=0.006)


def test_sharpe_interval_of_independent_days_is_that_of_theory():
    """Standard error of an annual Sharpe over T years is near 1 / sqrt(T): here two years."""
    daily = np.random.default_rng(0).normal(0.001, 0.02, 730)
    found = significance.sharpe_interval(daily, 1000, 0)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(2), rel=0.25)


def test_a_better_strategy_is_better_on_every_draw_of_common_days():
    daily = np.random.default_rng(0).normal(0.001, 0.02, 400)
    better = significance.sharpe_differences(daily + 0.001, daily, 200, 0)
    assert better.shape == (200,) and (better > 0.0).all() and (better < 5.0).all()
    np.testing.assert_allclose(significance.sharpe_differences(daily, daily + 0.001, 200, 0), -better)


def test_comparisons_need_common_days():
    with pytest.raises(DataError, match="common days"):
        significance.sharpe_differences(np.zeros(3), np.zeros(4), 100, 0)
    with pytest.raises(DataError, match="at least 2 daily returns"):
        significance.sharpe_interval(np.zeros(1), 100, 0)
