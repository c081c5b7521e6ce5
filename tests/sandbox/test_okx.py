"""Truths about OKX's dialect, asked over real HTTP."""

from typing import Any

import pytest

from tests.market.conftest import Sandbox, utc
from tests.sandbox.conftest import FIRST, HOUR_MS, ask, ms
from xrl import columns as c
from xrl.sandbox import worlds

XRP = {"instId": "XRP-USDT-SWAP"}  # a contract is 100 coins
OLD = {"instId": "OLD-USDT-SWAP"}  # 10 coins
RECENT, HISTORY = "/api/v5/market/candles", "/api/v5/market/history-candles"
FUNDING = "/api/v5/public/funding-rate-history"
INTEREST = "/api/v5/rubik/stat/contracts/open-interest-history"
CURRENCY = "/api/v5/rubik/stat/contracts/open-interest-volume"
TAKERS = "/api/v5/rubik/stat/taker-volume-contract"


def data(sandbox: Sandbox, path: str, world: str = "planted", **query: Any) -> list[Any]:
    status, body = ask(sandbox, path, world, **query)
    assert (status, body["code"], body["msg"]) == (200, "0", ""), body
    return body["data"]


def opens(sandbox: Sandbox, path: str = HISTORY, **query: Any) -> list[int]:
    return [int(row[0]) for row in data(sandbox, path, **{**XRP, "bar": "1H", **query})]


def test_a_candle_counts_contracts_and_coins(sandbox: Sandbox):
    start = ms("2024-01-01")
    (row,) = data(sandbox, HISTORY, **XRP, bar="1H", before=start - 1, after=start + 1)
    bar = worlds.bars("planted", "XRPUSDT", utc("2024-01-01"), utc("2024-01-01 01:00"), 7).iloc[0]
    assert all(isinstance(value, str) for value in row) and int(row[0]) == start and row[8] == "1"
    assert [float(value) for value in row[1:5]] == bar[list(c.OHLCV[:4])].tolist()
    contracts, coins, quote = (float(value) for value in row[5:8])
    assert (coins, quote) == (bar[c.VOLUME], bar[c.QUOTE_VOLUME])
    (listing,) = data(sandbox, "/api/v5/public/instruments", instType="SWAP", **XRP)
    assert contracts * float(listing["ctVal"]) == pytest.approx(coins, rel=1e-12)
    assert contracts == pytest.approx(coins / 100)  # who takes contracts for coins is wrong a hundredfold


def test_bounds_are_exclusive_and_the_newest_come_first(sandbox: Sandbox):
    start = ms("2024-01-01")
    assert opens(sandbox, before=start, after=start + 3 * HOUR_MS) == [start + 2 * HOUR_MS, start + HOUR_MS]
    page = opens(sandbox, before=start - 1, after=start + 400 * HOUR_MS, limit=1000)  # cut, not refused
    assert page == [start + (399 - i) * HOUR_MS for i in range(300)]
    assert len(opens(sandbox, after=start)) == 100
    assert opens(sandbox, before=start, limit=1) == [ms("2024-06-01 09:00")]  # alone: the latest


def test_only_the_recent_ones_include_the_open_bar(sandbox: Sandbox):
    assert opens(sandbox, RECENT, limit=2) == [ms("2024-06-01 10:00"), ms("2024-06-01 09:00")]
    assert [row[8] for row in data(sandbox, RECENT, **XRP, bar="4H", limit=2)] == ["0", "1"]
    assert opens(sandbox, limit=1) == [ms("2024-06-01 09:00")]


def test_the_recent_ones_are_1440(sandbox: Sandbox):
    oldest = ms("2024-06-01 10:00") - 1439 * HOUR_MS
    assert opens(sandbox, RECENT, after=oldest + HOUR_MS) == [oldest]
    assert opens(sandbox, HISTORY, after=oldest + HOUR_MS, limit=2) == [oldest, oldest - HOUR_MS]


@pytest.mark.parametrize(("bar", "hours"), [("6Hutc", 6), ("12Hutc", 12), ("1Dutc", 24)])
def test_long_bars_open_by_utc_or_not_at_all(sandbox: Sandbox, bar: str, hours: int):
    assert all(stamp % (hours * HOUR_MS) == 0 for stamp in opens(sandbox, bar=bar, limit=3))
    status, error = ask(sandbox, HISTORY, **XRP, bar=bar.removesuffix("utc"))
    assert (status, error["code"]) == (400, "51000")


def test_funding_is_kept_three_months_and_forecast_is_not_paid(sandbox: Sandbox):
    rates = data(sandbox, FUNDING, **XRP)
    stamps = [int(one["fundingTime"]) for one in rates]
    assert stamps == sorted(stamps, reverse=True) and stamps[0] == ms("2024-06-01 08:00")
    assert ms("2024-06-01 10:20") - 92 * 24 * HOUR_MS <= stamps[-1] < ms("2024-03-02")
    assert data(sandbox, FUNDING, **XRP, after=ms("2024-03-01")) == []
    assert data(sandbox, FUNDING, **XRP, before=stamps[2], limit=100) == rates[:2]
    assert data(sandbox, FUNDING, **XRP, after=stamps[2], limit=2) == rates[3:5]
    hours = worlds.bars("planted", "XRPUSDT", utc("2024-06-01 08:00"), utc("2024-06-01 09:00"), 7)
    assert float(rates[0]["realizedRate"]) == hours[c.FUNDING_RATE].iloc[0]
    assert rates[0]["fundingRate"] == rates[1]["realizedRate"] != rates[0]["realizedRate"]


def test_statistics_come_in_contracts_coins_and_dollars(sandbox: Sandbox):
    stamp = ms("2024-05-30")
    ((ts, contracts, coins, dollars),) = data(
        sandbox, INTEREST, "replay", **OLD, period="1H", begin=stamp - 1, end=stamp + 1
    )
    # a mark is stamped with the opening of the hour that it follows: this is the state at 01:00
    assert (ts, contracts, coins, dollars) == (str(stamp), "112.1", "1121", "100030.25")
    query = {**OLD, "period": "1H", "begin": stamp - 1, "end": stamp + 1}
    assert data(sandbox, TAKERS, "replay", **query, unit=0) == [[str(stamp), "35", "130"]]  # sold, bought
    assert data(sandbox, TAKERS, "replay", **query) == [[str(stamp), "3.5", "13"]]
    assert data(sandbox, TAKERS, "replay", **query, unit=1) == [[str(stamp), "3.5", "13"]]
    (bar,) = data(sandbox, HISTORY, "replay", **OLD, bar="1H", before=stamp - 1, after=stamp + 1)
    (_, sold, bought) = data(sandbox, TAKERS, "replay", **query, unit=2)[0]
    assert (float(sold), float(bought)) == (round(35 * float(bar[4]), 4), round(130 * float(bar[4]), 4))


@pytest.mark.parametrize(("path", "newest"), [(INTEREST, "2024-06-01 09:00"), (TAKERS, "2024-06-01 09:00")])
def test_statistics_of_a_contract_are_1440_entries_with_exclusive_bounds(
    sandbox: Sandbox, path: str, newest: str
):
    oldest = ms(newest) - 1439 * HOUR_MS
    rows = data(sandbox, path, **XRP, period="1H", end=oldest + 2 * HOUR_MS)
    assert [int(row[0]) for row in rows] == [oldest + HOUR_MS, oldest]
    assert data(sandbox, path, **XRP, period="1H", begin=oldest, end=oldest + 1) == []
    latest = data(sandbox, path, **XRP, period="1H", limit=500)
    assert len(latest) == 100 and int(latest[0][0]) == ms(newest)
    assert data(sandbox, path, "replay", instId="BARE-USDT-SWAP", period="1H") == []


def test_a_currency_is_told_in_dollars_for_thirty_days(sandbox: Sandbox):
    rows = data(sandbox, CURRENCY, ccy="XRP", period="1H")
    assert len(rows) == 720 and int(rows[0][0]) == ms("2024-06-01 10:00")
    bar = worlds.bars("planted", "XRPUSDT", utc("2024-06-01 09:00"), utc("2024-06-01 10:00"), 7).iloc[0]
    assert float(rows[0][1]) == round(bar[c.OPEN_INTEREST] * bar[c.CLOSE], 4)
    assert float(rows[0][2]) == bar[c.QUOTE_VOLUME]
    assert data(sandbox, CURRENCY, ccy="XRP", period="1H", begin=rows[1][0], end=rows[0][0]) == rows[:2]


def test_instruments_tell_first_bar_state_and_end(sandbox: Sandbox):
    found = data(sandbox, "/api/v5/public/instruments", "replay", instType="SWAP")
    assert {one["instId"]: (one["state"], one["expTime"]) for one in found} == {
        "BARE-USDT-SWAP": ("live", ""),
        "GONE-USDT-SWAP": ("expired", str(ms("2024-05-28 06:00"))),
        "HALT-USDT-SWAP": ("suspend", ""),
        "NEW-USDT-SWAP": ("live", ""),
        "OLD-USDT-SWAP": ("live", ""),
    }
    assert found[3]["listTime"] == str(ms("2024-05-30 05:00"))
    assert data(sandbox, "/api/v5/public/instruments", instType="SPOT") == []
    shares = [one["ctVal"] for one in data(sandbox, "/api/v5/public/instruments", instType="SWAP")]
    assert sum(float(share) != 1 for share in shares) > len(shares) / 2


def test_absent_columns_are_null(sandbox: Sandbox):
    bare = {"instId": "BARE-USDT-SWAP", "bar": "1H", "after": ms(FIRST) + 1}
    ((*known, quote, confirmed),) = data(sandbox, HISTORY, "replay", **bare)
    assert quote is None and confirmed == "1" and None not in known


@pytest.mark.parametrize(
    ("path", "query", "code", "status"),
    [
        (HISTORY, {"bar": "1H"}, "50014", 400),
        (HISTORY, {"instId": "FOO-USDT-SWAP", "bar": "1H"}, "51001", 200),
        (HISTORY, {"instId": "BTCUSDT", "bar": "1H"}, "51001", 200),
        (HISTORY, {**XRP, "bar": "1h"}, "51000", 400),
        (HISTORY, {**XRP, "bar": "1H", "before": "soon"}, "51000", 400),
        (HISTORY, {**XRP, "bar": "1H", "limit": 0}, "51000", 400),
        (INTEREST, {**XRP, "period": "7H"}, "51000", 400),
        (INTEREST, {**XRP}, "51000", 400),
        (TAKERS, {**XRP, "period": "1H", "unit": "7"}, "51000", 400),
        (CURRENCY, {"period": "1H"}, "50014", 400),
        (CURRENCY, {"ccy": "FOO", "period": "1H"}, "51000", 400),
        ("/api/v5/public/instruments", {}, "50014", 400),
    ],
)
def test_a_bad_question_gets_the_venues_error(
    sandbox: Sandbox, path: str, query: dict[str, Any], code: str, status: int
):
    found, error = ask(sandbox, path, **query)
    assert (found, error["code"], error["data"]) == (status, code, []) and error["msg"]


def test_a_timeframe_that_no_file_can_make_is_refused(sandbox: Sandbox):
    _, error = ask(sandbox, HISTORY, "replay", **OLD, bar="5m")
    assert error["code"] == "51000" and "no file to make 5m bars of OLDUSDT" in error["msg"]
