"""Truths about the server around the dialects: clock, worlds, faults, ports."""

import json
import socket
from typing import Any

import pytest
import requests

from tests.market.conftest import Sandbox, utc
from tests.sandbox.conftest import ask, ms
from xrl.errors import ConfigError
from xrl.sandbox import server
from xrl.sandbox.clock import Clock
from xrl.sandbox.venue import Venue, open_venue

TIMES = {
    "/fapi/v1/time": lambda body: body["serverTime"],
    "/v5/market/time": lambda body: int(body["time"]),
    "/api/v5/public/time": lambda body: int(body["data"][0]["ts"]),
}


def put(sandbox: Sandbox, path: str, body: str) -> tuple[int, Any]:
    with requests.put(f"{sandbox.url}{path}", data=body, timeout=10) as answer:
        return answer.status_code, answer.json()


def told(sandbox: Sandbox) -> set[int]:
    return {read(ask(sandbox, path)[1]) for path, read in TIMES.items()}


def test_the_clock_stops_where_it_is_told_to_and_goes_on(sandbox: Sandbox):
    assert told(sandbox) == {ms("2024-06-01 10:20")}
    assert put(sandbox, "/_clock", '{"now": "2023-02-03T04:05:06Z"}') == (
        200, {"now": "2023-02-03T04:05:06+00:00"},
    )  # fmt: skip
    assert told(sandbox) == {ms("2023-02-03 04:05:06")}
    assert requests.get(f"{sandbox.url}/_clock", timeout=10).json() == {"now": "2023-02-03T04:05:06+00:00"}
    _, rows = ask(sandbox, "/fapi/v1/klines", symbol="BTCUSDT", interval="1h", limit=1)
    assert rows[0][0] == ms("2023-02-03 04:00")
    put(sandbox, "/_clock", '{"now": null}')
    sandbox.now = utc("2024-06-01 10:21")
    assert told(sandbox) == {ms("2024-06-01 10:21")}


@pytest.mark.parametrize(
    "body", ["", "{}", '{"now": 5}', '{"now": "soon"}', '{"now": "1802-01-01"}', "[]", '{"now": ""}']
)
def test_a_time_that_is_none_is_refused_and_changes_nothing(sandbox: Sandbox, body: str):
    status, answer = put(sandbox, "/_clock", body)
    assert status == 422 and "now" in answer["msg"]
    assert told(sandbox) == {ms("2024-06-01 10:20")}


def test_a_clock_understands_zones():
    clock = Clock(lambda: utc("2024-01-01"))
    clock.set("2024-06-01T12:00:00+02:00")
    assert clock() == utc("2024-06-01 10:00")
    clock.set("2024-06-01 10:00")
    assert clock() == utc("2024-06-01 10:00")
    clock.set(None)
    assert clock() == utc("2024-01-01")


def test_faults_spoil_answers_from_the_start_or_on_demand(sandbox: Sandbox):
    script = {"seed": 1, "faults": [{"kind": "server_error", "on": "time", "args": {"status": 503}}]}
    assert put(sandbox, "/_faults", json.dumps(script))[0] == 200
    urls = [f"{sandbox.url}/planted/fapi/v1/time"] * 2
    assert [requests.get(url, timeout=10).status_code for url in urls] == [503, 200]
    assert requests.delete(f"{sandbox.url}/_faults", timeout=10).json()["script"]["faults"] == []


def test_an_unknown_path_or_world_is_404_with_a_message(sandbox: Sandbox):
    status, error = ask(sandbox, "/fapi/v1/order")
    assert status == 404 and "/planted/fapi/v1/order" in error["msg"]
    status, error = ask(sandbox, "/fapi/v1/time", world="mars")
    assert status == 404 and "planted" in error["msg"]


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
    assert Venue(7, tmp_path).worlds == ("planted", "random_walk", "replay")
