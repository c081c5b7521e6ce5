"""Truths about requests that fail: real HTTP, real ccxt, time that only sleeping moves."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import pandas as pd
import pytest
import requests

from tests.market.conftest import Sandbox, utc
from tests.market.hostile import CLOCKS, SERVER_TIME_MS, Hostile, Reply, cut, hostile, hung_up, said, silent
from tests.market.test_limiter import Time
from xrl.errors import ExchangeError
from xrl.market.exchange import Exchange

NOW = utc("2024-06-01 10:00")
GOOD = CLOCKS["/fapi/v1/time"]
HTML = b"<html><head><title>Just a moment...</title></head><body>verify that you are human</body></html>"
KEY, SECRET = "key-that-nobody-may-see", "secret-that-nobody-may-see"


@pytest.fixture
def host() -> Iterator[Hostile]:
    with hostile() as running:
        yield running


@pytest.fixture
def time() -> Time:
    return Time()


def client(host: Hostile, time: Time, venue: str = "binance", **options: float) -> Exchange:
    return Exchange(venue, host.url, limiter=time.limiter(), clock=lambda: SERVER_TIME_MS / 1000, **options)


def live(host: Hostile, time: Time, venue: str) -> Exchange:
    """The live client with an account, its host replaced after it was made."""
    exchange = Exchange(venue, limiter=time.limiter(), key=KEY, secret=SECRET, limited=False)
    with exchange._line() as line:
        line.client.urls["api"] = {name: _moved(url, host) for name, url in line.client.urls["api"].items()}
    return exchange


def _moved(url: str, host: Hostile) -> str:
    return host.url + "/" + url.split("/", 3)[3] if url.count("/") > 2 else host.url


@pytest.mark.parametrize(
    "reply",
    [
        said(500, b"{}"),
        said(502, HTML, "text/html"),
        said(503, b'{"code":-1001,"msg":"Internal error"}'),
        said(504),
        said(408, b"{}"),
        cut(GOOD, 9),
        cut(GOOD, 0),
        hung_up,
        said(200, GOOD[:-4]),
        said(200, b""),
        said(200, GOOD * 2),
        said(200, HTML, "text/html"),
        said(200, b"{}"),
        said(200, b"null"),
        said(200, b"[]"),
        said(200, b'{"serverTime":"yesterday"}'),
    ],
)
def test_an_outage_or_a_broken_answer_is_asked_for_again(host: Hostile, time: Time, reply: Reply):
    host.replies = [reply, reply]
    with client(host, time) as exchange:
        assert exchange.now() == NOW
    assert len(host.heard) == 3 and time.slept == [0.5, 1.0]


@pytest.mark.parametrize("venue", ["bybit", "okx"])
@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"data":[]}', b'{"time":null}', GOOD[:-4], HTML])
def test_a_broken_answer_is_no_refusal_in_any_dialect(host: Hostile, time: Time, venue: str, body: bytes):
    host.replies = [said(200, body)]
    with client(host, time, venue) as exchange:
        assert exchange.now() == NOW
    assert time.slept == [0.5]


@pytest.mark.parametrize(
    ("venue", "body"),
    [
        ("bybit", b'{"retCode":10016,"retMsg":"Server error.","result":{}}'),
        ("okx", b'{"code":"50001","msg":"Service temporarily unavailable","data":[]}'),
        ("binance", b'{"code":-1001,"msg":"Internal error; unable to process your request."}'),
    ],
)
def test_a_venue_that_says_not_now_is_asked_again(host: Hostile, time: Time, venue: str, body: bytes):
    host.replies = [said(200, body)]
    with client(host, time, venue) as exchange:
        assert exchange.now() == NOW
    assert time.slept == [0.5]


def test_a_stalled_connection_is_given_up_and_asked_again(host: Hostile, time: Time):
    host.replies = [silent(5.0)]
    with client(host, time, timeout_s=0.2) as exchange:
        assert exchange.now() == NOW
    assert len(host.heard) == 2


def test_retries_end_and_say_what_came(host: Hostile, time: Time):
    host.replies = [said(200, HTML, "text/html")] * 5
    with client(host, time) as exchange, pytest.raises(ExchangeError, match=r"5 times.*human.*make up"):
        exchange.now()
    assert time.slept == [0.5, 1.0, 2.0, 4.0] and len(host.heard) == 5


@pytest.mark.parametrize(
    ("venue", "reply"),
    [
        ("binance", said(400, b'{"code":-1121,"msg":"Invalid symbol."}')),
        ("bybit", said(200, b'{"retCode":10001,"retMsg":"params error: symbol invalid","result":{}}')),
        ("okx", said(200, b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}')),
        ("binance", said(404, b'{"code":-5000,"msg":"Path is not served."}')),
    ],
)
def test_a_refusal_is_final(host: Hostile, time: Time, venue: str, reply: Reply):
    host.replies = [reply]
    with client(host, time, venue) as exchange, pytest.raises(ExchangeError, match=r"refused.*(-|1)\d+"):
        exchange.now()
    assert len(host.heard) == 1 and time.slept == []


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
@pytest.mark.parametrize("status", [429, 418])
def test_retry_after_is_obeyed(host: Hostile, time: Time, venue: str, status: int):
    host.replies = [said(status, b'{"code":-1003,"msg":"Too many requests"}', Retry_After="7")]
    with client(host, time, venue) as exchange:
        assert exchange.now() == NOW
    assert 7.0 <= sum(time.slept) <= 7.5 and len(host.heard) == 2


def test_retry_after_may_be_a_date(host: Hostile, time: Time):
    host.replies = [said(429, b"{}", Retry_After=formatdate(SERVER_TIME_MS / 1000 + 30, usegmt=True))]
    with client(host, time) as exchange:
        exchange.now()
    assert sum(time.slept) == pytest.approx(30.0)


def test_a_rate_limit_without_a_time_waits_longer_than_an_outage(host: Hostile, time: Time):
    host.replies = [said(429, b"{}")]
    with client(host, time) as exchange:
        exchange.now()
    assert sum(time.slept) == pytest.approx(5.0)


def test_a_pause_holds_up_the_other_threads(host: Hostile):
    """One thread meets the limit; the other, which has met none, sends nothing until the pause is over."""
    slept = threading.Event()
    time = Time()
    limiter = time.limiter()
    with Exchange("binance", host.url, limiter=limiter, clock=lambda: SERVER_TIME_MS / 1000) as exchange:
        host.replies = [said(429, b"{}", Retry_After="20")]
        first = threading.Thread(target=lambda: (exchange.now(), slept.set()))
        first.start()
        assert slept.wait(20)
        first.join(20)
        assert sum(time.slept) == pytest.approx(20.0)
        limiter.pause(10.0)  # as another thread's answer orders it
        exchange.now()
    assert sum(time.slept) == pytest.approx(30.0)


def test_a_long_ban_is_an_error_that_says_when_it_ends(host: Hostile, time: Time):
    body = b'{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1717239600000."}'
    host.replies = [said(418, body, Retry_After="3600")]
    with client(host, time) as exchange:
        with pytest.raises(ExchangeError, match=r"until 2024-06-01 11:00:00 UTC.*banned"):
            exchange.now()
        with pytest.raises(ExchangeError, match=r"until 2024-06-01 11:00:00 UTC"):
            exchange.now()  # not sent: a request during a ban makes it longer
    assert len(host.heard) == 1 and time.slept == []


def test_the_end_of_a_ban_is_read_from_the_message(host: Hostile, time: Time):
    host.replies = [said(418, b'{"code":-1003,"msg":"IP banned until 1717236060000."}')]
    with client(host, time) as exchange:
        assert exchange.now() == NOW
    assert sum(time.slept) == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("venue", "others", "reply"),
    [
        (
            "binance",
            "bybit or okx",
            said(451, b'{"code":0,"msg":"Service unavailable from a restricted location"}'),
        ),
        (
            "bybit",
            "binance or okx",
            said(403, b"The Amazon CloudFront distribution blocks your country", "text/html"),
        ),
    ],
)
def test_a_regional_block_names_the_reason_and_the_other_venues(
    host: Hostile, time: Time, venue: str, others: str, reply: Reply
):
    host.replies = [reply]
    said_so = pytest.raises(ExchangeError, match=rf"live.*regional block.*`market.venue` \({others}\)")
    with live(host, time, venue) as exchange, said_so:
        exchange.now()
    assert len(host.heard) == 1


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
def test_no_key_is_ever_shown_or_sent(
    host: Hostile, time: Time, venue: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    host.replies = [said(503, b"{}"), said(400, b'{"code":"-1","retCode":1,"msg":"no"}')]
    with live(host, time, venue) as exchange:
        with exchange._line() as line:
            assert (line.client.apiKey, line.client.secret) == (KEY, SECRET)  # or the test shows nothing
        with pytest.raises(ExchangeError) as refused:
            exchange.now()
        shown = [repr(exchange), str(exchange), str(vars(exchange)), str(refused.value), caplog.text]
    assert len(host.heard) == 2 and "asking again" in caplog.text
    assert not any(KEY in text or SECRET in text for text in (*shown, str(host.heard)))


def test_a_sandbox_is_told_no_key(host: Hostile, time: Time):
    exchange = Exchange("binance", host.url, key=KEY, secret=SECRET, limiter=time.limiter())
    with exchange, exchange._line() as line:
        assert not line.client.apiKey and not line.client.secret


def test_a_closed_client_lets_waiting_threads_go(host: Hostile):
    met: list[str] = []
    host.replies = [said(429, b"{}", Retry_After="60")]
    exchange = Exchange("binance", host.url)

    def ask() -> None:
        try:
            exchange.now()
        except ExchangeError as error:
            met.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while not host.heard:
        thread.join(0.01)
    exchange.close()
    thread.join(30)
    assert not thread.is_alive() and "closed" in met[0]


# The sandbox's own faults, in all three dialects


@contextmanager
def spoilt(sandbox: Sandbox, **fault: Any) -> Iterator[None]:
    script = {"seed": 5, "faults": [fault]}
    with requests.put(f"{sandbox.url}/_faults", json=script, timeout=10) as loaded:
        assert loaded.status_code == 200, loaded.text
    try:
        yield
        with requests.get(f"{sandbox.url}/_faults", timeout=10) as report:
            assert report.json()["fired"], "the fault never fired: the test shows nothing"
    finally:
        requests.delete(f"{sandbox.url}/_faults", timeout=10).close()


def history(sandbox: Sandbox, time: Time, venue: str, kind: str) -> pd.DataFrame:
    with Exchange(venue, sandbox.world("planted"), limiter=time.limiter(), timeout_s=0.5) as exchange:
        return pd.concat(list(exchange.pages(kind, "ETHUSDT", utc("2024-02-01"), utc("2024-06-01"))))


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
@pytest.mark.parametrize("kind", ["1h", "funding"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "rate_limit"},
        {"kind": "ban", "args": {"seconds": 60}},
        {"kind": "server_error"},
        {"kind": "cut"},
        {"kind": "stall", "args": {"seconds": 30}},
        {"kind": "truncated_json"},
        {"kind": "malformed_json"},
        {"kind": "wrong_shape"},
        {"kind": "text_values"},
        {"kind": "empty_page"},
        {"kind": "short_page"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_spoilt_answer_changes_nothing_in_what_arrives(
    sandbox: Sandbox, time: Time, venue: str, kind: str, fault: dict[str, Any]
):
    whole = history(sandbox, time, venue, kind)
    on = "klines" if kind == "1h" else kind
    with spoilt(sandbox, **fault, on=on, after=0, times=1):
        pulled = history(sandbox, time, venue, kind)
    pd.testing.assert_frame_equal(pulled, whole)


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
@pytest.mark.parametrize("on", ["time", "instruments"])
@pytest.mark.parametrize("kind", ["server_error", "malformed_json", "wrong_shape", "truncated_json"])
def test_a_spoilt_clock_or_list_is_asked_for_again(
    sandbox: Sandbox, time: Time, venue: str, on: str, kind: str
):
    with (
        spoilt(sandbox, kind=kind, on=on, times=1),
        Exchange(venue, sandbox.world("planted"), limiter=time.limiter()) as exchange,
    ):
        assert exchange.now() == utc("2024-06-01 10:20")
        assert "ETHUSDT" in exchange.listings()


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
def test_a_symbol_under_maintenance_is_refused_at_once(sandbox: Sandbox, time: Time, venue: str):
    fault = {"kind": "maintenance", "on": "klines", "symbol": "ETHUSDT", "times": None}
    with spoilt(sandbox, **fault), pytest.raises(ExchangeError, match=r"refused"):
        history(sandbox, time, venue, "1h")
    assert time.slept == []
