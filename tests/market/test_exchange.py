"""Truths about the real ccxt clients against the sandbox exchange in its three dialects."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from tests.market.conftest import SHARED_MARKET, Sandbox, serving, utc
from tests.market.test_limiter import Time
from xrl import columns as c
from xrl.errors import ConfigError, ExchangeError
from xrl.market import tables
from xrl.market.exchange import Exchange
from xrl.sandbox import server
from xrl.sandbox.venue import Venue

VENUES = ("binance", "bybit", "okx")
#: Columns of candles and of open interest that only Binance fills.
BINANCE_ALONE = (c.TRADES, c.TAKER_BUY_VOLUME, c.TAKER_BUY_QUOTE_VOLUME, c.OPEN_INTEREST_VALUE)


def rows(exchange: Exchange, kind: str, symbol: str, start: str, end: str) -> pd.DataFrame:
    """Rows stamped within [start, end), stamps without the milliseconds that venues add."""
    pages = list(exchange.pages(kind, symbol, utc(start), utc(end)))
    for page in pages:
        tables.check_schema(page, kind, "a page")
    found = pd.concat(pages, ignore_index=True) if pages else tables.empty(kind)
    minutes = found[c.TIMESTAMP].dt.round("min").astype(c.TIME_DTYPE)
    found = found.assign(**{c.TIMESTAMP: minutes})
    return found[(minutes >= utc(start)) & (minutes < utc(end))].reset_index(drop=True)


def truth(world: str, kind: str, symbol: str, start: str, end: str, venue: str) -> pd.DataFrame:
    """The world's own rows, without what `venue` does not publish."""
    first, last = (int(utc(text).timestamp() * 1000) for text in (start, end))
    source = Venue(7)
    if kind in (tables.FUNDING, tables.TAKER_VOLUME):
        return source.series(world, symbol, kind, first, last)
    if kind == tables.OPEN_INTEREST:
        known = source.series(world, symbol, kind, first, last)
    else:
        known = source.bars(world, symbol, kind, first, last)
    absent = [] if venue == "binance" else [name for name in BINANCE_ALONE if name in known]
    return known.assign(**dict.fromkeys(absent, float("nan")))


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("1h", "2023-12-01", "2024-03-15"),  # 2520 rows: two pages at Binance, three at Bybit, nine at OKX
        ("5m", "2024-05-01 03:00", "2024-05-03"),
        ("4h", "2023-06-01", "2024-05-30"),
        ("1d", "2023-06-01", "2024-05-30"),
        ("funding", "2024-03-10", "2024-06-01 10:00"),
        ("taker_volume", "2024-05-10", "2024-06-01 09:00"),
    ],
)
def test_every_row_comes_once_and_equals_the_world_to_the_bit(
    sandbox: Sandbox, venue: str, kind: str, start: str, end: str
):
    with Exchange(venue, sandbox.world("planted")) as exchange:
        if not exchange.offers(kind):
            with pytest.raises(ExchangeError, match="does not publish taker_volume"):
                exchange.pages(kind, "ETHUSDT", utc(start), utc(end))
            return
        pulled = rows(exchange, kind, "ETHUSDT", start, end)
    expected = truth("planted", kind, "ETHUSDT", start, end, venue)
    assert len(expected) > 200 or kind == "4h" or kind == "1d"
    pd.testing.assert_frame_equal(pulled, expected, check_exact=True)


@pytest.mark.parametrize("venue", VENUES)
def test_open_interest_is_the_state_at_its_stamp(sandbox: Sandbox, venue: str):
    with Exchange(venue, sandbox.world("planted")) as exchange:
        pulled = rows(exchange, "open_interest", "BTCUSDT", "2024-05-05", "2024-06-01 10:00")
    expected = truth("planted", "open_interest", "BTCUSDT", "2024-05-05", "2024-06-01 10:00", venue)
    pd.testing.assert_frame_equal(pulled, expected, check_exact=True)


@pytest.mark.parametrize("venue", VENUES)
def test_what_a_venue_no_longer_keeps_is_not_asked_for(sandbox: Sandbox, venue: str):
    """A real venue refuses such a request, or answers nothing."""
    with Exchange(venue, sandbox.world("planted")) as exchange:
        kept = exchange.kept_since("open_interest")
        pulled = rows(exchange, "open_interest", "BTCUSDT", "2024-01-01", "2024-06-01 10:00")
        old = rows(exchange, "open_interest", "BTCUSDT", "2023-01-01", "2023-02-01")
        assert exchange.kept_since("1h") is None
    assert kept == {
        "binance": utc("2024-05-02 11:20"), "bybit": None, "okx": utc("2024-04-02 11:20")
    }[venue]  # fmt: skip
    first = utc("2024-01-01") if kept is None else kept.ceil("h")
    assert pulled[c.TIMESTAMP].tolist() == list(pd.date_range(first, "2024-06-01 09:00Z", freq="h"))
    assert len(old) == (743 if kept is None else 0)  # the first mark is an hour after the first bar


@pytest.mark.parametrize("venue", VENUES)
def test_a_span_into_the_future_ends_where_the_venue_ends(sandbox: Sandbox, venue: str):
    with Exchange(venue, sandbox.world("planted")) as exchange:
        pulled = rows(exchange, "1h", "BTCUSDT", "2024-06-01 07:00", "2024-09-01")
    last = utc("2024-06-01 09:00" if venue == "okx" else "2024-06-01 10:00")  # OKX says which bar is open
    assert pulled[c.TIMESTAMP].iloc[-1] == last


@pytest.mark.parametrize("venue", VENUES)
def test_the_earlier_clock_counts(sandbox: Sandbox, venue: str):
    behind = utc("2024-06-01 09:59:30").timestamp()
    with Exchange(venue, sandbox.world("planted")) as exchange:
        assert exchange.now() == utc("2024-06-01 10:20")
    with Exchange(venue, sandbox.world("planted"), clock=lambda: behind) as exchange:
        assert exchange.now() == utc("2024-06-01 09:59:30")


@pytest.mark.skipif(not SHARED_MARKET.is_dir(), reason="the real candles of ../shared/market are not here")
@pytest.mark.parametrize("venue", VENUES)
def test_what_replay_files_lack_arrives_as_nan_never_as_zero(sandbox: Sandbox, venue: str):
    sandbox.now = utc("2026-01-01")
    with Exchange(venue, sandbox.world("replay")) as exchange:
        candles = rows(exchange, "1h", "LTCUSDT", "2024-12-30", "2025-01-02")
        assert rows(exchange, "open_interest", "LTCUSDT", "2024-12-30", "2025-01-02").empty
    assert len(candles) == 48
    assert candles[list(c.OPTIONAL_CANDLE)].isna().all(axis=None)
    file = pd.read_parquet(SHARED_MARKET / "binance_perp_LTCUSDT_1h.parquet")
    assert candles[c.CLOSE].tolist() == file[c.CLOSE].tail(48).tolist()


def test_threads_share_a_client_and_get_what_one_thread_gets(sandbox: Sandbox):
    asked = [(symbol, kind) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT") for kind in ("1h", "funding")]
    with Exchange("bybit", sandbox.world("planted")) as exchange:

        def fetch(what: tuple[str, str]) -> pd.DataFrame:
            return rows(exchange, what[1], what[0], "2023-06-01", "2024-06-01")

        with ThreadPoolExecutor(6) as pool:
            at_once = list(pool.map(fetch, asked))
        one_by_one = [fetch(what) for what in asked]
    for together, alone in zip(at_once, one_by_one, strict=True):
        pd.testing.assert_frame_equal(together, alone)


@pytest.mark.parametrize(
    ("venue", "seconds"),
    [
        # two pages of 10 x 50 ms; what ccxt counts for the list and the clock before them: 1 x 50 ms each
        ("binance", 0.05 + 0.5),
        ("bybit", 2 * 0.1 + 0.1),  # the list is asked for twice (pre-launch), each 5 x 20 ms
        ("okx", 0.11 + 4 * 0.11),  # 1 x 110 ms each
    ],
)
def test_requests_keep_the_distance_that_ccxt_reckons(sandbox: Sandbox, venue: str, seconds: float):
    time = Time()
    with Exchange(venue, sandbox.world("planted"), limited=True, limiter=time.limiter()) as exchange:
        limit = {"binance": 1500, "bybit": 1000, "okx": 300}[venue]
        hours = limit + 1 if venue != "okx" else 4 * limit + 1
        end = utc("2023-06-01") + pd.Timedelta(hours=hours)
        pulled = rows(exchange, "1h", "BTCUSDT", "2023-06-01", f"{end:%Y-%m-%d %H:%M}")
    assert len(pulled) == hours
    assert sum(time.slept) == pytest.approx(seconds)


def test_statistics_keep_the_distance_of_their_own_limit(sandbox: Sandbox):
    time = Time()
    with Exchange("binance", sandbox.world("planted"), limited=True, limiter=time.limiter()) as exchange:
        rows(exchange, "open_interest", "BTCUSDT", "2024-05-05", "2024-06-01")  # 648 hours: two pages
    assert sum(time.slept) == pytest.approx(0.05 + 0.05 + 0.3)  # after the list, the clock and the first page


def test_the_sandbox_is_not_spared(sandbox: Sandbox):
    time = Time()
    with Exchange("okx", sandbox.world("planted"), limiter=time.limiter()) as exchange:
        rows(exchange, "1h", "BTCUSDT", "2023-06-01", "2023-12-01")
    assert time.slept == []


# Symbols


@pytest.mark.parametrize("venue", VENUES)
def test_listings_are_named_our_way_and_asked_for_once(sandbox: Sandbox, venue: str):
    with Exchange(venue, sandbox.world("planted")) as exchange:
        listed = exchange.listings()
        assert exchange.listings() is listed
    bitcoin = listed["BTCUSDT"]
    assert bitcoin.venue_id == ("BTC-USDT-SWAP" if venue == "okx" else "BTCUSDT")
    assert (bitcoin.state, bitcoin.listed_at, bitcoin.ends_at) == ("trading", utc("2023-01-01"), None)


@pytest.mark.parametrize("venue", VENUES)
def test_an_unknown_symbol_is_named_with_what_may_have_been_meant(sandbox: Sandbox, venue: str):
    with Exchange(venue, sandbox.world("planted")) as exchange:
        assert list(exchange.check_symbols(("BTCUSDT", "LTCUSDT"))) == ["BTCUSDT", "LTCUSDT"]
        with pytest.raises(ExchangeError, match=r"no perpetual BTCUSD, FOOUSDT: .*nearest names are BTCUSDT"):
            exchange.check_symbols(("BTCUSDT", "BTCUSD", "FOOUSDT"))
        others = " or ".join(name for name in VENUES if name != venue)
        with pytest.raises(ExchangeError, match=rf"`market.venue` \({others}\)"):
            exchange.pages("1h", "FOOUSDT", utc("2024-01-01"), utc("2024-01-02"))


def small_replay(folder: Path, notices: dict[str, dict[str, str]]) -> None:
    """A day of bars for each symbol and what is said of its listing."""
    hours = pd.date_range("2024-05-01", "2024-05-02", freq="h", tz="UTC", inclusive="left")
    bars = pd.DataFrame({c.TIMESTAMP: hours, **dict.fromkeys(c.OHLCV, 1.5)})
    for symbol in notices:
        bars.to_parquet(folder / f"binance_perp_{symbol}_1h.parquet")
    (folder / "listings.json").write_text(json.dumps(notices))


@pytest.mark.parametrize("venue", VENUES)
def test_delisted_halted_and_new_symbols_are_told_and_can_be_pulled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, venue: str
):
    small_replay(
        tmp_path,
        {
            "GONEUSDT": {"ends_at": "2024-05-01T20:00:00Z"},
            "HALTUSDT": {"state": "halted"},
            "YOUNGUSDT": {},
        },
    )
    caplog.set_level(logging.INFO, logger="xrl.market.exchange")
    with serving(Venue(7, tmp_path)) as sandbox:
        sandbox.now = utc("2024-05-03")
        with Exchange(venue, sandbox.world("replay")) as exchange:
            listed = exchange.check_symbols(("GONEUSDT", "HALTUSDT", "YOUNGUSDT"))
            last = rows(exchange, "1h", "GONEUSDT", "2024-05-01", "2024-05-02")
    gone = listed["GONEUSDT"]
    assert (gone.state, gone.ends_at) == ("delisted", utc("2024-05-01 20:00"))
    assert listed["HALTUSDT"].state == "halted" and listed["YOUNGUSDT"].listed_at == utc("2024-05-01")
    assert len(last) == 20
    told = caplog.text
    assert "GONEUSDT was delisted on 2024-05-01 20:00 UTC; its history up to then can still be pulled" in told
    assert "HALTUSDT does not trade at the moment" in told
    assert "YOUNGUSDT is new: listed on 2024-05-01 00:00 UTC" in told


def test_a_renamed_coin_is_named_with_its_successor(tmp_path: Path):
    small_replay(tmp_path, {"POLUSDT": {}, "1000PEPEUSDT": {}})
    with serving(Venue(7, tmp_path)) as sandbox:
        sandbox.now = utc("2024-05-03")
        with Exchange("bybit", sandbox.world("replay")) as exchange:
            with pytest.raises(ExchangeError, match=r"MATICUSDT is now POLUSDT: the coin was renamed"):
                exchange.check_symbols(("MATICUSDT",))
            with pytest.raises(ExchangeError, match=r"PEPEUSDT is quoted there as 1000PEPEUSDT"):
                exchange.check_symbols(("PEPEUSDT",))


def test_an_unknown_venue_is_a_mistake_in_the_parameters():
    with pytest.raises(ConfigError, match=r"market\.venue.*binance, bybit, okx.*'mtgox'"):
        Exchange("mtgox")


def test_an_unknown_world_is_refused_with_the_known_ones(sandbox: Sandbox):
    for venue in VENUES:
        exchange = Exchange(venue, sandbox.world("atlantis"))
        with exchange, pytest.raises(ExchangeError, match="random_walk"):
            exchange.now()


def test_a_venue_that_is_down_says_what_to_start():
    sock = server.listen("127.0.0.1", 0)  # bound but not listening: connections are refused
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/planted"
    time = Time()
    down = pytest.raises(ExchangeError, match=r"3 times.*make up")
    with Exchange("okx", url, waits_s=(0.5, 1.0), limiter=time.limiter()) as exchange, down:
        exchange.now()
    assert time.slept == [0.5, 1.0]
    sock.close()
