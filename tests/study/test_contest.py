"""`xrl contest` from files of candles to the table, killed and resumed, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from tests.study.planted import SYMBOLS, TEST_DAYS, write_files, write_params
from xrl import columns as c
from xrl.__main__ import app
from xrl.commands.study_data import chosen_recipe
from xrl.config import load_config
from xrl.errors import ConfigError, DataError, XrlError
from xrl.study import cells, roster

MODELS = "logistic,lightgbm,xlstm"
EXPERTS = load_config(Path(__file__).parents[2] / "params.yaml").experts
LONGER = EXPERTS.model_copy(update={"window_bars": 90})


class Home(NamedTuple):
    """A folder with params.yaml, files of candles and the contest's folder `out`."""

    path: Path
    printed: str
    found: dict[str, Any]


def contest(*more: str) -> str:
    asked = [
        "contest",
        "--data",
        "files",
        "--test-days",
        str(TEST_DAYS),
        "--out",
        "out",
        "--seeds",
        "2",
        *more,
    ]
    result = CliRunner().invoke(app, asked)
    if isinstance(result.exception, XrlError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    path = tmp_path_factory.mktemp("contest")
    write_files(path / "files")
    write_params(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        printed = contest("--models", MODELS, "--label", "default")
        yield Home(path, printed, json.loads((path / "out" / "contest.json").read_text()))


def test_every_model_is_in_the_table_with_its_share_without_direction(home: Home) -> None:
    models = home.found["labels"]["default"]["models"]
    assert set(models) == {"logistic", "lightgbm", "xlstm", "xlstm_and_lightgbm", "xlstm_stacked"}
    for name, own in models.items():
        assert own["f1_volatility_only"] <= own["f1_macro"]["value"] + 0.05
        assert name == "lightgbm" or set(own["paired"]) >= {"f1_macro", "ic", "log_loss"}
    page = (home.path / "out" / "contest.md").read_text()
    assert page.strip() in home.printed
    assert "without direction" in page
    assert "fold 1" in page
    assert "Recipes tried in this folder: 3." in page
    assert {path.name for path in (home.path / "out").glob("*.png")} == {
        f"default_{name}.png" for name in ("scores", "paired", "reliability", "equity")
    }


def test_seeds_are_averaged_and_shown_alone(home: Home) -> None:
    own = home.found["labels"]["default"]["models"]["xlstm"]
    assert own["seeds"]["count"] == 2
    assert own["seeds"]["log_loss"]["low"] <= own["seeds"]["log_loss"]["high"]
    assert "seeds" not in home.found["labels"]["default"]["models"]["logistic"]


def test_a_killed_run_computes_what_is_missing_and_nothing_else(home: Home) -> None:
    kept = sorted((home.path / "out").glob("cells/*/*/*.npz"))
    assert len(kept) == 2 + 4 + 4  # of 2 folds: logistic; LightGBM and the network with 2 seeds
    before = {path: path.stat().st_mtime_ns for path in kept}
    lost = kept[-1]
    was = np.load(lost)["probabilities"]
    lost.unlink()
    contest("--models", MODELS, "--label", "default")
    after = {path: path.stat().st_mtime_ns for path in kept}
    assert {path for path in kept if after[path] != before[path]} == {lost}
    assert (np.load(lost)["probabilities"] == was).all()  # the same seed gives the same bits


def test_a_cell_that_another_process_is_at_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "cell.npz"
    with cells._mine(path, patient=False) as first, cells._mine(path, patient=False) as second:
        assert (first, second) == (True, False)
    with cells._mine(path, patient=False) as third:
        assert third


def test_a_model_without_all_of_its_cells_is_not_judged(home: Home) -> None:
    (lost,) = (home.path / "out").glob("cells/default/logistic-*/all-0-0.npz")
    kept = lost.read_bytes()
    lost.unlink()
    contest("--models", MODELS, "--label", "default", "--only-table")
    found = json.loads((home.path / "out" / "contest.json").read_text())
    assert "logistic" not in found["labels"]["default"]["models"]
    lost.write_bytes(kept)


def test_another_study_in_the_folder_is_refused(home: Home) -> None:
    with pytest.raises(ConfigError, match="another `--out`"):
        contest("--models", "logistic", "--label", "default", "--context")


def test_tables_of_other_code_are_built_again(home: Home) -> None:
    """They may lack a column that today's code reads; what was computed from them stays."""
    data = home.path / "out" / "data" / "default"
    record, computed = data / "built.json", len(list((home.path / "out").glob("cells/*/*/*.npz")))
    record.write_text(json.dumps(json.loads(record.read_text()) | {"code": "of another day"}))
    labels = next(data.glob("**/labels.parquet"))
    pd.read_parquet(labels).drop(columns=c.HORIZON_END).to_parquet(labels, index=False)
    contest("--models", "logistic", "--label", "default")
    assert c.HORIZON_END in pd.read_parquet(labels)
    assert len(list((home.path / "out").glob("cells/*/*/*.npz"))) == computed


def test_mistakes_are_named(home: Home) -> None:
    with pytest.raises(ConfigError, match="oracle"):
        contest("--models", "oracle")
    with pytest.raises(ConfigError, match="sideways"):
        contest("--label", "sideways")
    with pytest.raises(ConfigError, match="transformer=2"):
        contest("--few", "lstm")
    with pytest.raises(DataError, match="xrl labels"):
        CliRunner().invoke(app, ["contest"], catch_exceptions=False)
    with pytest.raises(ConfigError, match="--data"):
        CliRunner().invoke(app, ["contest", "--label", "barrier"], catch_exceptions=False)


def test_fewer_seeds_or_folds_are_marked(home: Home) -> None:
    contest("--models", "xlstm,lightgbm", "--label", "default", "--few", "xlstm=1", "--only-table")
    found = json.loads((home.path / "out" / "contest.json").read_text())["labels"]["default"]
    assert found["marked"][0] == "xlstm"
    assert {"xlstm_and_lightgbm", "xlstm_stacked"} <= set(found["marked"])
    assert "lightgbm" not in found["marked"]
    assert "xlstm †" in (home.path / "out" / "contest.md").read_text()


def test_a_recipe_is_its_own_trial_and_a_name_is_not() -> None:
    everybody = {one.name: one for one in roster.entrants(roster.PRESETS["lean"], 5)}
    digests = {name: one.digest(EXPERTS) for name, one in everybody.items()}
    assert digests["xlstm"] == digests["xlstm_experts"]  # one recipe, on other columns
    assert len(set(digests.values())) == len(digests) - 1
    assert everybody["xlstm"].digest(LONGER) != digests["xlstm"]
    whole = EXPERTS.model_copy(update={"learn_tail": True})
    assert everybody["xlstm"].digest(whole) != digests["xlstm"]
    assert everybody["lightgbm"].digest(whole) == digests["lightgbm"]  # it keeps nothing back
    assert everybody["lightgbm"].digest(LONGER) == digests["lightgbm"]  # it reads no window
    assert everybody["xlstm_source"].folds_of(4) == range(3, 4)
    assert set(c.EXPERTS) == set(everybody["xlstm_experts"].parts)


def test_params_say_which_recipe_the_networks_follow(home: Home) -> None:
    params = yaml.safe_load((home.path / "params.yaml").read_text())
    assert params["experts"]["override"]["network"]["units"] == 4
    assert params["market"]["symbols"] == list(SYMBOLS)
    folders = {path.name for path in (home.path / "out" / "cells" / "default").iterdir()}
    lean = next(one for one in roster.entrants(roster.PRESETS["lean"], 2) if one.name == "xlstm")
    short = EXPERTS.model_copy(update={"window_bars": 30})
    assert f"xlstm-{lean.digest(short)}" not in folders


def test_a_preset_is_named_in_place_of_the_recipe(home: Home) -> None:
    config = chosen_recipe(load_config(home.path / "params.yaml"), "source", True)
    assert config.experts.training == roster.PRESETS["source"]
    assert config.experts.held_share == 0.0
    with pytest.raises(ConfigError, match="`--preset` must be one of"):
        contest("--preset", "best")
