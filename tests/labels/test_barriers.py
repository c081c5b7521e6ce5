import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xrl.labels.barriers import Prices, first_touches


def touches(high, low, close, percent=2.0, horizon=3):
    prices = Prices(*(np.array(values, dtype=float) for values in (high, low, close)))
    above = np.full(len(close), np.log1p(percent / 100))
    below = np.full(len(close), -np.log1p(-percent / 100))
    return first_touches(prices, above, below, horizon)


def first(high, low, close, **changes):
    found = touches(high, low, close, **changes)
    return int(found.end_bar[0]), int(found.side[0]), bool(found.timed_out[0])


def test_the_upper_barrier_is_met_by_a_high():
    """Close 100, barriers 98 and 102: bar 2's high of 103 meets the upper one, whatever its close."""
    assert first([100, 101, 103, 104], [100, 99, 99, 100], [100, 100, 100, 103]) == (2, 1, False)


def test_the_lower_barrier_is_met_by_a_low():
    assert first([100, 101, 101, 104], [100, 99, 97, 100], [100, 100, 100, 103]) == (2, -1, False)


def test_a_bar_that_meets_both_is_taken_against_either_side():
    """A long would have been stopped at 98 and a short at 102: nobody earned the label, and it is over."""
    assert first([100, 101, 103, 109], [100, 99, 97, 100], [100, 100, 102.5, 109]) == (2, 0, False)


def test_what_comes_after_a_touch_does_not_matter():
    assert first([100, 103, 100, 100], [100, 100, 80, 80], [100, 101, 90, 85]) == (1, 1, False)


def test_the_bar_itself_is_not_waited_for():
    """What is known at close 0 happened before it: bar 0's own high is past."""
    assert first([150, 101, 101, 101], [50, 99, 99, 99], [100, 100, 100, 100]) == (3, 0, True)


def test_the_horizon_ends_the_wait():
    assert first([100, 101, 101, 101, 200], [100, 99, 99, 99, 99], [100] * 5) == (3, 0, True)


def test_a_wait_that_is_not_over_has_no_end():
    assert first([100, 101, 101], [100, 99, 99], [100, 100, 100]) == (-1, 0, False)


def test_a_touch_is_known_before_the_horizon_is_over():
    assert first([100, 103], [100, 100], [100, 102]) == (1, 1, False)


def test_a_barrier_at_an_unknown_distance_or_none_is_never_met():
    prices = Prices(np.array([100.0, 200]), np.array([100.0, 50]), np.array([100.0, 100]))
    for distance in (np.nan, 0.0):
        found = first_touches(prices, np.full(2, distance), np.full(2, distance), 1)
        assert found.end_bar.tolist() == [-1, -1] and not found.timed_out.any()


def test_percent_is_of_the_close_on_both_sides():
    """Close 200, 1.5 %: 203 and 197 are met, 202.99 and 197.01 are not."""
    assert (
        first([200, 203], [200, 200], [200, 200], percent=1.5)[1] == 1
    )  # a round price is met, whatever its rounding
    assert first([200, 200], [200, 197], [200, 200], percent=1.5)[1] == -1
    assert first([200, 202.99], [200, 197.01], [200, 200], percent=1.5)[0] == -1


@given(bars=st.integers(2, 60), horizon=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_a_search_bar_by_bar_finds_the_same(walk, bars, horizon, seed):
    prices = walk(bars, seed)
    distance = np.full(bars, 0.008)
    found = first_touches(prices, distance, distance, horizon)
    for t in range(bars):
        expected = -1, 0
        for later in range(t + 1, min(t + horizon, bars - 1) + 1):
            up = np.log(prices.high[later]) - np.log(prices.close[t]) >= 0.008 - 1e-12
            down = np.log(prices.close[t]) - np.log(prices.low[later]) >= 0.008 - 1e-12
            if up or down:
                expected = later, int(up) - int(down)
                break
        else:
            if t + horizon < bars:
                expected = t + horizon, 0
        assert (found.end_bar[t], found.side[t]) == expected


def test_one_bar_is_waited_for_in_vain():
    found = touches([100], [100], [100])
    assert found.end_bar.tolist() == [-1]
    assert found.side.dtype == np.int8 and found.end_bar.dtype == np.int64
