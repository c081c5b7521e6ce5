"""Every fold but the first gets a policy, trained on what came before it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.env.market import STATE_COLUMNS
from xrl.errors import DataError
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.paths import Paths
from xrl.policy.exported import ExportedPolicy
from xrl.stages import policy
from xrl.stages.policy_inputs import naive, read_policy_inputs


def test_each_fold_but_the_first_has_a_policy_a_scaler_and_a_report(trained: Any) -> None:
    folder = trained.paths.stage("policy")
    assert {path.name for path in folder.iterdir()} == {
        "fold_1.onnx",
        "fold_2.onnx",
        "scaler_1.json",
        "scaler_2.json",
        "report.json",
    }
    assert ExportedPolicy(folder / "fold_1.onnx").width == 6 + 25
    report = json.loads(trained.paths.policy_report.read_text())
    assert set(report["folds"]) == {"1", "2"}
    assert report["folds"]["1"]["parity"] < 1e-4
    assert report["folds"]["1"]["teacher_trades"]


def test_scalers_know_only_bars_before_their_fold(trained: Any) -> None:
    laid, _ = folds.load(trained.paths.folds)
    inputs = read_policy_inputs(trained.paths, trained.config.labels, trained.config.backtest)
    early = inputs.features[inputs.features[c.TIMESTAMP] < laid[1].train_end]
    stored = Scaler.from_json(trained.paths.fold_policy_scaler(1).read_text())
    column = early[STATE_COLUMNS[0]].dropna().to_numpy(np.float64)
    assert stored.columns == STATE_COLUMNS
    assert stored.center[0] == pytest.approx(float(np.median(column)))


def test_training_ends_an_embargo_before_the_fold(trained: Any) -> None:
    laid, _ = folds.load(trained.paths.folds)
    report = json.loads(trained.paths.policy_report.read_text())
    for fold in laid[1:]:
        hours = (fold.train_end - laid[0].test_start) / pd.Timedelta(hours=1)
        assert report["folds"][str(fold.index)]["bars"] == 2 * hours  # two symbols
        assert fold.test_start - fold.train_end >= pd.Timedelta(hours=trained.config.labels.horizon_bars)


def test_a_policy_does_not_depend_on_its_embargo_its_own_fold_or_later(trained: Any, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    shutil.copytree(trained.paths.stages, paths.stages, ignore=shutil.ignore_patterns("backtest", "policy"))
    laid, _ = folds.load(paths.folds)
    bars, blocks = pd.read_parquet(paths.bars), np.load(paths.oof_blocks)
    later = bars[c.TIMESTAMP] >= laid[1].train_end
    bars.loc[later, list(c.OHLCV)] *= 1.5
    bars.to_parquet(paths.bars, index=False)
    predictions = pd.read_parquet(paths.oof_predictions)
    blocks[(predictions[c.TIMESTAMP] >= laid[1].train_end).to_numpy()] = 0.9
    np.save(paths.oof_blocks, blocks)
    policy.run(trained.config, paths)
    for name in ("fold_1.onnx", "scaler_1.json"):
        same = (paths.stage("policy") / name).read_bytes()
        assert same == (trained.paths.stage("policy") / name).read_bytes()
    assert paths.fold_policy(2).read_bytes() != trained.paths.fold_policy(2).read_bytes()


def test_a_missing_stage_is_named(trained: Any, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    shutil.copytree(trained.paths.stages, paths.stages, ignore=shutil.ignore_patterns("oof", "policy"))
    with pytest.raises(DataError, match="run `xrl oof`"):
        policy.run(trained.config, paths)


def test_times_lose_their_zone_but_not_their_meaning() -> None:
    assert naive(pd.Timestamp("2026-01-01 02:00", tz="Europe/Berlin")) == np.datetime64("2026-01-01T01:00")
