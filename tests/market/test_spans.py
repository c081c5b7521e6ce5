"""Truths about what an interval asks for and what is missing of it."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market.conftest import SHARED_MARKET, utc
from xrl import columns as c
from xrl.market import spans
from xrl.market.spans import Span

HOUR = pd.Timedelta(hours=1)


def at(*hours: float) -> list[pd.Timestamp]:
    return [utc("2024-01-01") + hour * HOUR for hour in hours]


def span(first: float, last: float) -> Span:
    return Span(*at(first, last))


def settled(*hours: int) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(at(*hours))


def gaps(times: pd.DatetimeIndex, first: float, last: float) -> list[Span]:
    return spans.funding_gaps(times, *at(first, last))


def test_a_row_is_due_in_the_interval_in_which_it_becomes_known():
    ten, twelve = utc("2024-01-01 10:00"), utc("2024-01-01 12:00")
    assert spans.due("1h", ten, twelve) == span(10, 12)
    assert spans.due("taker_volume", ten, twelve) == span(10, 12)
    assert spans.due("open_interest", ten, twelve) == span(11, 13)  # 11:00 and 12:00, the bars' closes
    assert spans.due("funding", ten, twelve) == span(10, 12)
    assert spans.due("1d", utc("2024-01-01"), utc("2024-01-03")) == span(0, 48)


@pytest.mark.parametrize("kind", ["1h", "5m", "4h", "funding", "open_interest", "taker_volume"])
@given(cuts=st.lists(st.integers(0, 300), min_size=2, max_size=6, unique=True))
def test_intervals_laid_end_to_end_leave_no_row_out_and_take_none_twice(kind: str, cuts: list[int]):
    times = [utc("2024-01-01") + pd.Timedelta(minutes=5) * cut for cut in sorted(cuts)]
    parts = [spans.due(kind, a, b) for a, b in pairwise(times)]
    whole = spans.due(kind, times[0], times[-1])
    assert all(before.last == after.first for before, after in pairwise(parts))
    assert spans.merge(parts) == spans.merge([whole])


def test_missing_spans_are_whole_and_in_order():
    there = settled(1, 2, 3, 6, 7, 8)
    assert spans.missing(there, *at(0, 10), HOUR) == [span(0, 1), span(4, 6), span(9, 10)]
    assert spans.missing(settled(*range(10)), *at(0, 10), HOUR) == []
    assert spans.missing(settled(), *at(0, 3), HOUR) == [span(0, 3)]
    assert spans.missing(settled(), *at(3, 3), HOUR) == []


def test_rows_off_the_grid_or_outside_fill_nothing():
    assert spans.missing(settled(-1, 0.5, 1, 3), *at(0, 3), HOUR) == [span(0, 1), span(2, 3)]  # type: ignore[arg-type]


@given(st.sets(st.integers(0, 60)), st.integers(0, 50), st.integers(0, 20))
def test_missing_and_there_are_the_whole_grid(there: set[int], first: int, hours: int):
    found = spans.missing(settled(*there), *at(first, first + hours), HOUR)
    absent = {int((a + n * HOUR - at(0)[0]) / HOUR) for a, b in found for n in range(int((b - a) / HOUR))}
    assert absent == set(range(first, first + hours)) - there
    assert found == spans.merge(found)


def test_an_eight_hour_schedule_without_holes_has_no_gaps():
    assert gaps(settled(0, 8, 16), 0, 24) == []
    assert gaps(settled(0, 8, 16), 0, 16) == []
    assert gaps(settled(8, 16), 1, 24) == []  # nothing is due from 01:00 to 08:00


def test_settlements_more_than_eight_hours_apart_have_one_between_them():
    assert gaps(settled(0, 16, 24), 0, 32) == [span(1, 16)]


def test_a_hole_of_a_narrower_schedule_shows_by_what_surrounds_it():
    assert gaps(settled(0, 4, 12, 16, 20), 0, 24) == [span(5, 12)]  # 8 h from 04:00 fits no schedule
    assert gaps(settled(8, 12, 16, 24, 28, 32), 8, 36) == [span(17, 24)]  # 8 h from 16:00 would
    assert gaps(settled(0, 1, 2, 4, 6, 7, 8), 0, 9) == [span(3, 4), span(5, 6)]  # two holes side by side


def test_a_schedule_that_changes_for_days_has_no_holes():
    wide, narrow = [*range(0, 48, 8)], [*range(48, 120, 2)]
    assert gaps(settled(*wide, *narrow, *range(120, 168, 8)), 0, 168) == []
    assert gaps(settled(0, 8, 16, 20, 24, 28, 30, 32, 34), 0, 36) == []


def test_one_odd_spacing_between_two_schedules_is_a_change():
    assert gaps(settled(*range(9, 35), 40, 48, 56), 9, 60) == []  # hourly, then 8-hourly: 34:00 to 40:00
    assert gaps(settled(4, 12, 20, 28, 36), 4, 40) == []  # 8-hourly at 04, 12 and 20


def test_before_the_first_and_after_the_last_the_schedule_goes_on():
    assert gaps(settled(8, 16, 24), 0, 32) == [span(0, 8)]
    assert gaps(settled(0, 8), 0, 24) == [span(9, 24)]
    assert gaps(settled(0, 4, 8), 0, 16) == [span(9, 16)]
    assert gaps(settled(), 0, 8) == [span(0, 8)]
    assert gaps(settled(), 1, 8) == []  # the next may be at 08:00
    assert gaps(settled(0), 0, 8) == []


def test_neighbours_outside_the_interval_tell_the_schedule():
    assert gaps(settled(0, 4, 8), 12, 20) == [span(12, 20)]
    assert gaps(settled(0, 8, 16, 32, 40), 24, 32) == [span(24, 32)]
    assert gaps(settled(0, 8, 24, 32), 24, 40) == []  # the hole lies before


def test_a_hole_that_reaches_out_of_the_interval_counts_if_a_settlement_of_it_lies_inside():
    assert gaps(settled(0, 8, 16, 48), 0, 24) == []  # the next one is due at 24:00
    assert gaps(settled(0, 8, 16, 48), 0, 25) == [span(17, 25)]
    assert gaps(settled(16, 48, 56), 32, 40) == [span(32, 40)]
    assert gaps(settled(16, 48, 56), 41, 48) == []
    assert gaps(settled(48, 56), 0, 8) == [span(0, 8)]
    assert gaps(settled(48, 56), 1, 8) == []
    assert gaps(settled(0, 8), 25, 32) == []
    assert gaps(settled(0, 8), 25, 33) == [span(25, 33)]


@pytest.mark.skipif(not SHARED_MARKET.is_dir(), reason="no shared/market beside this checkout")
@pytest.mark.parametrize("coin", ["ADA", "BTC", "ETH", "LTC", "SOL", "XRP"])
def test_five_real_years_have_no_hole_and_nearly_every_lost_settlement_shows(coin: str):
    times = pd.read_parquet(SHARED_MARKET / f"binance_perp_{coin}USDT_funding.parquet")[c.TIMESTAMP]
    interval = times.iloc[0], utc("2025-01-01")
    assert spans.funding_gaps(times, *interval) == []
    changes = np.flatnonzero(times.diff() < 8 * HOUR)  # SOL: 2-hourly in November 2022
    lost = np.unique(np.concatenate([np.arange(1, len(times), 200), changes]))
    found = [spans.funding_gaps(times.drop(index=k), *interval) for k in lost]
    unseen = [times[k] for k, gap in zip(lost, found) if not gap]
    assert all(len(gap) == 1 and gap[0].first <= times[k] < gap[0].last for k, gap in zip(lost, found) if gap)
    # where the schedule changes, the lost settlement could as well be the change
    assert len(unseen) == (3 if coin == "SOL" else 0)


def test_spans_merge_cut_and_overlap():
    assert spans.merge([span(5, 6), span(0, 2), span(2, 3), span(1, 2), span(9, 9)]) == [
        span(0, 3),
        span(5, 6),
    ]
    assert spans.merge([span(0, 2), span(4, 5), span(8, 9)], within=2 * HOUR) == [span(0, 5), span(8, 9)]
    assert spans.overlap([span(0, 4), span(6, 9)], [span(3, 7), span(8, 12)]) == [
        span(3, 4), span(6, 7), span(8, 9),
    ]  # fmt: skip
    assert list(spans.pieces(span(0, 5), 2 * HOUR)) == [span(0, 2), span(2, 4), span(4, 5)]
