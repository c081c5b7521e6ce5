"""`xrl ablate`: DVC experiments in a repository of their own, a table with intervals, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from tests.study.planted import TEST_DAYS, write_files, write_params
from xrl.__main__ import app
from xrl.config import load_config
from xrl.errors import ConfigError, XrlError
from xrl.paths import Paths
from xrl.presets import PRESETS
from xrl.registry.store import Store
from xrl.study import ablation, question, variants
from xrl.study.experiments import Experiments

ASKED = ("--data", "files", "--test-days", str(TEST_DAYS), "--out", "out", "--page", "docs/ablation.md")


def ablate(*more: str) -> str:
    result = CliRunner().invoke(app, ["ablate", *ASKED, *more])
    if isinstance(result.exception, XrlError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", variants.VARIANTS)
def test_every_variant_is_a_recipe_of_its_own(name: str) -> None:
    base = PRESETS["lean"]
    own = variants.recipe(base, variants.VARIANTS[name])
    assert own != base
    for section, values in variants.VARIANTS[name].items():
        for key, value in values.items():
            assert getattr(getattr(own, section), key) == value


def test_a_key_that_no_preset_has_is_refused() -> None:
    with pytest.raises(ValidationError):
        variants.recipe(PRESETS["lean"], {"loss": {"luck": 1.0}})


def test_together_holds_an_improvement_of_every_section() -> None:
    assert set(variants.VARIANTS["together"]) == set(PRESETS["lean"].model_dump())


def test_the_last_fold_is_never_among_those_measured(tmp_path: Path) -> None:
    write_files(tmp_path / "files")
    write_params(tmp_path)
    config = load_config(tmp_path / "params.yaml")
    config = config.model_copy(
        update={"labels": config.labels.model_copy(update={"cadence_days": TEST_DAYS})}
    )
    files = question.Files(tmp_path / "files", None, None)
    whole = question.asked("default", config, Paths(tmp_path), tmp_path / "out", files)
    assert [fold.index for fold in ablation.earlier(whole, None).laid] == [0]
    for folds in (0, 2):
        with pytest.raises(ConfigError, match="kept for the final figures"):
            ablation.earlier(whole, folds)


def test_an_experiment_is_known_by_its_parameters(tmp_path: Path) -> None:
    experiments = Experiments(tmp_path / "out", {"folds": 2})
    lean = PRESETS["lean"]
    experiments.baseline("baseline", lean)
    assert experiments.measured("baseline", lean) is None
    (tmp_path / "out" / "done").mkdir()
    params = experiments._params("baseline", lean)
    record = {"params": params, "figures": {"f1_macro": 0.4}}
    (tmp_path / "out" / "done" / "baseline.json").write_text(json.dumps(record))
    assert experiments.measured("baseline", lean) == {"f1_macro": 0.4}
    assert experiments.measured("baseline", PRESETS["source"]) is None
    assert Experiments(tmp_path / "out", {"folds": 3}).measured("baseline", lean) is None


def test_mistakes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="--data"):
        CliRunner().invoke(app, ["ablate", "--context"], catch_exceptions=False)
    with pytest.raises(ConfigError, match="luck"):
        ablation.chosen_variants(["luck"])


@pytest.mark.slow
def test_experiments_leave_a_table_runs_and_the_checkout_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "files")
    write_params(tmp_path)
    before = (tmp_path / "params.yaml").read_bytes()
    url = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("XRL_MLFLOW_URL", url)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    asked = ("--only", "noise", "--seeds", "1", "--symbols", "BTCUSDT,ETHUSDT,SOLUSDT")
    printed = ablate(*asked)
    page = (tmp_path / "docs" / "ablation.md").read_text()
    assert page.strip() in printed
    assert "| noise | `augment.noise: 0.01` |" in page
    assert (tmp_path / "params.yaml").read_bytes() == before
    dvc = [sys.executable, "-m", "dvc", "exp", "show", "--json"]
    shown = subprocess.run(dvc, cwd=tmp_path / "out", capture_output=True, text=True, check=True)
    rows = {one["name"]: one for one in _experiments(json.loads(shown.stdout))}
    assert set(rows) == {"baseline", "noise"}
    params = rows["noise"]["data"]["params"]["params.yaml"]["data"]
    assert (params["recipe"]["augment"]["noise"], params["variant"]) == (0.01, "noise")
    assert "f1_macro" in rows["noise"]["data"]["metrics"]["figures.json"]["data"]
    model = load_config(tmp_path / "params.yaml").market.model_copy(update={"name": "files"}).model_name
    runs = Store(url).runs(model)
    assert len({run.recipe for run in runs}) == 2  # the gate counts both as tried
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("done/*.json")}
    ablate(*asked)  # nothing changed: nothing runs again
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("done/*.json")} == done
    assert len(Store(url).runs(model)) == 2
    base = yaml.safe_load((tmp_path / "out" / "params.yaml").read_text())
    assert base["study"]["folds"] == 1


def _experiments(shown: list[dict[str, object]]) -> list[dict[str, dict[str, dict[str, dict[str, object]]]]]:
    """The experiments that `dvc exp show --json` lists below their commits."""
    return [rev for commit in shown for one in commit.get("experiments") or [] for rev in one["revs"]]
