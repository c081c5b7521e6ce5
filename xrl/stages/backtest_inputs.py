"""What the stage `backtest` judges and replays.

Enters: outputs of the stages features, labels, oof and policy. Leaves: every predicted bar with its outcome
and rival predictions, and the traded bars as each fold's own policy sees them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.backtest import ceiling
from xrl.backtest.rivals import rival_probabilities
from xrl.config import Config
from xrl.env.market import MarketTensor, join
from xrl.features.scaling import Scaler
from xrl.labels.classes import classes, return_bounds
from xrl.labels.folds import Fold
from xrl.paths import Paths
from xrl.policy.exported import ExportedPolicy
from xrl.stages.policy_inputs import PolicyInputs, naive

KEYS = [c.SYMBOL, c.TIMESTAMP]


class Trial(NamedTuple):
    """What is replayed: the traded bars, every fold's policy, and which policy decides at each row."""

    tensors: tuple[MarketTensor, ...]
    policies: dict[int, ExportedPolicy]
    fold: NDArray[np.int64]  # (rows,)

    def decide(self, seen: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Actions of the policies of the rows' folds."""
        actions = np.empty(len(rows), dtype=np.int64)
        for fold in np.unique(self.fold[rows]):
            own = self.fold[rows] == fold
            actions[own] = self.policies[int(fold)].actions(seen[own])
        return actions


def judged_rows(config: Config, paths: Paths, inputs: PolicyInputs, laid: Sequence[Fold]) -> pd.DataFrame:
    """Every predicted bar with its outcome, its class by its fold's cuts, and the rivals' probabilities."""
    labels = pd.read_parquet(paths.labels)
    rows = inputs.predictions.merge(labels, on=KEYS, how="left", validate="one_to_one")
    rows = pd.concat([_classed(rows[rows[c.FOLD] == fold.index], fold, config) for fold in laid]).sort_index()
    features = pd.read_parquet(paths.features)
    for name, found in rival_probabilities(features, labels, laid, rows, config.experts.seeds[0]).items():
        rows[list(c.probability_columns(name))] = found
    return rows


def _classed(rows: pd.DataFrame, fold: Fold, config: Config) -> pd.DataFrame:
    """One fold's rows with their class, NaN where not matured, and the returns between which it is HOLD."""
    found = classes(rows, fold)
    bounds = return_bounds(rows, fold, config.labels.kind) or (np.nan, np.nan)
    known = np.where(found == c.UNKNOWN, np.nan, found)
    return rows.assign(**dict(zip((ceiling.RETURN_LOW, ceiling.RETURN_HIGH), bounds)), **{c.LABEL: known})


def read_trial(paths: Paths, inputs: PolicyInputs, laid: Sequence[Fold]) -> Trial:
    """Each fold's bars as its own policy sees them, joined into one history per symbol."""
    parts: list[list[MarketTensor]] = []
    for fold in laid[1:]:
        scaler = Scaler.from_json(paths.fold_policy_scaler(fold.index).read_text())
        span = naive(fold.test_start), naive(fold.test_end)
        parts.append([tensor.between(*span) for tensor in inputs.tensors(scaler)])
    number = inputs.predictions[c.FOLD].to_numpy(np.int64)
    return Trial(
        tensors=tuple(join(own) for own in zip(*parts, strict=True)),
        policies={fold.index: ExportedPolicy(paths.fold_policy(fold.index)) for fold in laid[1:]},
        fold=number[number > laid[0].index],
    )
