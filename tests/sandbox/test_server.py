"""Truths about the exchange's REST answers, asked over real HTTP; ccxt's side is in tests/market."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.market.conftest import Sandbox, serving, utc
from xrl import columns as c
from xrl.errors import ConfigError
from xrl.sandbox import server, worlds
from xrl.sandbox.api import Venue, open_venue

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serving(Venue(7)) as running:
        yield running


def ask(sandbox: Sandbox, path: str, **query: Any) -> Any:
    with requests.get(f"{sandbox.url}/planted{path}", params=query, timeout=10) as answer:
        return answer.status_code, answer.json()


def ms(text: str) -> int:
    return int(utc(text).timestamp() * 1000)


def test_a_kline_is_positional_as_at_the_venue(sandbox: Sandbox):
    status, rows = ask(
        sandbox, "/fapi/v1/klines", symbol="BTCUSDT", interval="1h", startTime=ms("2024-01-01"), limit=2
    )
    bar = worlds.bars("planted", "BTCUSDT", utc("2024-01-01"), utc("2024-01-01 01:00"), 7).iloc[0]
    assert status == 200 and len(rows) == 2
    assert rows[0][0] == ms("2024-01-01") and rows[0][6] == ms("2024-01-01 01:00") - 1
    names = [c.OPEN, c.HIGH, c.LOW, c.CLOSE, c.VOLUME]
    assert [float(text) for text in rows[0][1:6]] == bar[names].tolist()
    assert [float(rows[0][i]) for i in (7, 8, 9, 10)] == bar[list(c.OPTIONAL_CANDLE)].tolist()
    assert rows[1][0] - rows[0][0] == HOUR_MS


def test_without_a_start_the_latest_bars_come_with_the_open_one(sandbox: Sandbox):
    _, rows = ask(sandbox, "/fapi/v1/klines", symbol="BTCUSDT", interval="1h", limit=3)
    assert [row[0] for row in rows] == [ms(f"2024-06-01 {hour}:00") for hour in ("08", "09", "10")]
    whole = worlds.bars("planted", "BTCUSDT", utc("2024-06-01 10:00"), utc("2024-06-01 11:00"), 7).iloc[0]
    part = [float(text) for text in rows[2][1:6]]  # 10:20: a third of it has happened
    assert part[0] == whole[c.OPEN] and part[1] <= whole[c.HIGH] and part[2] >= whole[c.LOW]
    assert 0 < part[4] < 0.6 * whole[c.VOLUME]


def test_nothing_lies_in_the_future(sandbox: Sandbox):
    _, rows = ask(sandbox, "/fapi/v1/klines", symbol="BTCUSDT", interval="1h", startTime=ms("2024-06-02"))
    assert rows == []
    _, rates = ask(sandbox, "/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=ms("2024-05-31 12:00"))
    assert [rate["fundingTime"] // 60_000 * 60_000 for rate in rates] == [
        ms("2024-05-31 16:00"), ms("2024-06-01"), ms("2024-06-01 08:00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/fapi/v1/klines", {"interval": "1h"}, -1102),
        ("/fapi/v1/klines", {"symbol": "FOO", "interval": "1h"}, -1121),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "7h"}, -1120),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1h", "limit": 1501}, -1130),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1h", "startTime": "soon"}, -1100),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1h", "startTime": 2, "endTime": 1}, -1023),
        ("/fapi/v1/fundingRate", {"symbol": "BTCUSDT", "limit": 0}, -1130),
        ("/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "1h", "startTime": 5}, -1130),
        ("/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "2w"}, -1130),
    ],
)
def test_a_bad_question_gets_the_venues_error(sandbox: Sandbox, path: str, query: dict[str, Any], code: int):
    status, error = ask(sandbox, path, **query)
    assert (status, error["code"]) == (400, code) and error["msg"]


def test_an_unknown_path_or_world_is_404_with_a_message(sandbox: Sandbox):
    status, error = ask(sandbox, "/fapi/v1/order")
    assert status == 404 and "/planted/fapi/v1/order" in error["msg"]
    with requests.get(f"{sandbox.url}/mars/fapi/v1/time", timeout=10) as answer:
        assert answer.status_code == 404 and "planted" in answer.json()["msg"]


def test_a_taken_port_is_one_clear_error():
    with server.listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:\d+.*XRL_SANDBOX_PORT"):
            server.listen("127.0.0.1", taken.getsockname()[1])
    assert isinstance(taken, socket.socket)


def test_a_replay_folder_without_candles_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no binance_perp_SYMBOL_1h"):
        open_venue(7, tmp_path)
    assert open_venue(7, None).worlds == ("planted", "random_walk")
