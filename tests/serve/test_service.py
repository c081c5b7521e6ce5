"""Truths of the running service over HTTP: real MLflow server, `bentoml serve` and promotion."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import requests

from tests.serve import servers, tiny, tiny_forecast
from tests.serve.test_context import ASKED
from xrl import columns
from xrl.registry.bundle import write_bundle
from xrl.registry.store import Store
from xrl.registry.version import CHAMPION, Version
from xrl.tracking import Run, log_run

pytestmark = pytest.mark.slow
NAME = "xrl-planted"


class Stack(NamedTuple):
    url: str
    store: Store
    before: dict[str, requests.Response]  # answers before anything was promoted
    first: Version

    def post(self, path: str, body: object) -> requests.Response:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        return requests.post(f"{self.url}/{path}", data=data, headers=headers, timeout=20)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.post("status", {}).json()
        return found


def promoted(store: Store, folder: Path, files: dict[str, bytes]) -> Version:
    bundle = write_bundle(folder / "bundle", files)
    run = Run(NAME, "test", {}, {}, {}, {"bundle": bundle.path})
    version = store.create(NAME, log_run(store.client, store.url, run), {"digest": bundle.digest})
    store.set_alias(version, CHAMPION)
    return version


def eventually(found: Callable[[], bool], seconds: float) -> float:
    """Seconds until `found`; fails after `seconds`."""
    start = time.monotonic()
    while not found():
        assert time.monotonic() - start < seconds, f"not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - start


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("servers")
    ports = servers.free_port(), servers.free_port()
    tracking, url = (f"http://127.0.0.1:{port}" for port in ports)
    environment = {"XRL_MLFLOW_URL": tracking, "XRL_SERVE_MARKET": "planted"}
    with (
        servers.running(servers.mlflow_command(folder, ports[0]), folder / "mlflow.log"),
        servers.running(servers.service_command(ports[1]), folder / "service.log", **environment),
    ):
        servers.wait_for(f"{tracking}/health")
        servers.wait_for(f"{url}/readyz")
        store = Store(tracking)
        idle = Stack(url, store, {}, Version(NAME, "0", "", {}))
        before = {"status": idle.post("status", {}), "predict": idle.post("predict", tiny.request())}
        first = promoted(store, folder / "first", tiny.files())
        ready = idle._replace(before=before, first=first)
        eventually(lambda: bool(ready.status()["trained"]), 30)  # the first look waits for MLflow's import
        yield ready


def test_before_the_first_promotion_it_is_healthy_and_says_so(stack: Stack) -> None:
    assert stack.before["status"].json()["trained"] is False
    assert stack.before["status"].json()["model"] == NAME
    assert stack.before["predict"].status_code == 503
    assert "train and promote one" in stack.before["predict"].json()["error"]


def test_status_tells_what_is_served_and_what_a_request_needs(stack: Stack) -> None:
    found = requests.get(f"{stack.url}/status", timeout=5).json()
    assert found == stack.status()
    assert found["version"] == stack.first.number
    assert found["digest"] == stack.first.digest
    assert found["required_bars"] == tiny.REQUIRED_BARS
    assert found["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert found["as_of"] == "2023-12-14T00:00:00+00:00"
    assert found["trained_through"] == "2023-12-10T00:00:00+00:00"
    assert (found["context"], found["context_bars"]) == ([], 0)
    assert found["failure"] is None
    assert found["following"] is True


def test_predictions_and_actions_are_the_golden_ones(stack: Stack, tiny_files: dict[str, bytes]) -> None:
    for pair in json.loads(tiny_files["golden.json"])["pairs"]:
        body = {key: pair[key] for key in ("symbol", "candles")}
        predicted = stack.post("predict", body).json()
        acted = stack.post("act", {**body, "account": pair["account"]}).json()
        expected = pair["expected"]
        np.testing.assert_allclose(
            list(predicted["probabilities"].values()), expected["committee"], atol=1e-6
        )
        np.testing.assert_allclose(
            list(acted["action_probabilities"].values()), expected["action"], atol=1e-6
        )
        assert list(predicted["probabilities"]) == list(columns.CLASSES)
        assert acted["action"] == columns.ACTIONS[int(np.argmax(expected["action"]))]
        assert predicted["lineage"]["digest"] == stack.first.digest
        assert predicted["timestamp"] == pair["candles"]["timestamp"][-1]
        assert {key: acted[key] for key in predicted} == predicted


@pytest.mark.parametrize(("days", "stale"), [(0, False), (13, False), (15, True)])
def test_a_bar_long_after_the_last_one_known_is_called_stale_and_held_out_days_count_apart(
    stack: Stack, days: int, stale: bool
) -> None:
    """Fourteen days are allowed; three more before `as_of` are held out."""
    later = tiny.request()
    later["candles"]["timestamp"] = [time + days * 24 * tiny.BAR_MS for time in later["candles"]["timestamp"]]
    assert stack.post("predict", later).json()["is_stale"] is stale


def changed(**candles: object) -> dict[str, Any]:
    body = tiny.request()
    body["candles"].update(candles)
    return body


def garbage() -> dict[str, tuple[str, object, int, str]]:
    """What was sent -> path, body, code, and a part of the message that says what to fix."""
    good = tiny.request()
    found = good["candles"]
    n = tiny.REQUIRED_BARS
    one_bad = {
        name: [*values[:-1], bad]
        for name, values, bad in (
            ("close", found["close"], float("nan")),
            ("low", found["low"], -1.0),
            ("volume", found["volume"], None),
        )
    }
    gapped = {
        name: [*values[:10], *values[11:]] for name, values in tiny.newest(tiny.candles(), n + 1).items()
    }
    return {
        "wrong json": ("predict", '{"symbol": "BTCUSDT", "cand', 400, "not valid JSON"),
        "empty body": ("predict", "", 400, "`symbol` is missing"),
        "empty object": ("predict", "{}", 400, "`candles` is missing"),
        "a list": ("predict", "[]", 400, "object"),
        "a number": ("predict", "3", 400, "object"),
        "unknown field": ("predict", {**good, "x": 1}, 400, "`x` is unknown"),
        "text for numbers": ("predict", changed(close=["abc"] * n), 400, "candles.close"),
        "rows": ("predict", {**good, "candles": [[1, 2], [3, 4]]}, 400, "candles"),
        "short history": (
            "predict",
            {**good, "candles": tiny.newest(found, 5)},
            400,
            f"{n} candles are needed",
        ),
        "nan": ("predict", changed(close=one_bad["close"]), 400, "`close` is no finite number"),
        "null price": ("predict", changed(volume=one_bad["volume"]), 400, "`volume` is no finite number"),
        "negative price": ("predict", changed(low=one_bad["low"]), 400, "`low` is not above zero"),
        "unsorted": ("predict", changed(timestamp=found["timestamp"][::-1]), 400, "unsorted"),
        "gapped": ("predict", {**good, "candles": gapped}, 400, "1 candles are missing"),
        "unknown symbol": ("predict", {**good, "symbol": "DOGEUSDT"}, 400, "trained on BTCUSDT, ETHUSDT"),
        "unequal arrays": ("predict", changed(high=found["high"][1:]), 400, "one value per candle"),
        "huge prices": (
            "predict",
            changed(**{name: [1e308] * n for name in ("open", "high", "low", "close")}, volume=[1e308] * n),
            400,
            "",
        ),
        "no account": ("act", {**good, "account": 3}, 400, "account"),
        "no equity": ("act", {**good, "account": {"equity": -1}}, 400, "account.equity"),
        "nan account": ("act", {**good, "account": {"exposure": float("nan")}}, 400, "account.exposure"),
        "no entry": ("act", {**good, "account": {"exposure": 1.0}}, 400, "entry_price"),
        "too large": ("predict", "x" * 4_000_001, 413, "at most 4000000 bytes"),
    }


@pytest.mark.parametrize("sent", list(garbage()))
def test_garbage_gets_a_4xx_that_says_what_to_fix(stack: Stack, sent: str) -> None:
    path, body, code, message = garbage()[sent]
    answer = stack.post(path, body)
    assert (answer.status_code, set(answer.json())) == (code, {"error"}), answer.text
    assert message in answer.json()["error"]


def test_a_body_that_is_no_json_type_is_refused(stack: Stack) -> None:
    for kind in ("application/vnd.bentoml+pickle", "multipart/form-data; boundary=x", "text/plain"):
        answer = requests.post(f"{stack.url}/predict", data=b"x", headers={"Content-Type": kind}, timeout=5)
        assert answer.status_code == 415
        assert "Content-Type: application/json" in answer.json()["error"]


def test_a_promotion_is_served_within_two_seconds_without_a_failed_request(
    stack: Stack, tmp_path: Path
) -> None:
    body, codes, stop = json.dumps(tiny.request()), [], threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                headers = {"Content-Type": "application/json"}
                codes.append(
                    session.post(f"{stack.url}/predict", data=body, headers=headers, timeout=20).status_code
                )

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        version = promoted(stack.store, tmp_path, tiny.files(seed=1))
        seconds = eventually(lambda: stack.status()["version"] == version.number, 10)
    finally:
        stop.set()
        asking.join()
    assert len(codes) > 10
    assert set(codes) == {200}
    print(f"served {seconds:.2f} s after the promotion, {len(codes)} requests meanwhile")


def test_a_champion_that_computes_something_else_is_not_served_and_the_reason_told(
    stack: Stack, tmp_path: Path, tiny_files: dict[str, bytes]
) -> None:
    served = stack.status()["digest"]
    other = tiny.files(seed=2)
    promoted(stack.store, tmp_path, {**tiny_files, "policy.onnx": other["policy.onnx"]})
    eventually(lambda: stack.status()["failure"] is not None, 10)
    assert "compute something else than in training" in stack.status()["failure"]
    assert stack.status()["digest"] == served
    assert stack.post("predict", tiny.request()).status_code == 200


def test_without_the_alias_the_last_champion_stays(stack: Stack) -> None:
    served = stack.status()["digest"]
    stack.store.drop_alias(stack.store.aliased(NAME, CHAMPION), CHAMPION)
    time.sleep(1.2)
    assert stack.status()["digest"] == served
    assert stack.status()["failure"] is None
    stack.store.set_alias(stack.first, CHAMPION)
    eventually(lambda: stack.status()["digest"] == stack.first.digest, 10)


def test_a_model_that_reads_other_symbols_asks_for_them(stack: Stack, tmp_path: Path) -> None:
    version = promoted(stack.store, tmp_path, tiny.files(asked=ASKED))
    eventually(lambda: stack.status()["version"] == version.number, 10)
    assert stack.status()["context"] == ["BTCUSDT", "ETHUSDT"]
    refused = stack.post("predict", tiny.request())
    assert refused.status_code == 400
    assert "`context` lacks ETHUSDT" in refused.json()["error"]
    history = {symbol: tiny.candles(symbol) for symbol in tiny.SYMBOLS}
    body = tiny.request(context=tiny.context("BTCUSDT", ASKED, history))
    answers = [stack.post("predict", body), stack.post("act", {**body, "account": {}})]
    assert [answer.status_code for answer in answers] == [200, 200]
    body["context"] = {"ETHUSDT": "no candles"}
    assert "context.ETHUSDT" in stack.post("predict", body).json()["error"]


def test_a_model_with_a_forecast_confirms_signals(stack: Stack, tmp_path: Path) -> None:
    asked = {**tiny_forecast.request(), "signal": "buy", "minimum_confidence": 0.0}
    refused = stack.post("confirm", asked)
    assert refused.status_code == 400
    assert "brings no forecast" in refused.json()["error"]
    assert stack.status()["confirm_bars"] is None
    version = promoted(stack.store, tmp_path, {**tiny.files(), **tiny_forecast.files()})
    eventually(lambda: stack.status()["version"] == version.number, 10)
    assert (stack.status()["confirm_bars"], stack.status()["required_bars"]) == (671, tiny.REQUIRED_BARS)
    found = stack.post("confirm", asked).json()
    assert found["verdict"] == ("confirms" if found["direction"] == "up" else "contradicts")
    assert found["matches_signal"] is (found["verdict"] == "confirms")
    assert found["lineage"]["version"] == version.number
    for pair in json.loads(tiny_forecast.files()["forecast.json"])["golden"]["pairs"]:
        sent = {"symbol": pair["symbol"], "candles": pair["candles"], "signal": "sell"}
        answer, expected = stack.post("confirm", sent).json(), pair["expected"]
        assert answer["probability_up"] == pytest.approx(expected["up"], abs=1e-6)
        assert answer["predicted_price"] == pytest.approx(expected["close"] * np.exp(expected["change"]))
    short = stack.post("confirm", {**asked, **tiny.request()})
    assert "671 candles are needed, received 442" in short.json()["error"]
    assert "`confirm_bars`" in short.json()["error"]
    assert "`signal`" in stack.post("confirm", {**asked, "signal": "hold"}).json()["error"]
