"""Truths about written pages: what is cut out of blocks is what was there, in bounded memory."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.conftest import HOUR_MS, ms
from xrl import columns as c
from xrl.sandbox import text
from xrl.sandbox.pages import BLOCK_ROWS, Bars, Pages, Style, Window
from xrl.sandbox.venue import Venue, stamps

NOW_MS = ms("2024-06-01 10:20")
START_MS = ms("2023-01-01")
HOURS = (NOW_MS - START_MS) // HOUR_MS


def written(bars: Bars) -> text.Column:
    return text.lists(text.integers(stamps(bars.frame[c.TIMESTAMP])), *text.quoted(bars.frame[c.CLOSE]))


def opens(pages: Pages, window: Window, timeframe: str = "1h", now_ms: int = NOW_MS) -> list[int]:
    rows = json.loads(b"[%b]" % pages.page("planted", "BTCUSDT", timeframe, window, now_ms))
    return [row[0] for row in rows]


@pytest.fixture(scope="module", params=[True, False], ids=["newest first", "oldest first"])
def pages(request: pytest.FixtureRequest) -> Pages:
    return Pages(Venue(7), Style(written, request.param))


@settings(max_examples=150, deadline=None)
@given(
    first=st.integers(-50, HOURS + 50),
    span=st.integers(0, 3 * BLOCK_ROWS),
    limit=st.integers(1, 2 * BLOCK_ROWS),
    newest=st.booleans(),
    minutes=st.integers(-90, 90),
)
def test_a_page_is_what_a_list_of_all_bars_would_give(
    pages: Pages, first: int, span: int, limit: int, newest: bool, minutes: int
):
    now_ms = NOW_MS + minutes * 60_000
    low, high = START_MS + first * HOUR_MS, START_MS + (first + span) * HOUR_MS
    there = [stamp for stamp in range(START_MS, now_ms, HOUR_MS) if low <= stamp <= high]
    expected = there[-limit:] if newest else there[:limit]
    found = opens(pages, Window(low, high, limit, newest), now_ms=now_ms)
    assert found == (expected[::-1] if pages._style.newest_first else expected)


def test_the_rows_are_the_worlds(pages: Pages):
    page = pages.page("planted", "BTCUSDT", "1h", Window(START_MS, NOW_MS, 3000, False), NOW_MS)
    closes = [float(row[1]) for row in json.loads(b"[%b]" % page)]
    whole = Venue(7).bars("planted", "BTCUSDT", "1h", START_MS, START_MS + 3000 * HOUR_MS)[c.CLOSE].tolist()
    assert closes == (whole[::-1] if pages._style.newest_first else whole)


def test_memory_is_bounded_and_forgetting_changes_nothing():
    small, whole = (Pages(Venue(7), Style(written, False), most) for most in (60_000, 10**9))
    windows = [Window(START_MS + i * BLOCK_ROWS * HOUR_MS, NOW_MS, 1000, False) for i in (0, 1, 2, 3, 0, 2)]
    for window in windows:
        assert opens(small, window) == opens(whole, window)
        assert len(small._blocks) == 1 and small._bytes <= 60_000
        assert small._bytes == sum(len(block.text) for block in small._blocks.values())
    assert len(whole._blocks) == 5  # 2023-01-01 lies within a block


def test_nothing_is_written_twice():
    calls = []

    def counted(bars: Bars) -> text.Column:
        calls.append(len(bars.frame))
        return written(bars)

    pages = Pages(Venue(7), Style(counted, False))
    window = Window(START_MS, NOW_MS, 3000, False)
    once = opens(pages, window)
    assert opens(pages, window) == once and calls == [304, BLOCK_ROWS, BLOCK_ROWS]


@given(
    st.lists(
        st.floats(allow_nan=True, allow_infinity=False) | st.decimals(0, 10**6, places=8).map(float),
        min_size=1,
    )
)
def test_a_number_reads_back_as_the_same_double(values: list[float]):
    (column,) = text.quoted(np.array(values))
    for value, told in zip(values, json.loads(b"[%b]" % text.joined(text.lists(column)))):
        (found,) = told
        assert found is None if np.isnan(value) else float(found) == value and "e" not in found


def test_objects_lists_and_nothing_at_all():
    frame = pd.DataFrame({"a": [1.0, np.nan, 2.5e-7], "b": [10.0, np.nan, 3e15]})
    a, b = text.quoted(frame["a"], frame["b"])
    told = text.objects({"kind": '"x"', "a": a, "n": text.integers(frame["b"])})
    assert json.loads(b"[%b]" % text.joined(told)) == [
        {"kind": "x", "a": "1", "n": 10},
        {"kind": "x", "a": None, "n": None},
        {"kind": "x", "a": "0.00000025", "n": 3_000_000_000_000_000},
    ]
    assert text.joined(text.lists(a, b, '"0"'))[:15] == b'["1","10","0"],'
    (empty,) = text.quoted(np.array([]))
    assert text.joined(text.objects({"a": empty})) == b""
