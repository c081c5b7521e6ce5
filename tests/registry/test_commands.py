"""Truths of `xrl register`, `gate`, `promote` and `rollback` as a scheduler calls them."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.registry.evidence import interval
from tests.registry.workspace import finished
from xrl.__main__ import app
from xrl.errors import RegistryError
from xrl.labels import openings
from xrl.labels.openings import Opening
from xrl.paths import Paths
from xrl.registry.store import Store


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> Path:
    """A folder with params.yaml and a registry of its own."""
    shutil.copy(Path(__file__).parents[2] / "params.yaml", tmp_path)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XRL_MLFLOW_URL", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def xrl(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def said(*arguments: str) -> str:
    result = xrl(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def workspace(here: Path, name: str, seed: int = 0, **figures: object) -> str:
    _, paths = finished(here / name, seed, **figures)
    shutil.copy(here / "params.yaml", paths.params)
    return str(paths.root)


def test_a_scheduler_can_run_the_whole_way_twice(here: Path) -> None:
    assert "no challenger waits for the gate in an empty registry" in said("gate", "--pending")
    assert said("promote", "--pending") == ""
    root = workspace(here, "run")
    assert "xrl-planted version 1 registered as challenger" in said("register", "--root", root)
    table = said("gate", "--pending")
    assert "xrl-planted version 1: promote" in table
    assert "sharpe_over_random_timing" in table
    assert "not judged here: unregistered trials" in table
    assert said("promote", "--pending") == "xrl-planted version 1 is champion\n"
    assert "is already champion (identical bundle" in said("register", "--root", root)
    assert said("gate", "--pending") == "no challenger waits for the gate in xrl-planted\n"
    assert said("promote", "--pending") == "xrl-planted version 1 is already champion\n"


def test_a_refusal_is_a_green_run_that_shows_figure_bound_and_reason(here: Path) -> None:
    root = workspace(here, "weak", prediction__f1_macro=interval(0.33, 0.32, 0.34))
    said("register", "--root", root)
    table = said("gate")
    assert "xrl-planted version 1: refuse" in table
    assert "F1 macro is below its floor" in table
    assert "0.33" in table
    assert ">= 0.34" in table
    assert said("promote") == "xrl-planted version 1 was refused; there is no champion\n"


def test_an_unknown_model_is_an_error(here: Path) -> None:
    assert isinstance(xrl("rollback", "--model", "xrl-nothing").exception, RegistryError)
    assert "no challenger waits for the gate in xrl-nothing" in said("gate", "--model", "xrl-nothing")


def test_a_champion_that_cannot_be_read_stops_its_own_model_alone(here: Path) -> None:
    said("register", "--root", workspace(here, "one"))
    said("gate")
    said("promote")
    store = Store(f"sqlite:///{here / 'mlflow.db'}")
    champion = store.aliased("xrl-planted", "champion")
    assert champion is not None
    uri = store.client.get_run(champion.run_id).info.artifact_uri.removeprefix("file://")
    (Path(uri) / "bundle" / "track.parquet").write_bytes(b"damaged")
    said("register", "--root", workspace(here, "two", seed=1))
    zoo = Path(workspace(here, "other", seed=2)) / "params.yaml"
    zoo.write_text(zoo.read_text().replace("name: planted ", "name: zoo "))
    assert "xrl-zoo version 1" in said("register", "--root", str(zoo.parent))
    result = xrl("gate", "--pending")
    assert "xrl-zoo version 1: promote" in result.stdout
    assert isinstance(result.exception, RegistryError)
    assert "xrl-planted version 2 is not judged: the champion, xrl-planted version 1" in str(result.exception)
    assert "gate" not in store.version("xrl-planted", "2").tags


def test_the_gate_tells_of_a_used_holdout_and_promotes_all_the_same(here: Path, shared: Paths) -> None:
    """The tiny bundle holds out three days in December 2023."""
    days = "2023-12-12T00:00:00+00:00", "2023-12-15T00:00:00+00:00"
    opened = Opening("2024-01-01", "planted", *days, 72, "cd" * 32, "adaptive", "ef" * 32, None, "curious")
    openings.append(shared.holdout_log("planted"), opened)
    said("register", "--root", workspace(here, "run"))
    told = " ".join(said("gate").split())
    assert "xrl-planted version 1: promote" in told
    assert "!!! USED HOLDOUT: days of it were opened before" in told and "curious" in told
    store = Store(f"sqlite:///{here / 'mlflow.db'}")
    version = store.version("xrl-planted", "1")
    assert "USED HOLDOUT" in version.tags["gate_notes"]
    [note] = store.read_json(version, "gate/decision.json")["notes"]
    assert note.startswith("!!! USED HOLDOUT")


def test_the_ledger_is_shown_lost_and_adopted(here: Path, shared: Paths) -> None:
    assert said("ledger", "log") == "no ledger\n"
    said("register", "--root", workspace(here, "run"))
    assert "1 registrations of 1 recipes, newest hash" in said("ledger", "log")
    shared.ledger("xrl-planted").unlink()
    assert "xrl-planted version 1: refuse" in said("gate")
    assert said("ledger", "adopt", "--reason", "the disk is gone").startswith("1 lines added to ")
    assert "written afterwards: the disk is gone" in said("ledger", "log", "--model", "xrl-planted")
    said("register", "--root", str(here / "run"))
    assert "xrl-planted version 1: promote" in said("gate")
