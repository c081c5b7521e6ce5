"""The service as it runs: `bentoml serve` beside an MLflow server, asked over HTTP, promoted to meanwhile."""

import http.client
import itertools
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bundles import bundle_files, renamed
from benchmarks.errors import BenchmarkError
from benchmarks.servers import HOST, answers, free_port, server
from benchmarks.timing import median_seconds, seconds
from xrl.config import model_name
from xrl.registry.bundle import Bundle, write_bundle
from xrl.registry.store import BUNDLE_FOLDER, Store
from xrl.registry.version import CHAMPION, Version
from xrl.serve.candles import read_candles
from xrl.serve.predictor import load
from xrl.tracking import Run, log_run

_MARKET = "planted"
_LOADED_S = 60.0
_PAUSE_S = 0.01


def measure(requests: int = 1000, promotions: int = 5) -> dict[str, float]:
    """Figures of group `serve`. The service answers one symbol a request: a request of 20 does not exist."""
    with tempfile.TemporaryDirectory(prefix="xrl-bench-") as name:
        folder = Path(name)
        files = bundle_files()
        bundles = [write_bundle(folder / "first", files), write_bundle(folder / "second", renamed(files))]
        registry = f"http://{HOST}:{free_port()}"
        with server(
            _mlflow(folder, registry), folder / "mlflow.log", lambda: answers(f"{registry}/health"), {}
        ):
            store = Store(registry)
            versions = [_register(store, bundle) for bundle in bundles]
            store.set_alias(versions[0], CHAMPION)
            echo_ms = _echo_ms(folder, requests)
            served = _served(folder, store, versions, bundles, requests, promotions)
            return {"yardstick.http_echo_ms": echo_ms, **served}


def _served(
    folder: Path,
    store: Store,
    versions: list[Version],
    bundles: list[Bundle],
    requests: int,
    promotions: int,
) -> dict[str, float]:
    port = free_port()
    pair = bundles[0].json("golden.json")["pairs"][0]
    question = {"symbol": pair["symbol"], "candles": pair["candles"]}
    variables = {
        "XRL_MLFLOW_URL": store.url,
        "XRL_SERVE_MARKET": _MARKET,
        "BENTOML_HOME": str(folder / "bentoml"),
    }
    with server(
        _bentoml("xrl.serve.service:Service", port),
        folder / "service.log",
        lambda: answers(f"http://{HOST}:{port}/livez"),
        variables,
    ):
        client = _Client(port)
        _wait_for(client, versions[0].digest)
        http_s = client.timed("/predict", question, requests)
        predictor = load(bundles[0].path)
        window = read_candles(pair["symbol"], pair["candles"], predictor.needs)
        inside = median_seconds(lambda: predictor.predict(window), max(requests // 5, 2))
        reloads = []
        for number in itertools.islice(itertools.cycle((1, 0)), promotions):
            begin = time.perf_counter()
            store.set_alias(versions[number], CHAMPION)
            _wait_for(client, versions[number].digest)
            reloads.append(time.perf_counter() - begin)
    middle = statistics.median(http_s)
    return {
        "serve.predict_p50_ms": 1e3 * middle,
        "serve.predict_p99_ms": 1e3 * statistics.quantiles(http_s, n=100)[98],
        "serve.overhead_ratio": middle / inside,
        "serve.reload_s": statistics.median(reloads),
    }


def _echo_ms(folder: Path, requests: int) -> float:
    port = free_port()
    with server(
        _bentoml("benchmarks.echo:Echo", port),
        folder / "echo.log",
        lambda: answers(f"http://{HOST}:{port}/livez"),
        {"BENTOML_HOME": str(folder / "bentoml")},
    ):
        client = _Client(port)
        return 1e3 * statistics.median(client.timed("/echo", {"number": 1.0}, requests))


class _Client:
    """One connection that stays open; bodies are made before the clock runs."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=30)

    def ask(self, path: str, question: Mapping[str, Any]) -> Any:
        return json.loads(self._send(path, json.dumps(question).encode()))

    def timed(self, path: str, question: Mapping[str, Any], times: int) -> list[float]:
        """Seconds of each of `times` requests, after a tenth as many that do not count."""
        body = json.dumps(question).encode()
        spent = [seconds(partial(self._send, path, body)) for _ in range(times // 10 + times)]
        return spent[times // 10 :]

    def _send(self, path: str, body: bytes) -> bytes:
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise BenchmarkError(f"{path} answered {answer.status}: {content[:300].decode(errors='replace')}")
        return content


def _wait_for(client: _Client, digest: str) -> None:
    """Until `status` names the bundle `digest`."""
    deadline = time.monotonic() + _LOADED_S
    while (status := client.ask("/status", {}))["digest"] != digest:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"the service does not serve {digest[:12]}; it says {status['failure']}")
        time.sleep(_PAUSE_S)


def _register(store: Store, bundle: Bundle) -> Version:
    name = model_name(_MARKET)
    tags = {"digest": bundle.digest}
    run = Run(name, bundle.digest[:8], {}, {}, tags, {BUNDLE_FOLDER: bundle.path})
    return store.create(name, log_run(store.client, store.url, run), tags)


def _mlflow(folder: Path, url: str) -> list[str]:
    """The server of the Procfile on a database of its own."""
    port = url.rpartition(":")[2]
    return [
        *(_command("mlflow"), "server", "--host", HOST, "--port", port, "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
        *("--allowed-hosts", f"{HOST}:{port}"),
    ]


def _bentoml(service: str, port: int) -> list[str]:
    return [_command("bentoml"), "serve", service, "--host", HOST, "--port", str(port)]


def _command(name: str) -> str:
    return shutil.which(name, path=str(Path(sys.executable).parent)) or name
