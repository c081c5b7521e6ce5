"""Rows that a column singles out, and the ends that show what each of them knew."""

import numpy as np
import pytest

from xrl.features.cuts import cuts, outstanding

NAN = float("nan")


def found(values, count=10):
    return outstanding(np.array(values, dtype=np.float64), count, seed=0).tolist()


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        ([0, 0, 1, 0, 0], [2, 3]),  # the rare value, and the return from it
        ([0, 0, 2, 2, 0, 0], [2, 3, 4]),  # all of a run
        ([NAN, NAN, 0, 0, 0], []),  # the end of the warm-up is none
        ([NAN, 0, 0, NAN, 0], [3, 4]),
        ([7, 7, 7], []),
        ([NAN, NAN], []),
        ([], []),
    ],
)
def test_rows_unlike_the_most_frequent_value_or_the_one_before(values, rows):
    assert found(values) == rows


def test_the_only_row_that_differs_among_thousands_is_found():
    values = np.zeros(20_000)
    values[12_345] = 1e-9
    assert found(values) == [12_345, 12_346]


def test_of_too_many_half_are_those_that_moved_most():
    values = np.random.default_rng(0).normal(size=5000)
    values[777] += 50
    rows = outstanding(values, 20, seed=0)
    assert len(set(rows.tolist())) == 20
    assert {777, 778} <= set(rows.tolist())
    assert (rows == outstanding(values, 20, seed=0)).all()
    assert set(rows.tolist()) != set(outstanding(values, 20, seed=1).tolist())


def test_each_row_is_cut_before_behind_and_one_bar_on_within_the_history():
    assert cuts(np.array([0.0, 0.0, 0.0, 0.0, 5.0]), 10, seed=0).tolist() == [4, 5]
    assert cuts(np.array([0.0, 0.0, 5.0, 0.0, 0.0, 0.0]), 10, seed=0).tolist() == [2, 3, 4, 5]
    assert cuts(np.array([5.0, 0.0, 0.0, 0.0, 0.0, 0.0]), 10, seed=0).tolist() == [1, 2, 3]
