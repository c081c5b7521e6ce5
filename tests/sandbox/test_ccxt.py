"""The real ccxt clients against the sandbox: what ccxt's own unified methods make of its answers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ccxt
import pandas as pd
import pytest

from tests.market.conftest import Sandbox, utc
from tests.sandbox.conftest import HOUR_MS, ms
from xrl import columns as c
from xrl.market import tables
from xrl.sandbox import worlds
from xrl.sandbox.venue import Venue, milliseconds

CLIENTS = {
    "binance": (ccxt.binanceusdm, {}),
    "bybit": (ccxt.bybit, {"fetchMarkets": {"types": ["linear"]}}),
    "okx": (ccxt.okx, {"fetchMarkets": {"types": ["swap"]}}),
}
#: ccxt's name of XRP's perpetual, of which a contract at OKX is a hundred coins.
XRP = "XRP/USDT:USDT"


@dataclass
class Client:
    venue: str
    ccxt: Any
    sandbox: Sandbox


def pointed_at(url: str, api: Any) -> Any:
    """ccxt's table of hosts with every host replaced."""
    if isinstance(api, dict):
        return {key: pointed_at(url, value) for key, value in api.items()}
    return re.sub(r"^https://[^/]+", url, api)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Client]:
    kind, options = CLIENTS[request.param]
    exchange = kind({"enableRateLimit": False, "options": options})
    exchange.requests_trust_env = False
    exchange.urls["api"] = pointed_at(sandbox.world("planted"), exchange.urls["api"])
    yield Client(request.param, exchange, sandbox)
    exchange.session.close()


def truth(timeframe: str, start_ms: int, rows: int) -> list[list[float]]:
    """What `fetch_ohlcv` should give: the worlds' bars, volumes in coins."""
    step = milliseconds(timeframe)
    frame = Venue(7).bars("planted", "XRPUSDT", timeframe, start_ms, start_ms + rows * step)
    stamps = range(start_ms, start_ms + rows * step, step)
    return [[stamp, *row] for stamp, row in zip(stamps, frame[list(c.OHLCV)].to_numpy().tolist())]


def test_markets_are_complete(client: Client):
    markets = client.ccxt.load_markets()
    assert {market["base"] + "USDT" for market in markets.values()} == set(worlds.COINS)
    xrp = client.ccxt.market(XRP)
    assert (xrp["swap"], xrp["linear"], xrp["active"], xrp["settle"]) == (True, True, True, "USDT")
    assert xrp["created"] == int(worlds.WORLD_START.timestamp() * 1000)
    assert xrp["contractSize"] == (100 if client.venue == "okx" else 1)
    assert xrp["precision"]["price"] == pytest.approx(1e-6)


def test_the_clock_is_the_exchanges(client: Client):
    assert client.ccxt.fetch_time() == ms("2024-06-01 10:20")


@pytest.mark.parametrize("timeframe", tables.TIMEFRAMES)
def test_candles_are_the_same_bars_in_coins_at_every_venue(client: Client, timeframe: str):
    start = ms("2024-02-01")
    assert client.ccxt.fetch_ohlcv(XRP, timeframe, since=start, limit=90) == truth(timeframe, start, 90)


def test_the_newest_candle_is_the_open_one(client: Client):
    rows = client.ccxt.fetch_ohlcv(XRP, "1h", limit=3)
    assert [row[0] for row in rows] == [ms(f"2024-06-01 {hour}:00") for hour in ("08", "09", "10")]
    assert rows[:2] == truth("1h", ms("2024-06-01 08:00"), 2)
    (whole,) = truth("1h", ms("2024-06-01 10:00"), 1)
    assert rows[2][1] == whole[1] and rows[2][5] < whole[5]


def test_funding_is_what_was_paid(client: Client):
    start = ms("2024-05-31 12:00")
    rates = client.ccxt.fetch_funding_rate_history(XRP, since=start, limit=100)
    hours = worlds.bars("planted", "XRPUSDT", utc("2024-05-31 12:00"), utc("2024-06-01 10:20"), 7)
    settled = hours[hours[c.FUNDING_RATE].notna()]
    assert [one["fundingRate"] for one in rates] == settled[c.FUNDING_RATE].tolist()
    late = [one["timestamp"] - stamp for one, stamp in zip(rates, settled[c.TIMESTAMP].map(_ms))]
    assert all(0 <= value < 1000 for value in late)
    assert any(late) == (client.venue == "binance")


def test_open_interest_is_the_same_at_every_venue(client: Client):
    """ccxt asks OKX for the currency's dollars, Bybit for coins, Binance for both."""
    start = ms("2024-06-01 07:00")
    marks = client.ccxt.fetch_open_interest_history(XRP, "1h", since=start, limit=3)
    bars = worlds.bars("planted", "XRPUSDT", utc("2024-06-01 06:00"), utc("2024-06-01 10:00"), 7)
    amounts = bars[c.OPEN_INTEREST].tolist()
    values = (bars[c.OPEN_INTEREST] * bars[c.CLOSE]).round(4).tolist()
    by_stamp = {start + i * HOUR_MS: pair for i, pair in enumerate(zip(amounts, values))}
    assert len(marks) == 3
    for mark in marks:
        amount, value = by_stamp[mark["timestamp"]]
        assert mark["openInterestAmount"] == (None if client.venue == "okx" else amount)
        assert mark["openInterestValue"] == (None if client.venue == "bybit" else value)


TAKERS = {
    "binance": ("fapiDataGetTakerlongshortRatio", {"symbol": "XRPUSDT", "period": "1h"}),
    "okx": (
        "publicGetRubikStatTakerVolumeContract", {"instId": "XRP-USDT-SWAP", "period": "1H", "unit": "0"}
    ),
}  # fmt: skip


def test_takers_are_the_klines_own(client: Client):
    if client.venue == "bybit":
        assert not any("taker" in name.lower() for name in dir(client.ccxt) if name.startswith("publicGetV5"))
        return
    method, query = TAKERS[client.venue]
    answer = getattr(client.ccxt, method)({**query, "limit": 1})
    bar = worlds.bars("planted", "XRPUSDT", utc("2024-06-01 09:00"), utc("2024-06-01 10:00"), 7).iloc[0]
    bought, sold = bar[c.TAKER_BUY_VOLUME], round(bar[c.VOLUME] - bar[c.TAKER_BUY_VOLUME], 3)
    if client.venue == "okx":
        assert answer["data"] == [[str(ms("2024-06-01 09:00")), *map(_text, (sold, bought))]]
    else:
        assert [answer[0]["buyVol"], answer[0]["sellVol"]] == [_text(bought), _text(sold)]


def test_refusals_are_understood(client: Client):
    client.ccxt.load_markets()
    with pytest.raises(ccxt.BadRequest):
        client.ccxt.fetch_ohlcv(XRP, "7h")
    unknown = {
        "binance": lambda: client.ccxt.fapiPublicGetKlines({"symbol": "FOO", "interval": "1h"}),
        "bybit": lambda: client.ccxt.publicGetV5MarketKline({"symbol": "FOO", "interval": "60"}),
        "okx": lambda: client.ccxt.publicGetMarketHistoryCandles({"instId": "FOO", "bar": "1H"}),
    }
    with pytest.raises(ccxt.BadRequest if client.venue == "bybit" else ccxt.BadSymbol):
        unknown[client.venue]()


def _ms(time: pd.Timestamp) -> int:
    return int(time.timestamp() * 1000)


def _text(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
