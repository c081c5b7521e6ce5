"""Truths about mending answers: order, repeats and jitter go, nothing is made up or chosen."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market.conftest import utc
from xrl import columns as c
from xrl.market import tables
from xrl.market.repair import Repaired, repair, revised

START, END = utc("2024-01-01"), utc("2024-01-02")


def rows(kind: str, count: int = 24) -> pd.DataFrame:
    """Rows whose every value differs; the last column is absent."""
    step = tables.table(kind).step or pd.Timedelta(hours=8)
    times = pd.date_range(START, periods=count, freq=step, unit="ms")
    names = tables.table(kind).columns[1:]
    values = {name: np.arange(count) + 100.0 * i for i, name in enumerate(names)}
    frame = pd.DataFrame({c.TIMESTAMP: times, **values})
    return frame.assign(**{names[-1]: np.nan}) if len(names) > 1 else frame


def shifted(frame: pd.DataFrame, milliseconds: object) -> pd.DataFrame:
    moved = frame[c.TIMESTAMP] + pd.to_timedelta(milliseconds, unit="ms").as_unit("ms")  # type: ignore[call-overload]
    return frame.assign(**{c.TIMESTAMP: moved})


def mended(frame: pd.DataFrame, kind: str = "1h") -> Repaired:
    return repair(frame, kind, START, END)


@pytest.mark.parametrize("kind", ["1h", "funding", "open_interest", "taker_volume"])
@given(data=st.data())
def test_any_order_repetition_and_jitter_ends_in_the_same_frame(kind: str, data: st.DataObject):
    good = rows(kind, 3 if kind == "funding" else 24)
    sent = data.draw(st.lists(st.sampled_from(range(len(good))), max_size=40)) + list(range(len(good)))
    order = data.draw(st.permutations(sent))
    jitter = data.draw(st.lists(st.integers(-1000, 1000), min_size=len(order), max_size=len(order)))
    frame, duplicates, conflicts = mended(shifted(good.iloc[order], jitter), kind)
    pd.testing.assert_frame_equal(frame, good, check_exact=True)
    assert duplicates == len(order) - len(good) and conflicts == []


def test_a_stamp_that_is_further_off_is_left_for_validation_to_name():
    sent = shifted(rows("1h"), [0] * 5 + [1001] + [0] * 17 + [-1001])
    frame = mended(sent).frame
    pd.testing.assert_frame_equal(frame, sent, check_exact=True)


def test_settlements_are_stamped_to_the_minute():
    sent = shifted(rows("funding", 3), [7, -400, 60_010])
    times = mended(sent, "funding").frame[c.TIMESTAMP]
    assert list(times) == [utc("2024-01-01"), utc("2024-01-01 08:00"), utc("2024-01-01 16:01")]


def test_rows_outside_the_interval_are_dropped_after_their_stamps_are_mended():
    sent = shifted(rows("1h", 30), [-900, *[0] * 28, 0])
    frame = repair(sent, "1h", START, utc("2024-01-01 05:00")).frame
    pd.testing.assert_frame_equal(frame, rows("1h").head(5), check_exact=True)


def test_different_values_of_one_time_are_all_kept_and_named():
    good = rows("1h", 4)
    other = good.iloc[[2, 2, 1]].assign(close=-1.0)
    frame, duplicates, conflicts = mended(pd.concat([other, good, good.iloc[[3]]]))
    assert frame[c.TIMESTAMP].tolist() == [START + pd.Timedelta(hours=h) for h in (0, 1, 1, 2, 2, 3)]
    assert sorted(frame[c.CLOSE].iloc[3:5]) == [-1.0, good[c.CLOSE].iloc[2]]
    assert conflicts == [utc("2024-01-01 01:00"), utc("2024-01-01 02:00")]
    assert duplicates == 2


def test_a_value_and_its_absence_contradict_each_other():
    good = rows("1h", 2)
    assert mended(pd.concat([good, good.assign(volume=np.nan)])).conflicts == list(good[c.TIMESTAMP])


def test_no_rows_are_an_empty_frame_of_the_kind():
    frame, duplicates, conflicts = mended(tables.empty("1h"))
    pd.testing.assert_frame_equal(frame, tables.empty("1h"))
    assert (duplicates, conflicts) == (0, [])


def test_the_rows_given_stay_as_they_were():
    sent = shifted(rows("1h").iloc[::-1], [3] * 24)
    before = sent.copy(deep=True)
    mended(sent)
    pd.testing.assert_frame_equal(sent, before, check_exact=True)


def both(first: pd.DataFrame, again: pd.DataFrame) -> Repaired:
    return revised(mended(first), mended(again), "1h")


def test_a_second_answer_fills_what_the_first_lacks_and_counts_where_both_speak():
    good = rows("1h", 6)
    frame, _, conflicts = both(good.drop(index=[2, 3]).assign(close=-1.0), good.iloc[1:4])
    expected = good.assign(close=good[c.CLOSE].where(good.index.isin([1, 2, 3]), -1.0))
    pd.testing.assert_frame_equal(frame, expected, check_exact=True)
    assert conflicts == []


def test_a_second_answer_settles_a_contradiction_and_its_own_do_not_unsettle_what_was_clear():
    good = rows("1h", 4)
    first = pd.concat([good, good.iloc[[1]].assign(close=-1.0)])
    again = pd.concat([good, good.iloc[[2]].assign(close=-1.0)])
    pd.testing.assert_frame_equal(both(first, again).frame, good, check_exact=True)
    assert both(first, first).conflicts == [good[c.TIMESTAMP][1]]
    assert len(both(first, first).frame) == 5


def test_a_value_that_the_second_answer_leaves_out_stays_and_one_that_it_adds_is_taken():
    good = rows("1h", 3)
    holed = good.assign(volume=[0.0, np.nan, 2.0])
    other = good.assign(volume=[np.nan, 1.0, 2.0])
    expected = good.assign(volume=[0.0, 1.0, 2.0])
    pd.testing.assert_frame_equal(both(holed, other).frame, expected, check_exact=True)


def test_a_row_beside_the_grid_stays_only_if_it_is_sent_again():
    good = rows("1h", 3)
    moved = shifted(good, [0, 30_000, 0])
    pd.testing.assert_frame_equal(both(moved, good.iloc[[1]]).frame, good, check_exact=True)
    pd.testing.assert_frame_equal(both(moved, moved).frame, moved, check_exact=True)
