"""Truths about Bybit's dialect, asked over real HTTP."""

from typing import Any

import pytest

from tests.market.conftest import Sandbox, utc
from tests.sandbox.conftest import FIRST, HOUR_MS, ask, ms
from xrl import columns as c
from xrl.sandbox import worlds

COIN = {"category": "linear", "symbol": "BTCUSDT"}
KLINE, FUNDING, INTEREST = "/v5/market/kline", "/v5/market/funding/history", "/v5/market/open-interest"


def listed(sandbox: Sandbox, path: str, world: str = "planted", **query: Any) -> list[Any]:
    status, body = ask(sandbox, path, world, **{**COIN, **query})
    assert (status, body["retCode"], body["retMsg"]) == (200, 0, "OK"), body
    return body["result"]["list"]


def opens(sandbox: Sandbox, **query: Any) -> list[int]:
    return [int(row[0]) for row in listed(sandbox, KLINE, interval="60", **query)]


def test_a_kline_is_seven_texts(sandbox: Sandbox):
    (row,) = listed(sandbox, KLINE, interval="60", start=ms("2024-01-01"), limit=1)
    bar = worlds.bars("planted", "BTCUSDT", utc("2024-01-01"), utc("2024-01-01 01:00"), 7).iloc[0]
    assert all(isinstance(value, str) for value in row) and int(row[0]) == ms("2024-01-01")
    assert [float(value) for value in row[1:]] == bar[[*c.OHLCV, c.QUOTE_VOLUME]].tolist()


def test_newest_come_first_and_are_the_ones_sent_of_a_window_that_is_too_long(sandbox: Sandbox):
    start, end = ms("2024-01-01"), ms("2024-03-01")
    page = opens(sandbox, start=start, end=end, limit=1000)
    assert page == [end - i * HOUR_MS for i in range(1000)]
    assert opens(sandbox, start=start, end=end, limit=5000) == page  # the limit is cut, not refused
    assert opens(sandbox, start=start, end=start + HOUR_MS - 1) == [start]


def test_a_start_alone_reads_forward(sandbox: Sandbox):
    start = ms("2024-01-01")
    assert opens(sandbox, start=start, limit=3) == [start + 2 * HOUR_MS, start + HOUR_MS, start]
    assert len(opens(sandbox, start=start)) == 200


def test_the_latest_bar_is_the_open_one(sandbox: Sandbox):
    assert opens(sandbox, limit=2) == [ms("2024-06-01 10:00"), ms("2024-06-01 09:00")]
    open_one, closed = listed(sandbox, KLINE, interval="D", limit=2)
    assert int(open_one[0]) == ms("2024-06-01") and float(open_one[5]) < float(closed[5])


def test_funding_needs_both_ends_or_the_last(sandbox: Sandbox):
    span = {"startTime": ms("2024-05-01"), "endTime": ms("2024-05-02")}
    rates = listed(sandbox, FUNDING, **span)
    assert [int(one["fundingRateTimestamp"]) for one in rates] == [
        ms(text) for text in ("2024-05-02", "2024-05-01 16:00", "2024-05-01 08:00", "2024-05-01")
    ]
    assert listed(sandbox, FUNDING, **span, limit=2) == rates[:2]
    assert len(listed(sandbox, FUNDING)) == 200
    _, refused = ask(sandbox, FUNDING, **COIN, startTime=span["startTime"])
    assert refused["retCode"] == 10001 and "endTime" in refused["retMsg"]
    replayed = listed(sandbox, FUNDING, "replay", symbol="OLDUSDT")
    assert [one["fundingRate"] for one in replayed] == ["0", "0.00001", "-0.00002173", "0.0001"]
    assert int(replayed[-1]["fundingRateTimestamp"]) == ms("2024-05-20 08:00")  # no jitter here


def test_open_interest_reaches_back_to_the_listing_page_by_page(sandbox: Sandbox):
    start, end = ms("2023-01-01"), ms("2023-01-20")
    stamps, cursor = [], None
    while cursor != "":
        query = {"intervalTime": "1h", "startTime": start, "endTime": end, "limit": 200}
        _, body = ask(sandbox, INTEREST, **COIN, **query, **({"cursor": cursor} if cursor else {}))
        stamps += [int(one["timestamp"]) for one in body["result"]["list"]]
        cursor = body["result"]["nextPageCursor"]
    assert stamps == list(range(end, start, -HOUR_MS))  # the first mark is an hour after the listing
    assert len(listed(sandbox, INTEREST, intervalTime="1h")) == 50
    assert listed(sandbox, INTEREST, "replay", symbol="BAREUSDT", intervalTime="1h") == []


def test_there_is_no_taker_volume(sandbox: Sandbox):
    assert ask(sandbox, "/v5/market/taker-volume", **COIN)[0] == 404
    (row,) = listed(sandbox, KLINE, "replay", symbol="BAREUSDT", interval="60", start=ms(FIRST), limit=1)
    assert row[6] is None


def test_the_delisted_are_listed_for_who_asks(sandbox: Sandbox):
    def symbols(**query: str) -> dict[str, tuple[str, str]]:
        _, body = ask(sandbox, "/v5/market/instruments-info", "replay", category="linear", **query)
        return {one["symbol"]: (one["status"], one["deliveryTime"]) for one in body["result"]["list"]}

    assert symbols() == {
        "BAREUSDT": ("Trading", "0"), "HALTUSDT": ("Settling", "0"), "NEWUSDT": ("Trading", "0"),
        "OLDUSDT": ("Trading", "0"),
    }  # fmt: skip
    assert symbols(status="Closed") == {"GONEUSDT": ("Closed", str(ms("2024-05-28 06:00")))}
    assert list(symbols(status="Trading")) == ["BAREUSDT", "NEWUSDT", "OLDUSDT"]
    assert list(symbols(symbol="NEWUSDT")) == ["NEWUSDT"]


def test_a_long_list_comes_in_pages(sandbox: Sandbox):
    query = {"category": "linear", "limit": 4}
    names, cursor = [], "0"
    while cursor:
        _, body = ask(sandbox, "/v5/market/instruments-info", **query, cursor=cursor)
        names += [one["symbol"] for one in body["result"]["list"]]
        cursor = body["result"]["nextPageCursor"]
    assert names == list(worlds.COINS)


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        (KLINE, {"category": "linear", "interval": "60"}, "symbol invalid"),
        (KLINE, {**COIN, "symbol": "FOO", "interval": "60"}, "symbol invalid"),
        (KLINE, {**COIN, "interval": "1h"}, "Invalid period!"),
        (KLINE, {**COIN, "category": "spot", "interval": "60"}, "Category is invalid"),
        (KLINE, {**COIN, "interval": "60", "start": "soon"}, "start invalid"),
        (KLINE, {**COIN, "interval": "60", "limit": 0}, "limit invalid"),
        (INTEREST, {**COIN, "intervalTime": "7h"}, "intervalTime invalid"),
        (INTEREST, {**COIN}, "intervalTime invalid"),
    ],
)
def test_a_bad_question_gets_the_venues_error(sandbox: Sandbox, path: str, query: dict[str, Any], said: str):
    status, error = ask(sandbox, path, **query)
    assert (status, error["retCode"], error["result"]) == (200, 10001, {}) and said in error["retMsg"]


def test_a_timeframe_that_no_file_can_make_is_refused(sandbox: Sandbox):
    _, error = ask(sandbox, KLINE, "replay", category="linear", symbol="OLDUSDT", interval="5")
    assert error["retCode"] == 10001 and "no file to make 5m bars of OLDUSDT" in error["retMsg"]
