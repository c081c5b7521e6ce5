"""`xrl search`: bounded, pruned, resumed, and every trial counted."""

import socket
from pathlib import Path
from typing import NamedTuple

import optuna
import pytest
import yaml
from optuna.trial import TrialState
from typer.testing import CliRunner

from tests.study.planted import write_files, write_params
from xrl.__main__ import app
from xrl.config import load_config
from xrl.errors import ConfigError
from xrl.presets import PRESETS
from xrl.registry.store import Store
from xrl.study import search
from xrl.study.space import suggested
from xrl.study.variants import recipe

ASKED = ("search", "--data", "files", "--test-days", "30", "--out", "out")
MODEL = "xrl-files"


class Home(NamedTuple):
    path: Path
    url: str
    storage: str

    def study(self) -> optuna.Study:
        return optuna.load_study(study_name=f"{MODEL}-default-2-log_loss", storage=self.storage)


def run(*more: str) -> str:
    result = CliRunner().invoke(app, [*ASKED, *more], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    path = tmp_path_factory.mktemp("search")
    write_files(path / "files")
    write_params(path)
    params = yaml.safe_load((path / "params.yaml").read_text())
    params["labels"]["folds"] = [0, 1, 2]
    (path / "params.yaml").write_text(yaml.safe_dump(params))
    return Home(path, f"sqlite:///{path / 'mlflow.db'}", f"sqlite:///{path / 'out' / 'search.db'}")


@pytest.fixture(autouse=True)
def _there(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.path)
    monkeypatch.setenv("XRL_MLFLOW_URL", home.url)
    monkeypatch.delenv("XRL_SEARCH_URL", raising=False)


def test_whatever_is_suggested_is_a_recipe() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [recipe(PRESETS["lean"], suggested(study.ask())) for _ in range(30)]
    assert len({str(own) for own in found}) == 30
    assert {own.network.blocks for own in found} == {"m", "mm", "s", "sm"}
    assert all(2 <= own.schedule.epochs <= 6 for own in found)
    assert all(own.schedule.average_epochs <= own.schedule.epochs for own in found)


def test_an_override_sets_what_differs_and_nothing_else() -> None:
    lean = PRESETS["lean"]
    override = {"network": {"units": 64, "memory_size": 64}, "augment": {"noise": 0.02}}
    assert search.as_override(lean, recipe(lean, override)) == override
    assert search.as_override(lean, lean) == {}


@pytest.mark.slow
def test_trials_are_resumed_pruned_and_counted(home: Home) -> None:
    printed = run("--trials", "1")
    assert "1 trials finished and 0 were pruned; the best is trial 0" in printed
    assert "experts.override: {" in printed
    study = home.study()
    assert set(study.trials[0].intermediate_values) == {0, 1}  # the first two folds, not the last
    assert len(Store(home.url).runs(MODEL)) == 1

    killed = study.ask()
    suggested(killed)
    killed.set_user_attr("process", f"{socket.gethostname()}:{2**30}")
    for _ in range(search._UNPRUNED):  # others stood so well after the first fold that the next is pruned
        study.add_trial(
            optuna.trial.create_trial(
                value=-1.0,
                intermediate_values={0: -1.0, 1: -1.0},
                user_attrs={"recipe": PRESETS["lean"].model_dump(mode="json")},
            )
        )
    printed = run("--trials", str(2 + search._UNPRUNED))
    states = [trial.state for trial in home.study().trials]
    assert states[killed.number] == TrialState.FAIL
    assert states[-1] == TrialState.PRUNED
    assert home.study().trials[-1].params == killed.params  # what was killed is tried first
    assert set(home.study().trials[-1].intermediate_values) == {0}
    runs = Store(home.url).runs(MODEL)
    assert len({one.recipe for one in runs}) == 2  # pruned ones count as tried
    assert f"{1 + search._UNPRUNED} trials finished and 1 were pruned" in printed
    assert len(run("--trials", "2")) > 0  # there are more already: nothing is trained
    assert len(Store(home.url).runs(MODEL)) == 2


def test_mistakes_are_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="log_loss, f1_macro"):
        run("--objective", "luck")
    monkeypatch.setenv("XRL_SEARCH_URL", "nonsense")
    with pytest.raises(ConfigError, match="nonsense"):
        run("--trials", "1")
    assert load_config(home.path / "params.yaml").labels.folds == (0, 1, 2)
