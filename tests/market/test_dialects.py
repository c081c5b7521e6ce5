"""Truths about the three venues' dialects: what is asked, how answers read, how spans become pages.

Answers are the venues' own documented examples unless said otherwise.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market.conftest import utc
from xrl import columns as c
from xrl.errors import ConfigError
from xrl.market import tables
from xrl.market.dialects import DIALECTS, Dialect, binance, bybit, dialect, okx
from xrl.market.dialects.listing import RENAMED, Listing, advice, remark
from xrl.market.dialects.page import Malformed, table
from xrl.market.dialects.walk import Paging, gathered, walk
from xrl.market.rows import Rows, to_frame

HOUR_MS = 3_600_000


def ms(text: str) -> int:
    return int(utc(text).timestamp() * 1000)


def read(venue: Dialect, kind: str, answer: object) -> pd.DataFrame:
    """An answer's rows as the frame that leaves the client."""
    page = to_frame(kind, venue.read(kind, answer))
    tables.check_schema(page, kind, "a page")
    tables.check_schema(page, kind, "a page")
    return page


# Answers


def test_a_binance_kline_fills_every_column_in_base_coins():
    answer = [
        [1499040000000, "0.01634790", "0.80000000", "0.01575800", "0.01577100", "148976.11427815",
         1499644799999, "2434.19055334", 308, "1756.87402397", "28.46694368", "17928899.62484339"]
    ]  # fmt: skip
    row = read(binance, "1h", answer)
    assert row.iloc[0].tolist() == [
        utc("2017-07-03"), 0.0163479, 0.8, 0.015758, 0.015771, 148976.11427815, 2434.19055334, 308.0,
        1756.87402397, 28.46694368,
    ]  # fmt: skip


def test_a_bybit_kline_has_turnover_and_neither_trades_nor_takers():
    answer = {
        "retCode": 0,
        "result": {
            "symbol": "BTCUSDT",
            "category": "linear",
            "list": [
                ["1670608800000", "17071", "17073", "17027", "17055.5", "15.7", "268611.5"],
                ["1670605200000", "17071.5", "17071.5", "17061", "17071", "0.24", "4177"],
            ],
        },
    }
    rows = read(bybit, "1h", answer)
    assert rows[c.TIMESTAMP].tolist() == [utc("2022-12-09 17:00"), utc("2022-12-09 18:00")]  # oldest first
    assert rows[[*c.OHLCV, c.QUOTE_VOLUME]].iloc[1].tolist() == [17071, 17073, 17027, 17055.5, 15.7, 268611.5]
    assert rows[[c.TRADES, c.TAKER_BUY_VOLUME, c.TAKER_BUY_QUOTE_VOLUME]].isna().all(axis=None)


def test_an_okx_candle_counts_coins_not_contracts():
    """vol 1439.97 contracts of 0.01 BTC beside volCcy 14.3997: BTC-USDT-SWAP, September 2026."""
    contracts, coins, contract_value = "1439.97", "14.3997", 0.01
    answer = {
        "code": "0",
        "data": [
            ["1678928760000", "24341.4", "24344", "24313.2", "24323", "628", "6.28", "152748", "0"],
            ["1678928700000", "24324.1", "24347.6", "24321.7", "24341.4", contracts, coins, "350508", "1"],
        ],
    }
    rows = read(okx, "1m", answer)
    assert rows[c.TIMESTAMP].tolist() == [utc("2023-03-16 01:05")]  # the open bar is left out
    assert rows[c.VOLUME].iloc[0] == float(coins)
    assert rows[c.VOLUME].iloc[0] == pytest.approx(float(contracts) * contract_value)
    assert rows[c.QUOTE_VOLUME].iloc[0] == 350508.0
    assert rows[c.TRADES].isna().all()


def test_funding_is_what_was_paid():
    at_binance = [{"symbol": "BTCUSDT", "fundingRate": "-0.03750000", "fundingTime": 1570608000000}]
    at_bybit = {
        "retCode": 0,
        "result": {
            "list": [{"symbol": "ETHUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": "1672041600000"}]
        },
    }
    at_okx = {
        "code": "0",
        "data": [
            {"fundingRate": "0.0000746604960499", "fundingTime": "1703059200000", "instId": "BTC-USD-SWAP",
             "realizedRate": "0.0000746572360545"}
        ],
    }  # fmt: skip
    assert read(binance, "funding", at_binance).values.tolist() == [[utc("2019-10-09 08:00"), -0.0375]]
    assert read(bybit, "funding", at_bybit).values.tolist() == [[utc("2022-12-26 08:00"), 0.0001]]
    assert read(okx, "funding", at_okx).values.tolist() == [[utc("2023-12-20 08:00"), 0.0000746572360545]]


def test_open_interest_is_in_coins_and_its_value_only_where_it_is_in_the_quote_currency():
    at_binance = [
        {"symbol": "BTCUSDT", "sumOpenInterest": "20403.63700000",
         "sumOpenInterestValue": "150570784.07809979", "timestamp": "1583127900000"}
    ]  # fmt: skip
    at_bybit = {
        "retCode": 0,
        "result": {"list": [{"openInterest": "461134384.00000000", "timestamp": "1669571400000"}]},
    }
    row = read(binance, "open_interest", at_binance)
    assert row.iloc[0].tolist() == [utc("2020-03-02 05:45"), 20403.637, 150570784.07809979]
    row = read(bybit, "open_interest", at_bybit)
    assert row[c.OPEN_INTEREST].tolist() == [461134384.0] and row[c.OPEN_INTEREST_VALUE].isna().all()


def test_okx_marks_open_interest_at_the_end_of_the_hour_that_its_row_opens():
    """The row of a running hour follows the market, so its last value is the state at the hour's end."""
    answer = {"code": "0", "data": [["1701417600000", "731377.57500501", "111", "8888888"]]}
    row = read(okx, "open_interest", answer)
    assert row[c.TIMESTAMP].tolist() == [utc("2023-12-01 09:00")]  # the row itself says 08:00
    assert row[c.OPEN_INTEREST].tolist() == [111.0] and row[c.OPEN_INTEREST_VALUE].isna().all()
    query = okx.ask("open_interest", "BTC-USDT-SWAP", ms("2023-12-01 09:00"), ms("2023-12-01 09:00")).query
    assert int(query["begin"]) < 1701417600000 < int(query["end"])


def test_taker_volume_is_bought_then_sold_whatever_the_venue_sends_first():
    at_binance = [
        {"buySellRatio": "1.5586", "buyVol": "387.3300", "sellVol": "248.5030", "timestamp": "1585614900000"}
    ]
    at_okx = {"code": "0", "msg": "", "data": [["1701417600000", "200", "380"]]}  # [ts, sellVol, buyVol]
    names = [c.TAKER_BUY_VOLUME, c.TAKER_SELL_VOLUME]
    assert read(binance, "taker_volume", at_binance)[names].values.tolist() == [[387.33, 248.503]]
    assert read(okx, "taker_volume", at_okx)[names].values.tolist() == [[380.0, 200.0]]


def test_clocks_read():
    assert binance.clock_ms({"serverTime": 1499827319559}) == 1499827319559
    assert bybit.clock_ms(
        {"retCode": 0, "result": {"timeNano": "1688639403423213947"}, "time": 1688639403423}
    )
    assert okx.clock_ms({"code": "0", "data": [{"ts": "1597026383085"}]}) == 1597026383085


@pytest.mark.parametrize("venue", DIALECTS)
@pytest.mark.parametrize(
    "answer", [None, {}, "<html>", {"result": {"list": None}}, {"data": {}}, [{"a": 1}], [[1]]]
)
def test_an_answer_of_another_shape_is_malformed_at_every_venue(venue: str, answer: object):
    spoken = dialect(venue)
    for kind in ("1h", "funding", "open_interest"):
        with pytest.raises(Malformed):
            spoken.read(kind, answer)
    with pytest.raises(Malformed):
        spoken.clock_ms(answer)


@pytest.mark.parametrize(
    ("venue", "answer"), [("binance", []), ("bybit", {"result": {"list": []}}), ("okx", {"data": []})]
)
def test_an_empty_page_is_an_empty_frame(venue: str, answer: object):
    page = read(dialect(venue), "funding", answer)
    assert page.empty


# Rows


def test_null_and_nothing_are_nan_and_never_zero():
    rates = [["1672041600000", "0.0001"], ["1672070400000", None], ["1672099200000", ""]]
    assert np.isnan(table("funding", rates, (0, 1)).values[:, 0]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    "row",
    [["1672041600000", "n/a"], ["1672041600000"], ["1672041600", "1"], [None, "1"], ["1672041600000", {}]],
)
def test_a_row_that_is_no_row_is_malformed(row: list[object]):
    with pytest.raises(Malformed):
        table("funding", [["1672041600000", "0.0001"], row], (0, 1))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.booleans())
def test_numbers_read_to_the_last_bit(values: list[float], as_text: bool):
    rows = [["1672041600000", repr(value) if as_text else value] for value in values]
    assert table("funding", rows, (0, 1)).values[:, 0].tolist() == values


# Requests


def test_every_venue_asks_for_every_timeframe_by_its_own_code():
    codes = {
        "binance": {"1m": "1m", "1h": "1h", "4h": "4h", "12h": "12h", "1d": "1d"},
        "bybit": {"1m": "1", "1h": "60", "4h": "240", "12h": "720", "1d": "D"},
        "okx": {"1m": "1m", "1h": "1H", "4h": "4H", "12h": "12Hutc", "1d": "1Dutc"},
    }
    for venue, expected in codes.items():
        for timeframe, code in expected.items():
            query = dialect(venue).ask(timeframe, "X", 0, 1).query
            assert query.get("interval", query.get("bar")) == code
        assert all(dialect(venue).ask(timeframe, "X", 0, 1) for timeframe in tables.TIMEFRAMES)


def test_okx_bounds_are_exclusive_so_they_lie_a_millisecond_outside():
    query = okx.ask("1h", "BTC-USDT-SWAP", 1_000, 2_000).query
    assert (query["before"], query["after"]) == (999, 2_001)


def test_taker_volume_is_asked_for_in_coins_and_bybit_has_none():
    assert okx.ask("taker_volume", "BTC-USDT-SWAP", 1_000, 2_000).query["unit"] == "0"
    assert [name for name in DIALECTS if dialect(name).offers("taker_volume")] == ["binance", "okx"]
    assert not any(dialect(name).offers("liquidations") for name in DIALECTS)


def test_statistics_wait_for_a_limit_that_ccxt_does_not_know():
    """1000 requests in 5 minutes."""
    assert binance.ask("open_interest", "BTCUSDT", 0, 1).spacing_s == pytest.approx(300 / 1000)
    assert binance.ask("1h", "BTCUSDT", 0, 1).spacing_s == 0


def test_what_a_venue_forgets():
    days = {
        venue: [None if (kept := dialect(venue).kept(kind)) is None else kept.days for kind in tables.SERIES]
        for venue in DIALECTS
    }
    assert days == {"binance": [None, 30, 30], "bybit": [None, None, None], "okx": [90, 60, 60]}
    assert all(dialect(venue).kept("1m") is None for venue in DIALECTS)


def test_an_unknown_venue_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"binance, bybit, okx; received 'mtgox'"):
        dialect("mtgox")


# Listings


def at_binance(**changes: object) -> Listing | None:
    info = {
        "symbol": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "status": "TRADING",
        "onboardDate": 1569398400000, "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT",
    }  # fmt: skip
    return binance.listing({**info, **changes})


def test_binance_states():
    trading = at_binance()
    assert trading == Listing("BTCUSDT", "BTCUSDT", "trading", utc("2019-09-25 08:00"), None)
    over = at_binance(status="SETTLING", deliveryDate=ms("2024-06-03 09:00"))
    assert over is not None and (over.state, over.ends_at) == ("delisted", utc("2024-06-03 09:00"))
    halted = at_binance(status="BREAK")
    assert halted is not None and (halted.state, halted.ends_at) == ("halted", None)
    assert at_binance(contractType="CURRENT_QUARTER") is None
    assert at_binance(quoteAsset="USDC", marginAsset="USDC") is None


def test_bybit_states():
    info = {
        "symbol": "BTCUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC",
        "quoteCoin": "USDT", "launchTime": "1585526400000", "deliveryTime": "0", "settleCoin": "USDT",
    }  # fmt: skip
    assert bybit.listing(info) == Listing("BTCUSDT", "BTCUSDT", "trading", utc("2020-03-30"), None)
    over = bybit.listing({**info, "status": "Closed", "deliveryTime": str(ms("2024-06-03 09:00"))})
    assert over is not None and (over.state, over.ends_at) == ("delisted", utc("2024-06-03 09:00"))
    halted = bybit.listing({**info, "status": "Settling"})
    assert halted is not None and halted.state == "halted"
    assert bybit.listing({**info, "settleCoin": "USDC"}) is None
    assert bybit.listing({**info, "contractType": "LinearFutures"}) is None


def test_okx_states():
    info = {
        "instId": "BTC-USDT-SWAP", "instType": "SWAP", "uly": "BTC-USDT", "settleCcy": "USDT",
        "state": "live", "listTime": "1573557408000", "contTdSwTime": "", "expTime": "",
    }  # fmt: skip
    assert okx.listing(info) == Listing(
        "BTCUSDT", "BTC-USDT-SWAP", "trading", pd.Timestamp("2019-11-12 11:16:48", tz="UTC"), None
    )
    halted = okx.listing({**info, "state": "suspend"})
    assert halted is not None and halted.state == "halted"
    over = okx.listing({**info, "state": "expired", "expTime": str(ms("2024-06-03 09:00"))})
    assert over is not None and (over.state, over.ends_at) == ("delisted", utc("2024-06-03 09:00"))
    assert okx.listing({**info, "uly": "BTC-USD", "settleCcy": "BTC"}) is None
    placeholder = {"instId": "ETH-USD_UM-SWAP", "instType": "SWAP", "state": "preopen"}
    assert okx.listing(placeholder) is None


def test_advice_names_the_successor_the_multiple_or_the_nearest():
    listed = ["BTCUSDT", "POLUSDT", "1000PEPEUSDT", "SHIB1000USDT", "ETHUSDT", "1INCHUSDT"]
    assert "is now POLUSDT" in advice("MATICUSDT", listed)
    assert "quoted there as 1000PEPEUSDT" in advice("PEPEUSDT", listed)
    assert "quoted there as SHIB1000USDT" in advice("1000SHIBUSDT", listed)
    assert "nearest names are BTCUSDT" in advice("BTCUSD", listed)
    assert "lists 6, such as 1000PEPEUSDT" in advice("QQQQQQ", listed)


def test_a_renamed_coin_is_told_with_its_successor_even_where_that_is_not_listed():
    assert "now POLUSDT, which is not listed there" in advice("MATICUSDT", ["BTCUSDT"])
    assert advice("btcusdt", ["BTCUSDT"]) == "btcusdt is written BTCUSDT"
    assert all(old != new for old, new in RENAMED.items())


def test_remarks_say_what_a_pull_will_miss():
    now = utc("2024-06-10")
    old = Listing("BTCUSDT", "BTCUSDT", "trading", utc("2020-01-01"), None)
    assert remark(old, now)[1] == ""
    assert (
        "delisted on 2024-06-03" in remark(old._replace(state="delisted", ends_at=utc("2024-06-03")), now)[1]
    )
    assert "does not trade" in remark(old._replace(state="halted"), now)[1]
    assert "is new: listed on 2024-06-01" in remark(old._replace(listed_at=utc("2024-06-01")), now)[1]
    assert "will be listed on 2024-06-11" in remark(old._replace(listed_at=utc("2024-06-11")), now)[1]


# Pages of a span


class Toy:
    """A venue of rows at `stamps`; `spoil` may change an answer by its number."""

    def __init__(
        self, stamps: Sequence[int], paging: Paging, spoil: dict[int, Callable[[list[int]], list[int]]]
    ):
        self.stamps, self.paging, self.spoil, self.asked = sorted(stamps), paging, spoil, 0

    def fetch(self, first: int, last: int) -> Rows:
        inside = [stamp for stamp in self.stamps if first <= stamp <= last]
        limit = self.paging.limit
        inside = inside[-limit:] if self.paging.newest_first else inside[:limit]
        inside = self.spoil.get(self.asked, list)(inside)
        self.asked += 1
        return table("funding", [[stamp, "0.0001"] for stamp in inside], (0, 1))

    def walked(self, start: int, end: int) -> list[int]:
        pages = list(walk(self.fetch, self.paging, start, end))
        assert all(len(page.stamps) for page in pages)
        return [int(stamp) for page in pages for stamp in page.stamps]


T0 = ms("2024-01-01")


@given(
    st.lists(st.integers(0, 60), unique=True, max_size=61),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(1, 12),
    st.booleans(),
    st.integers(-900, 900),
)
def test_every_row_of_a_span_comes_once_and_in_order(
    hours: list[int], a: int, b: int, limit: int, newest_first: bool, jitter: int
):
    start, end = T0 + min(a, b) * HOUR_MS, T0 + max(a, b) * HOUR_MS
    paging = Paging(limit, HOUR_MS, HOUR_MS, newest_first)
    venue = Toy([T0 + hour * HOUR_MS + jitter for hour in hours], paging, {})
    expected = [T0 + hour * HOUR_MS + jitter for hour in sorted(hours) if min(a, b) <= hour < max(a, b)]
    assert venue.walked(start, end) == expected


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("every", [1, 4, 8])
def test_a_denser_schedule_than_usual_is_walked_in_full(newest_first: bool, every: int):
    """Funding windows hold a page of eight-hourly settlements; in stress they come every hour."""
    stamps = [T0 + hour * HOUR_MS + 4 for hour in range(0, 24 * 90, every)]
    venue = Toy(stamps, Paging(100, 8 * HOUR_MS, 60_000, newest_first), {})
    assert venue.walked(T0, T0 + 90 * 24 * HOUR_MS) == stamps
    assert venue.asked <= math.ceil(len(stamps) / 100) + 3


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_page_that_is_short_or_empty_once_loses_nothing(newest_first: bool, number: int, share: float):
    """A venue that keeps to its order loses the rows at the far end of the page."""
    stamps = [T0 + hour * HOUR_MS for hour in range(60)]

    def cut(rows: list[int]) -> list[int]:
        kept = int(len(rows) * share)
        return rows[len(rows) - kept :] if newest_first else rows[:kept]

    venue = Toy(stamps, Paging(10, HOUR_MS, HOUR_MS, newest_first), {number: cut})
    assert venue.walked(T0, T0 + 60 * HOUR_MS) == stamps


@pytest.mark.parametrize("newest_first", [False, True])
def test_repeats_do_not_push_rows_out_of_a_page(newest_first: bool):
    stamps = [T0 + hour * HOUR_MS for hour in range(20)]
    doubled: dict[int, Callable[[list[int]], list[int]]] = {
        0: lambda rows: ([rows[-1]] * 2 + rows)[-10:] if newest_first else (rows[:1] * 2 + rows)[:10]
    }
    venue = Toy(stamps, Paging(10, HOUR_MS, HOUR_MS, newest_first), doubled)
    assert sorted(set(venue.walked(T0, T0 + 20 * HOUR_MS))) == stamps


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_walk_ends_when_nothing_follows_and_not_in_a_hole(newest_first: bool):
    paging = Paging(10, HOUR_MS, HOUR_MS, newest_first)
    stamps = [T0 + hour * HOUR_MS for hour in (*range(5), *range(400, 405))]
    venue = Toy(stamps, paging, {})
    assert venue.walked(T0, T0 + 10_000 * HOUR_MS) == stamps
    assert venue.asked < 150  # 41 windows to the last row, then the question whether anything follows
    nothing = Toy([], paging, {})
    assert nothing.walked(T0, T0 + 10_000 * HOUR_MS) == [] and nothing.asked == 2


def test_a_full_history_costs_one_request_a_page():
    stamps = [T0 + hour * HOUR_MS for hour in range(3000)]
    for newest_first in (False, True):
        venue = Toy(stamps, Paging(1000, HOUR_MS, HOUR_MS, newest_first), {})
        assert venue.walked(T0, T0 + 3000 * HOUR_MS) == stamps and venue.asked == 3


def test_disorder_inside_a_page_is_passed_on():
    stamps = [T0 + hour * HOUR_MS for hour in range(4)]
    venue = Toy(stamps, Paging(10, HOUR_MS, HOUR_MS, False), {0: lambda rows: rows[::-1]})
    assert venue.walked(T0, T0 + 4 * HOUR_MS) == stamps[::-1]


def test_an_empty_span_asks_nothing():
    venue = Toy([T0], Paging(10, HOUR_MS, HOUR_MS, False), {})
    assert venue.walked(T0, T0) == [] and venue.asked == 0


def test_small_pages_are_put_together_and_nothing_else_changes():
    pages = [table("funding", [[T0 + i, f"{i}"], [T0 + i + 1, None]], (0, 1)) for i in (0, 2, 4)]
    assert [rows.stamps.tolist() for rows in gathered(pages, 3)] == [
        [T0, T0 + 1, T0 + 2, T0 + 3],
        [T0 + 4, T0 + 5],
    ]
    assert list(gathered([], 3)) == []


def test_a_frame_can_be_written_to_and_its_columns_share_nothing():
    one = to_frame("open_interest", table("open_interest", [["1672041600000", "0.5"]], (0, 1, None)))
    one.loc[0, c.OPEN_INTEREST] = 1.0
    assert one[c.OPEN_INTEREST].tolist() == [1.0] and one[c.OPEN_INTEREST_VALUE].isna().all()
