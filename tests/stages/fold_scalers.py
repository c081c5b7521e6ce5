"""Scalers and reports as the stages `experts`, `policy` and `refit` leave them, without their models."""

import json
from pathlib import Path

import pandas as pd

from xrl import columns as c
from xrl.config import Config
from xrl.env.market import STATE_COLUMNS
from xrl.features import scaling
from xrl.labels import folds
from xrl.labels.folds import Fold, Refit
from xrl.paths import Paths
from xrl.stages.expert_rows import ExpertRows, read_rows, signature, split_tail


def write_scalers(config: Config, paths: Paths) -> None:
    """Write those of every fold and of the refit below a root whose stages features and labels have run."""
    laid, refit = folds.load(paths.folds)
    for expert in c.VOTERS:
        rows = read_rows(paths, expert)
        for fold in laid:
            learned, held = split_tail(rows, rows.training(fold), config.experts.calibration_share)
            report = {"learned": signature(rows.labels, learned), "held": signature(rows.labels, held)}
            _write(paths.expert(fold.index, expert), rows, fold, report)
        report = {"learned": signature(rows.labels, rows.training(refit))}
        _write(paths.refit_expert(expert), rows, refit, report)
    paths.stage("policy").mkdir()
    for fold in laid[1:]:
        paths.fold_policy_scaler(fold.index).write_text(_policy_scaler(paths, fold))
    paths.refit_policy_scaler.write_text(_policy_scaler(paths, refit))


def _write(folder: Path, rows: ExpertRows, span: Fold | Refit, report: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "report.json"
    known = json.loads(told.read_text()) if told.is_file() else {}
    (folder / "scaler.json").write_text(rows.scaled(span)[1].to_json())
    told.write_text(json.dumps({**known, "temperature": 1.3, **report}))


def _policy_scaler(paths: Paths, span: Fold | Refit) -> str:
    state = pd.read_parquet(paths.features, columns=[c.TIMESTAMP, *STATE_COLUMNS])
    past = state.loc[state[c.TIMESTAMP] < span.train_end, list(STATE_COLUMNS)].to_numpy()
    return scaling.fit(past, STATE_COLUMNS).to_json()
