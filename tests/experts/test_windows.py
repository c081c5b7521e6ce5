import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xrl.experts.windows import BAR_MS, gather, positions, training_starts, window_ends


def _hours(*hours: int) -> np.ndarray:
    return np.array(hours, dtype=np.int64) * BAR_MS


class TestPositions:
    def test_a_run_ends_with_its_symbol(self):
        finite = np.ones(5, bool)
        found = positions(np.array([0, 0, 0, 1, 1]), _hours(7, 8, 9, 10, 11), finite)
        assert found.tolist() == [0, 1, 2, 0, 1]

    def test_a_missing_bar_starts_a_new_run(self):
        found = positions(np.zeros(4, int), _hours(0, 1, 3, 4), np.ones(4, bool))
        assert found.tolist() == [0, 1, 0, 1]

    def test_a_nan_row_belongs_to_no_run(self):
        finite = np.array([False, True, True, False, True])
        assert positions(np.zeros(5, int), _hours(0, 1, 2, 3, 4), finite).tolist() == [-1, 0, 1, -1, 0]

    @given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 39))
    def test_later_rows_change_nothing_before(self, finite, cut):
        """Prefix test: positions of the first rows are those of the whole."""
        flags = np.array(finite)
        cut = min(cut, len(flags))
        time, symbol = _hours(*range(len(flags))), np.zeros(len(flags), int)
        whole = positions(symbol, time, flags)
        np.testing.assert_array_equal(positions(symbol[:cut], time[:cut], flags[:cut]), whole[:cut])


def test_window_ends_need_a_full_unbroken_window():
    assert window_ends(np.array([0, 1, 2, 3, -1, 0, 1]), 3).tolist() == [0, 0, 1, 1, 0, 0, 0]


def test_training_starts_hop_within_each_run():
    position = np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 3])
    assert training_starts(position, window=3, hop=2, phase=0).tolist() == [0, 2, 6]
    assert training_starts(position, window=3, hop=2, phase=1).tolist() == [1, 3, 7]


def test_runs_shorter_than_a_window_give_none():
    assert training_starts(np.array([0, 1, 0, 1]), window=3, hop=1, phase=0).tolist() == []
    assert training_starts(np.array([0]), window=3, hop=1, phase=0).tolist() == []


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
    st.integers(2, 5),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_no_window_crosses_a_run(lengths, window, hop, phase):
    position = np.concatenate([np.arange(n) for n in lengths])
    run = np.repeat(np.arange(len(lengths)), lengths)
    for start in training_starts(position, window, hop, phase % hop):
        assert len(set(run[start : start + window])) == 1
        assert start + window <= len(position)


def test_gather_copies_the_rows_of_each_window():
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    found = gather(x, np.array([0, 2]), 3)
    assert found.shape == (2, 3, 2)
    np.testing.assert_array_equal(found[1], x[2:5])
