"""Truths about Binance's dialect, asked over real HTTP; ccxt's side is in test_ccxt and in tests/market."""

from typing import Any

import pandas as pd
import pytest

from tests.market.conftest import Sandbox, utc
from tests.sandbox.conftest import FIRST, HOLE, HOUR_MS, ask, ms
from xrl import columns as c
from xrl.market import tables
from xrl.sandbox import finer, worlds
from xrl.sandbox.venue import milliseconds

KLINES = "/fapi/v1/klines"
NOW_MS = ms("2024-06-01 10:20")


def opens(sandbox: Sandbox, **query: Any) -> list[int]:
    status, rows = ask(sandbox, KLINES, symbol="BTCUSDT", **{"interval": "1h", **query})
    assert status == 200, rows
    return [row[0] for row in rows]


def test_a_kline_is_positional_as_at_the_venue(sandbox: Sandbox):
    _, rows = ask(sandbox, KLINES, symbol="BTCUSDT", interval="1h", startTime=ms("2024-01-01"), limit=2)
    bar = worlds.bars("planted", "BTCUSDT", utc("2024-01-01"), utc("2024-01-01 01:00"), 7).iloc[0]
    assert len(rows) == 2 and [len(row) for row in rows] == [12, 12]
    assert rows[0][0] == ms("2024-01-01") and rows[0][6] == ms("2024-01-01 01:00") - 1
    assert [float(text) for text in rows[0][1:6]] == bar[list(c.OHLCV)].tolist()
    assert [float(rows[0][i]) for i in (7, 8, 9, 10)] == bar[list(c.OPTIONAL_CANDLE)].tolist()
    assert [type(value) for value in rows[0]] == [int, *[str] * 5, int, str, int, str, str, str]


def test_pages_run_forward_from_the_start(sandbox: Sandbox):
    start = ms("2023-03-01")
    page = opens(sandbox, startTime=start, endTime=ms("2024-03-01"), limit=1500)
    assert page == [start + i * HOUR_MS for i in range(1500)]
    assert opens(sandbox, startTime=start + 1) == [start + i * HOUR_MS for i in range(1, 501)]


def test_without_a_start_the_latest_bars_come_with_the_open_one(sandbox: Sandbox):
    assert opens(sandbox, limit=3) == [ms(f"2024-06-01 {hour}:00") for hour in ("08", "09", "10")]
    before = ms("2024-05-01 12:30")
    assert opens(sandbox, endTime=before, limit=2) == [ms("2024-05-01 11:00"), ms("2024-05-01 12:00")]


@pytest.mark.parametrize("timeframe", tables.TIMEFRAMES)
def test_the_open_bar_of_any_timeframe_shows_what_has_happened(sandbox: Sandbox, timeframe: str):
    sandbox.now = utc("2024-06-01 10:20:30")
    _, rows = ask(sandbox, KLINES, symbol="BTCUSDT", interval=timeframe, limit=1)
    step = milliseconds(timeframe)
    start = ms("2024-06-01 10:20:30") // step * step
    first = pd.Timestamp(start, unit="ms", tz="UTC")
    past = finer.minutes("planted", "BTCUSDT", first, utc("2024-06-01 10:21"), 7)
    closed, half = past.iloc[:-1], past.iloc[-1]
    open_, high, low, close, volume = (float(text) for text in rows[0][1:6])
    assert rows[0][0] == start and rows[0][6] == start + step - 1
    assert open_ == past[c.OPEN].iloc[0]
    assert close == round(half[c.OPEN] + (half[c.CLOSE] - half[c.OPEN]) / 2, 1)
    assert high == max(closed[c.HIGH].max() if len(closed) else 0, half[c.OPEN], close)
    assert low == min(closed[c.LOW].min() if len(closed) else 1e9, half[c.OPEN], close)
    assert volume == pytest.approx(closed[c.VOLUME].sum() + half[c.VOLUME] / 2, abs=0.002)


def test_a_bar_ends_as_it_will_stay(sandbox: Sandbox):
    _, (row,) = ask(
        sandbox, KLINES, symbol="BTCUSDT", interval="4h", startTime=ms("2024-06-01 04:00"), limit=1
    )
    sandbox.now = utc("2024-06-01 07:59:59.999")
    _, (almost,) = ask(sandbox, KLINES, symbol="BTCUSDT", interval="4h", limit=1)
    assert almost[:4] == row[:4]
    assert float(almost[4]) == pytest.approx(float(row[4]), rel=1e-4)
    assert float(almost[5]) == pytest.approx(float(row[5]), rel=1e-3)
    sandbox.now = utc("2024-06-01 08:00")
    assert ask(sandbox, KLINES, symbol="BTCUSDT", interval="4h", limit=1)[1] == [row]


def test_nothing_lies_in_the_future_or_before_the_listing(sandbox: Sandbox):
    assert opens(sandbox, startTime=ms("2024-06-02")) == []
    start = int(worlds.WORLD_START.timestamp() * 1000)
    assert opens(sandbox, startTime=0, limit=1) == [start]
    assert opens(sandbox, endTime=start - 1) == []
    _, rates = ask(sandbox, "/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=ms("2024-05-31 12:00"))
    assert [rate["fundingTime"] // 60_000 * 60_000 for rate in rates] == [
        ms("2024-05-31 16:00"), ms("2024-06-01"), ms("2024-06-01 08:00"),
    ]  # fmt: skip


def test_absent_columns_are_null_and_never_zero(sandbox: Sandbox):
    _, rows = ask(sandbox, KLINES, "replay", symbol="BAREUSDT", interval="1h", startTime=ms(FIRST), limit=5)
    assert [row[7:11] for row in rows] == [[None] * 4] * 5
    _, (last,) = ask(sandbox, KLINES, "replay", symbol="BAREUSDT", interval="4h", limit=1)
    assert last[7:11] == [None] * 4 and float(last[5]) > 0


def test_a_missing_hour_is_missing_and_so_is_what_is_made_of_it(sandbox: Sandbox):
    span = {"symbol": "OLDUSDT", "startTime": ms("2024-05-21"), "endTime": ms("2024-05-21 12:00")}
    _, hours = ask(sandbox, KLINES, "replay", interval="1h", **span)
    assert len(hours) == 12 and ms(HOLE) not in [row[0] for row in hours]
    _, fours = ask(sandbox, KLINES, "replay", interval="4h", **span)
    assert [row[0] for row in fours] == [ms("2024-05-21"), ms("2024-05-21 08:00"), ms("2024-05-21 12:00")]


def test_settlements_are_stamped_milliseconds_late_with_the_files_rates(sandbox: Sandbox):
    _, rates = ask(sandbox, "/fapi/v1/fundingRate", "replay", symbol="OLDUSDT", startTime=ms(FIRST))
    assert [one["fundingRate"] for one in rates] == ["0.0001", "-0.00002173", "0.00001", "0"]
    late = [one["fundingTime"] - ms(f"2024-05-20 {hour}:00") for one, hour in zip(rates, (8, 16, 18, 20))]
    assert all(0 <= value <= 10 for value in late) and len(set(late)) > 1
    _, newest = ask(sandbox, "/fapi/v1/fundingRate", "replay", symbol="OLDUSDT", limit=2)
    assert newest == rates[-2:]
    _, oldest = ask(sandbox, "/fapi/v1/fundingRate", "replay", symbol="OLDUSDT", startTime=1, limit=2)
    assert oldest == rates[:2]
    assert ask(sandbox, "/fapi/v1/fundingRate", "replay", symbol="BAREUSDT") == (200, [])


@pytest.mark.parametrize("path", ["/futures/data/openInterestHist", "/futures/data/takerlongshortRatio"])
def test_statistics_are_kept_thirty_days(sandbox: Sandbox, path: str):
    query = {"symbol": "BTCUSDT", "period": "1h", "limit": 500}
    oldest = NOW_MS - 30 * 24 * HOUR_MS
    status, rows = ask(sandbox, path, **query, startTime=oldest, endTime=oldest + 100 * HOUR_MS)
    assert status == 200 and rows[0]["timestamp"] == ms("2024-05-02 11:00")
    status, error = ask(sandbox, path, **query, startTime=oldest - 1)
    assert (status, error["code"]) == (400, -1130)
    _, newest = ask(sandbox, path, **query, startTime=oldest)  # more than 500: the newest of them
    assert len(newest) == 500 and [row["timestamp"] for row in newest] == sorted(
        row["timestamp"] for row in newest
    )


def test_a_mark_is_the_state_at_its_stamp_and_an_hour_counts_when_it_is_over(sandbox: Sandbox):
    bar = worlds.bars("planted", "BTCUSDT", utc("2024-06-01 09:00"), utc("2024-06-01 10:00"), 7).iloc[0]
    query = {"symbol": "BTCUSDT", "period": "1h", "limit": 1}
    _, (mark,) = ask(sandbox, "/futures/data/openInterestHist", **query)
    assert mark["timestamp"] == ms("2024-06-01 10:00")
    assert float(mark["sumOpenInterest"]) == bar[c.OPEN_INTEREST]
    assert float(mark["sumOpenInterestValue"]) == round(bar[c.OPEN_INTEREST] * bar[c.CLOSE], 4)
    _, (taken,) = ask(sandbox, "/futures/data/takerlongshortRatio", **query)
    assert taken["timestamp"] == ms("2024-06-01 09:00")
    assert float(taken["buyVol"]) == bar[c.TAKER_BUY_VOLUME]
    assert float(taken["sellVol"]) == round(bar[c.VOLUME] - bar[c.TAKER_BUY_VOLUME], 3)
    assert float(taken["buySellRatio"]) == pytest.approx(
        float(taken["buyVol"]) / float(taken["sellVol"]), abs=1e-4
    )


def test_statistics_come_from_their_files_or_not_at_all(sandbox: Sandbox):
    query = {"period": "1h", "startTime": ms("2024-05-30"), "endTime": ms("2024-05-30")}
    _, (mark,) = ask(sandbox, "/futures/data/openInterestHist", "replay", symbol="OLDUSDT", **query)
    assert (mark["sumOpenInterest"], mark["sumOpenInterestValue"]) == ("1120", "100030")
    _, (taken,) = ask(sandbox, "/futures/data/takerlongshortRatio", "replay", symbol="OLDUSDT", **query)
    assert (taken["buyVol"], taken["sellVol"]) == ("130", "35")
    for path in ("/futures/data/openInterestHist", "/futures/data/takerlongshortRatio"):
        assert ask(sandbox, path, "replay", symbol="BAREUSDT", period="1h") == (200, [])


def test_listings_tell_first_bar_state_and_end(sandbox: Sandbox):
    _, info = ask(sandbox, "/fapi/v1/exchangeInfo", "replay")
    found = {one["symbol"]: one for one in info["symbols"]}
    assert {name: one["status"] for name, one in found.items()} == {
        "BAREUSDT": "TRADING", "GONEUSDT": "SETTLING", "HALTUSDT": "BREAK", "NEWUSDT": "TRADING",
        "OLDUSDT": "TRADING",
    }  # fmt: skip
    assert found["NEWUSDT"]["onboardDate"] == ms("2024-05-30 05:00")
    assert found["GONEUSDT"]["deliveryDate"] == ms("2024-05-28 06:00")
    assert found["OLDUSDT"]["deliveryDate"] == 4133404800000
    _, rows = ask(sandbox, KLINES, "replay", symbol="NEWUSDT", interval="1h", startTime=1, limit=1)
    assert rows[0][0] == found["NEWUSDT"]["onboardDate"]
    _, rows = ask(sandbox, KLINES, "replay", symbol="GONEUSDT", interval="1h")
    assert rows[-1][0] == ms("2024-05-28 05:00")  # nothing after the end
    sandbox.now = utc("2024-05-29")
    assert ask(sandbox, KLINES, "replay", symbol="NEWUSDT", interval="1h")[1]["code"] == -1121


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        (KLINES, {"interval": "1h"}, -1102),
        (KLINES, {"symbol": "FOO", "interval": "1h"}, -1121),
        (KLINES, {"symbol": "BTCUSDT", "interval": "7h"}, -1120),
        (KLINES, {"symbol": "BTCUSDT"}, -1120),
        (KLINES, {"symbol": "BTCUSDT", "interval": "1h", "limit": 1501}, -1130),
        (KLINES, {"symbol": "BTCUSDT", "interval": "1h", "startTime": "soon"}, -1100),
        (KLINES, {"symbol": "BTCUSDT", "interval": "1h", "startTime": -5}, -1100),
        (KLINES, {"symbol": "BTCUSDT", "interval": "1h", "startTime": 2, "endTime": 1}, -1023),
        ("/fapi/v1/fundingRate", {"symbol": "BTCUSDT", "limit": 0}, -1130),
        ("/fapi/v1/fundingRate", {"symbol": "BTCUSDT", "limit": 1001}, -1130),
        ("/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "1h", "startTime": 5}, -1130),
        ("/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "2w"}, -1130),
        ("/futures/data/takerlongshortRatio", {"symbol": "BTCUSDT", "period": "1h", "limit": 501}, -1130),
    ],
)
def test_a_bad_question_gets_the_venues_error(sandbox: Sandbox, path: str, query: dict[str, Any], code: int):
    status, error = ask(sandbox, path, **query)
    assert (status, error["code"]) == (400, code) and error["msg"]


def test_a_timeframe_that_no_file_can_make_is_refused(sandbox: Sandbox):
    status, error = ask(sandbox, KLINES, "replay", symbol="OLDUSDT", interval="5m")
    assert (status, error["code"]) == (400, -1120) and "no file to make 5m bars of OLDUSDT" in error["msg"]
