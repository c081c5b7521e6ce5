"""The whole way on both controls: the planted signal is promoted and served, the random walk is refused.

Nothing stands in for anything: the sandbox exchange, ccxt, Great Expectations, DVC, Keras, stable-baselines3,
ONNX and MLflow run as they do for a user, in a checkout of their own. Airflow's part is `make demo`.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import requests
import yaml

from xrl import columns as c
from xrl.config import load_config
from xrl.paths import Paths
from xrl.registry.promotion import DECISION
from xrl.registry.store import Store
from xrl.registry.version import CHALLENGER, CHAMPION, Version
from xrl.serve.candles import read_candles
from xrl.serve.predictor import AccountState, load

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


class World(NamedTuple):
    """A finished run: its checkout, its figures, and the registry it was judged in."""

    paths: Paths
    metrics: dict[str, Any]
    registry: Store
    version: Version
    decision: dict[str, Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flow")


@pytest.fixture(scope="module")
def environment(home: Path) -> Iterator[dict[str, str]]:
    """The sandbox exchange on a free port, and a registry and a market store of our own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    values = {
        **os.environ,
        "XRL_SANDBOX_PORT": str(port),
        "XRL_MLFLOW_URL": f"sqlite:///{home}/mlflow.db",
        "XRL_DATA_DIR": str(home / "data"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    with subprocess.Popen(["xrl", "sandbox"], cwd=ROOT, env=values) as sandbox:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/planted/fapi/v1/ping")
        yield values
        sandbox.terminate()


def _wait_until_it_answers(url: str) -> None:
    for _ in range(300):
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    pytest.fail(f"nothing answers at {url}")


def _checkout(path: Path, data: Path, sections: dict[str, dict[str, Any]]) -> None:
    """A copy of this checkout's tracked and new files, with its own parameters and git history."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in listed.split("\n"):
        if name and (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, path / name)
    params = yaml.safe_load((path / "params.yaml").read_text())
    for section, values in sections.items():
        params[section].update(values)
    (path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (path / "data").mkdir()
    (path / "data" / "market").symlink_to(data / "market")
    for command in (["init", "--quiet"], ["add", "-A"], ["commit", "--quiet", "-m", "flow"]):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *command], cwd=path, check=True
        )


def _run(path: Path, environment: dict[str, str], *commands: str) -> str:
    printed = ""
    for command in commands:
        done = subprocess.run(
            command.split(),
            cwd=path,
            env={**environment, "PYTHONPATH": str(path)},
            capture_output=True,
            text=True,
        )
        printed += done.stdout
        assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return printed


def _finished(
    home: Path, environment: dict[str, str], name: str, sections: dict[str, dict[str, Any]]
) -> World:
    path = home / name
    path.mkdir()
    _checkout(path, home / "data", sections)
    _run(path, environment, "xrl pull", "dvc repro --quiet", "xrl register", "xrl gate", "xrl promote")
    paths = Paths(path)
    registry = Store(environment["XRL_MLFLOW_URL"])
    model = load_config(paths.params).market.model_name
    version = registry.aliased(model, CHAMPION) or registry.aliased(model, CHALLENGER)
    assert version is not None
    decision = registry.read_json(version, DECISION)
    return World(paths, json.loads(paths.metrics.read_text()), registry, version, decision)


@pytest.fixture(scope="module")
def planted(home: Path, environment: dict[str, str]) -> World:
    """The demo's own run, to the letter of params.yaml; docs/results.md tells of another seed."""
    return _finished(home, environment, "planted", {})


@pytest.fixture(scope="module")
def random_walk(home: Path, environment: dict[str, str]) -> World:
    return _finished(
        home,
        environment,
        "random_walk",
        {
            "market": {"name": "random_walk", "world": "random_walk"},
            "snapshot": {"days": 360},
        },
    )


#: What a figure is worth without any foresight.
CHANCE = {"f1_macro": 1 / 3, "direction_accuracy": 0.5, "sharpe": 0.0}


def _share_of_ceiling(metrics: dict[str, Any], name: str) -> float:
    """How much of what lies between chance and the optimal rule was reached."""
    reached = metrics["trading" if name == "sharpe" else "prediction"][name]["value"]
    return float((reached - CHANCE[name]) / (metrics["ceiling"][name] - CHANCE[name]))


def _refused(world: World) -> set[str]:
    return {check["name"] for check in world.decision["checks"] if not check["passed"]}


def test_the_planted_world_is_promoted_with_every_check_passed(planted: World) -> None:
    assert planted.decision["promote"], _refused(planted)
    champion = planted.registry.aliased("xrl-planted", CHAMPION)
    assert champion is not None
    assert champion.number == planted.version.number


def test_the_planted_signal_is_found_but_not_beyond_what_can_be_known(planted: World) -> None:
    shares = {name: _share_of_ceiling(planted.metrics, name) for name in CHANCE}
    print("share of the ceiling above chance:", shares)
    assert all(0.25 < share <= 1.1 for share in shares.values()), shares


def test_the_random_walk_is_refused_for_want_of_an_edge(random_walk: World) -> None:
    assert not random_walk.decision["promote"]
    assert {"direction", "f1_minus_volatility_only", "sharpe_low"} <= _refused(random_walk)
    assert random_walk.registry.aliased("xrl-random-walk", CHAMPION) is None


def test_the_random_walk_shows_figures_of_chance(random_walk: World) -> None:
    direction = random_walk.metrics["prediction"]["direction_accuracy"]
    assert direction["low"] < 0.5
    assert abs(direction["value"] - 0.5) < 0.03
    assert random_walk.metrics["prediction"]["f1_minus_volatility_only"]["low"] < 0
    assert random_walk.metrics["trading"]["sharpe"]["low"] <= 0


def test_what_is_served_answers_from_the_newest_candles(planted: World, home: Path) -> None:
    bundle = planted.registry.fetch(planted.version, home / "served")
    predictor = load(bundle.path, bundle.digest)
    bars = pd.read_parquet(planted.paths.bars)
    newest = bars[bars[c.SYMBOL] == "ETHUSDT"].tail(predictor.needs.bars)
    times = newest[c.TIMESTAMP].dt.tz_localize(None).astype("datetime64[ms]").astype("int64")
    candles = {
        c.TIMESTAMP: times.tolist(),
        **{name: [None if value != value else value for value in newest[name]] for name in c.BAR[1:]},
    }
    prediction, action = predictor.act(read_candles("ETHUSDT", candles, predictor.needs), AccountState())
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert prediction.direction in c.CLASSES
    assert action.action in c.ACTIONS
    assert not predictor.is_stale(prediction.timestamp)


def test_a_second_run_does_nothing_and_registers_nothing(planted: World, environment: dict[str, str]) -> None:
    again = _run(planted.paths.root, environment, "dvc repro", "xrl register", "xrl gate", "xrl promote")
    assert "Running stage" not in again
    assert "already champion" in again
    assert planted.registry.aliased("xrl-planted", CHALLENGER) is None
