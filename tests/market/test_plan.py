"""Truths about what a pull asks for, told from what is stored."""

import os
from pathlib import Path

import pandas as pd
import pytest

from tests.market.conftest import utc
from xrl import columns as c
from xrl.errors import DataError
from xrl.market import tables
from xrl.market.plan import History, Plan, lacking, plan
from xrl.market.spans import Span
from xrl.market.store import Store

HOUR = pd.Timedelta(hours=1)
DAY_0 = utc("2024-03-01")


def at(hour: float) -> pd.Timestamp:
    return DAY_0 + hour * HOUR


def span(first: float, last: float) -> Span:
    return Span(at(first), at(last))


def history(
    listed: float | None = -5000, ends: float | None = None, kept: float | None = None, closed: float = 5000
) -> History:
    return History(*(None if hour is None else at(hour) for hour in (listed, ends, kept)), at(closed))


def fill(store: Store, kind: str, *hours: float) -> None:
    rows = pd.DataFrame({c.TIMESTAMP: pd.Series([at(hour) for hour in hours]).astype(c.TIME_DTYPE)})
    rows = rows.assign(**dict.fromkeys(tables.table(kind).columns[1:], 1.0))
    store.write("BTCUSDT", kind, rows)


def asked(found: Plan) -> list[Span]:
    return [piece.span for piece in found.pieces]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def planned(
    store: Store, first: float, last: float, kind: str = "1h", about: History | None = None, *holes: Span
) -> Plan:
    return plan(store, "BTCUSDT", kind, span(first, last), holes, about or history(), overlap=3)


def test_of_an_empty_store_all_is_asked_for_and_due(store: Store):
    found = planned(store, 0, 48)
    assert asked(found) == [span(0, 48)] and found.due == (span(0, 48),) and found.too_old == ()
    assert planned(store, 0, 48, "open_interest").due == (span(1, 49),)


def test_what_is_stored_is_not_asked_for(store: Store):
    fill(store, "1h", *range(48))
    assert asked(planned(store, 0, 48)) == []
    assert asked(planned(store, 5, 20)) == []


def test_the_newest_stored_rows_come_along_when_the_interval_reaches_past_them(store: Store):
    fill(store, "1h", *range(20))
    assert asked(planned(store, 24, 48)) == [span(17, 48)]
    assert asked(planned(store, -24, 0)) == [span(-24, 0)]  # a back-fill ends before them
    fill(store, "2h", 0)
    assert asked(planned(store, 2, 4, "2h")) == [span(0, 4)]  # rows that never were are not among them


def test_holes_far_apart_are_asked_for_one_by_one_and_near_ones_together(store: Store):
    fill(store, "1h", *(hour for hour in range(1000) if hour not in (3, 500, 510)))
    found = planned(store, 0, 1000)
    assert asked(found) == [span(3, 4), span(500, 511)]
    empty = tables.empty("1h")[c.TIMESTAMP]
    assert [piece.lacking(empty) for piece in found.pieces] == [
        [span(3, 4)],
        [span(500, 501), span(510, 511)],
    ]


def test_long_spans_are_asked_for_in_pieces(store: Store):
    found = planned(store, 0, 13_000, about=history(closed=20_000))
    assert asked(found) == [span(0, 6000), span(6000, 12_000), span(12_000, 13_000)]


def test_what_has_not_closed_or_come_to_be_is_not_due(store: Store):
    assert planned(store, 0, 48, about=history(closed=10)).due == (span(0, 10),)
    assert planned(store, 0, 48, "open_interest", history(closed=10)).due == (span(1, 11),)
    assert planned(store, 20, 48, about=history(closed=10)).due == ()
    assert planned(store, 0, 48, about=history(ends=10.5)).due == (span(0, 10),)


def test_a_listing_bounds_what_is_due_and_for_once_not_what_is_asked_for(store: Store):
    found = planned(store, -2000, 48, about=history(listed=10))
    assert found.due == (span(10, 48),)
    assert asked(found) == [span(10 - 30 * 24, 48)]  # venues date listings after the first rows
    fill(store, "1h", *range(10, 48))
    assert asked(planned(store, -2000, 48, about=history(listed=10))) == []
    assert planned(store, -48, 48, "open_interest", history(listed=10)).due == (span(11, 49),)
    assert planned(store, -48, 48, about=history(listed=9.5)).due == (span(10, 48),)


def test_of_an_interval_without_bars_nothing_is_asked_for(store: Store):
    fill(store, "1h", *range(100, 110))
    for about in (history(listed=100), history(closed=-50), history(ends=-60)):
        assert asked(planned(store, -48, 0, about=about)) == []


def test_what_a_venue_no_longer_keeps_is_told_and_not_asked_for(store: Store):
    about = history(kept=9.5)
    found = planned(store, 0, 48, "open_interest", about)
    assert asked(found) == [span(10, 49)] == list(found.due)
    assert found.too_old == (span(1, 10),)
    fill(store, "open_interest", *range(1, 8))
    assert planned(store, 0, 48, "open_interest", about).too_old == (span(8, 10),)
    assert asked(planned(store, -48, 2, "open_interest", about)) == []


def test_holes_of_before_are_asked_for_wherever_they_are(store: Store):
    fill(store, "1h", *(hour for hour in range(48) if hour not in (3, 4)))
    found = planned(store, 24, 48, "1h", None, span(2, 6))
    assert asked(found) == [span(3, 5)] and found.due == (span(24, 48),)


def test_funding_is_asked_for_before_its_first_and_after_its_last_settlement(store: Store):
    fill(store, "funding", 8, 16)
    found = planned(store, 0, 24, "funding")
    assert asked(found) == [span(0, 24)]  # and what lies between comes along
    assert found.pieces[0].lacking(tables.empty("funding")[c.TIMESTAMP]) == [span(0, 8)]
    fill(store, "funding", 0)
    (piece,) = planned(store, 0, 24, "funding").pieces
    assert piece.lacking(tables.empty("funding")[c.TIMESTAMP]) == []


def test_settlements_may_begin_days_after_trading_but_not_be_left_out():
    there = pd.DatetimeIndex([at(40), at(48)])
    assert lacking("funding", there, span(0, 50), begins=at(0)) == []
    assert lacking("funding", there, span(0, 50)) == [span(0, 40)]
    assert lacking("funding", there[:0], span(0, 50), begins=at(0)) == [span(0, 50)]
    assert lacking("funding", pd.DatetimeIndex([at(8)]), span(0, 16), begins=at(0)) == [span(0, 8)]


@pytest.mark.parametrize("month", ["2024-02", "2024-03"])
def test_a_damaged_file_among_those_that_matter_is_an_error(store: Store, month: str):
    fill(store, "1h", *range(-72, 20))
    os.truncate(store.root / "BTCUSDT" / "1h" / f"{month}.parquet", 100)
    with pytest.raises(DataError, match=f"{month}.parquet is damaged"):
        planned(store, 24, 48)  # February holds the rows that validation compares the first of March with
