"""The whole way from bars to a bundle with labels that are not the default's: real experts, tiny sizes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.stages import predicted
from tests.stages.conftest import Walked
from xrl import columns as c
from xrl.config import Config, load_config
from xrl.labels import folds
from xrl.labels.classes import classes
from xrl.paths import Paths
from xrl.registry.bundle import open_bundle
from xrl.serve.predictor import load
from xrl.stages import backtest, bundle, experts, forecast, oof, policy, refit
from xrl.stages.expert_rows import read_rows

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DAYS = 80
#: Kind, and what else differs from the shipped recipe. The first goes the whole way with real experts.
WHOLE: dict[str, Any] = {
    "kind": "triple_barrier", "scheme": "rolling", "train_days": 40, "cadence_days": 12, "holdout_days": 8,
}  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {
    "adaptive": {"kind": "adaptive", "threshold_multiplier": 0.5, "first_train_share": 0.6},
    "adaptive_filtered": {
        "kind": "adaptive_filtered", "threshold_multiplier": 0.5, "first_train_share": 0.6,
    },
}  # fmt: skip


def tiny(labels: dict[str, Any]) -> Config:
    config = predicted.smaller(load_config(ROOT / "params.yaml"), ("BTCUSDT",), laid=2)
    changes: dict[str, dict[str, Any]] = {
        "labels": labels,
        "experts": {"window_bars": 30, "override": {"schedule": {"epochs": 1}}},
        "oof": {"projection_width": 4},
        "policy": {"seeds": (0,), "timesteps": 0, "clone_steps": 60, "clone_epochs": 1},
        "bundle": {"golden_pairs": 2},
    }
    return config.model_copy(
        update={name: getattr(config, name).model_copy(update=own) for name, own in changes.items()}
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    walked = Walked(tiny(WHOLE), Paths(tmp_path_factory.mktemp("whole")))
    predicted.build(*walked, days=DAYS)
    for fold in walked.config.labels.folds:
        for expert in walked.config.oof.committee:
            experts.run(*walked, fold=fold, expert=expert)
    for stage in (oof, policy, backtest, refit, forecast, bundle):
        stage.run(*walked)
    return walked


@pytest.fixture(scope="module", params=OTHERS)
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """Traded and judged, with predictions that stand in for the experts'."""
    walked = Walked(tiny(OTHERS[request.param]), Paths(tmp_path_factory.mktemp(request.param)))
    predicted.build(*walked, days=DAYS)
    for stage in (policy, backtest):
        stage.run(*walked)
    return walked


def one_class_for_all(paths: Paths) -> None:
    """Experts learn, and the backtest judges by, what `classes` says of the table and the fold."""
    table, (laid, _) = pd.read_parquet(paths.labels), folds.load(paths.folds)
    rows, track = read_rows(paths, "pattern"), pd.read_parquet(paths.track)
    for fold in laid:
        expected = classes(table, fold)
        training = rows.training(fold)
        assert training.any()
        np.testing.assert_array_equal(rows.classes(fold)[training], expected[training])
        own = track[track[c.FOLD] == fold.index].merge(
            table.assign(expected=expected), on=[c.SYMBOL, c.TIMESTAMP], how="left"
        )
        known = (own["expected"] != c.UNKNOWN).to_numpy()
        assert (own[c.LABEL][known] == own["expected"][known]).all()
        assert own[c.LABEL][~known].isna().all()
    assert set(track[c.LABEL].dropna()) == {c.SELL, c.HOLD, c.BUY}


def test_experts_and_backtest_agree_on_every_class_of_a_triple_barrier(whole: Walked) -> None:
    one_class_for_all(whole.paths)


def test_experts_and_backtest_agree_on_every_class(judged: Walked) -> None:
    one_class_for_all(judged.paths)


def test_the_bundle_says_which_days_were_held_out(whole: Walked) -> None:
    found = open_bundle(whole.paths.bundle).json("lineage.json")
    end = predicted.START + pd.Timedelta(days=DAYS)
    start = end - pd.Timedelta(days=whole.config.labels.holdout_days)
    assert (found["holdout"]["start"], found["holdout"]["end"]) == (start.isoformat(), end.isoformat())
    assert len(found["holdout"]["data"]) == 64
    assert found["as_of"] > found["holdout"]["start"] > found["trained_through"]


def test_the_bundle_says_what_its_classes_are_and_answers(whole: Walked) -> None:
    found = open_bundle(whole.paths.bundle).json("labels.json")
    assert found["params"]["kind"] == "triple_barrier"
    _, span = folds.load(whole.paths.folds)
    assert found["cuts"] == [span.cut_low, span.cut_high]
    load(whole.paths.bundle)  # replays the golden pairs through the server's path


def test_the_planted_world_knows_no_ceiling_of_a_triple_barrier(whole: Walked) -> None:
    assert set(ceiling_of(whole)) == {"sharpe"}


def test_the_planted_world_knows_the_ceiling_of_every_return(judged: Walked) -> None:
    found = ceiling_of(judged)
    assert set(found) == {"sharpe", "f1_macro", "direction_accuracy"}
    assert found["direction_accuracy"] > 0.5


def ceiling_of(walked: Walked) -> dict[str, float]:
    found: dict[str, float] = json.loads(walked.paths.metrics.read_text())["ceiling"]
    return found


def test_no_stage_touches_the_holdout(whole: Walked) -> None:
    border = predicted.START + pd.Timedelta(days=DAYS - whole.config.labels.holdout_days)
    for table in (whole.paths.track, whole.paths.oof_predictions, whole.paths.returns):
        assert pd.read_parquet(table)[c.TIMESTAMP].max() < border
    refitted = json.loads(whole.paths.refit_report.read_text())
    embargo = pd.Timedelta(hours=whole.config.labels.embargo_bars)
    assert pd.Timestamp(refitted["through"]) == border - embargo
    last_bar = pd.Timestamp(refitted["policy_last_bar"], tz="UTC")
    assert last_bar + pd.Timedelta(hours=1) == border - embargo
