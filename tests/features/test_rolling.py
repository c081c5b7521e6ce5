import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrl.features import rolling

X = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
NAN = np.nan


def test_sum_of_three_bars():
    np.testing.assert_array_equal(rolling.rolling_sum(X, 3), [NAN, NAN, 7, 14, 28])


def test_trailing_sum_takes_what_there_is_at_the_start():
    np.testing.assert_array_equal(rolling.trailing_sum(X, 3), [1, 3, 7, 14, 28])


def test_window_longer_than_history_is_unknown():
    assert np.isnan(rolling.rolling_sum(X, 6)).all()


def test_nan_spoils_its_own_windows_only():
    x = np.array([NAN, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(rolling.rolling_sum(x, 2), [NAN, NAN, 2, 2])


def test_root_mean_square_of_three_and_four():
    np.testing.assert_allclose(rolling.rolling_rms(np.array([3.0, 4.0]), 2)[1], np.sqrt(12.5))


def test_deviations_of_one_two_six():
    x = np.array([1.0, 2.0, 6.0])
    np.testing.assert_allclose(rolling.rolling_std(x, 3)[2], np.sqrt(14 / 3))
    np.testing.assert_allclose(rolling.rolling_mean_deviation(x, 3)[2], 2.0)


def test_mean_of_the_values_before_each():
    np.testing.assert_array_equal(rolling.mean_before(X, 2), [NAN, NAN, 1.5, 3, 6])


def test_argmax_prefers_the_latest_among_equals():
    x = np.array([5.0, 1.0, 5.0, 2.0, 1.0, 1.0])
    np.testing.assert_array_equal(rolling.rolling_argmax(x, 3), [0, 0, 2, 2, 2, 3])


@given(x=st.lists(st.integers(0, 3), max_size=60), window=st.integers(1, 20))
def test_argmax_is_that_of_each_window_alone(x, window):
    found = rolling.rolling_argmax(np.array(x, dtype=float), window)
    for t in range(len(x)):
        begin = max(t - window + 1, 0)
        assert found[t] == max(range(begin, t + 1), key=lambda s: (x[s], s))


def test_bars_since_counts_on_from_the_start_value():
    event = np.array([False, True, False, False])
    np.testing.assert_array_equal(rolling.bars_since(event, 60), [61, 0, 1, 2])


def test_ratio_is_defined_at_zero_and_keeps_nan():
    found = rolling.ratio(np.array([1.0, 1.0, NAN]), np.array([2.0, 0.0, 1.0]), undefined=0.5)
    np.testing.assert_array_equal(found, [0.5, 0.5, NAN])


def test_delay_longer_than_history_is_unknown():
    assert np.isnan(rolling.delay(X, 9)).all()


@given(window=st.integers(1, 40), length=st.integers(0, 60), seed=st.integers(0, 9))
def test_sums_equal_numpy_and_do_not_depend_on_what_came_before(window, length, seed):
    x = np.random.default_rng(seed).normal(size=length)
    found = rolling.rolling_sum(x, window)
    for t in range(length):
        if t < window - 1:
            assert np.isnan(found[t])
        else:
            own = x[t - window + 1 : t + 1]
            assert found[t] == pytest.approx(own.sum(), abs=1e-12)
            assert found[t] == rolling.rolling_sum(own, window)[-1]  # to the bit


@pytest.mark.parametrize("window", [1, 20, 1500])
@pytest.mark.parametrize(
    "rolled",
    [
        rolling.rolling_sum,
        rolling.trailing_sum,
        rolling.mean_before,
        rolling.rolling_std,
        rolling.rolling_mean_deviation,
        rolling.rolling_argmax,
    ],
)
def test_blocks_have_no_seam(rolled, window):
    """Each value is that of its own window alone, to the bit, however many blocks came before."""
    x = np.random.default_rng(0).normal(size=2 * rolling.BLOCK + 3)
    found = rolled(x, window)
    for edge in (rolling.BLOCK, window, rolling.BLOCK + window, len(x) - 2):
        for t in range(max(edge - 3, window), min(edge + 3, len(x))):
            begin = t - window  # one more than most windows hold
            own = rolled(x[begin : t + 1], window)[-1] + (begin if rolled is rolling.rolling_argmax else 0)
            assert found[t] == own, t
