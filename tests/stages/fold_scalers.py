"""Scalers as the stages `experts` and `policy` leave them, without their models."""

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.env.market import STATE_COLUMNS
from xrl.features import scaling
from xrl.labels import folds
from xrl.paths import Paths
from xrl.stages.expert_rows import read_rows


def write_scalers(paths: Paths) -> None:
    """Write every fold's scalers below a root whose stages features and labels have run."""
    laid, _ = folds.load(paths.folds)
    for expert in c.VOTERS:
        rows = read_rows(paths, expert)
        for fold in laid:
            path = paths.expert(fold.index, expert) / "scaler.json"
            path.parent.mkdir(parents=True)
            path.write_text(rows.scaled(fold)[1].to_json())
    state = pd.read_parquet(paths.features, columns=[c.TIMESTAMP, *STATE_COLUMNS])
    paths.stage("policy").mkdir()
    for fold in laid[1:]:
        past = state.loc[state[c.TIMESTAMP] < fold.train_end, list(STATE_COLUMNS)].to_numpy(np.float64)
        paths.fold_policy_scaler(fold.index).write_text(scaling.fit(past, STATE_COLUMNS).to_json())
