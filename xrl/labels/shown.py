"""What `xrl folds show` shows of a finished stage `labels`. Enters: its files. Leaves: `Drawn`.

Reads stages/labels/{labels.parquet, folds.json}.
"""

import pandas as pd

from xrl.config import LabelParams
from xrl.errors import DataError
from xrl.labels import combinatorial, folds, lanes
from xrl.labels.history import history
from xrl.labels.lanes import Drawn
from xrl.paths import Paths


def walk_forward_lanes(paths: Paths) -> Drawn:
    """The folds that the experts train on, and the refit.

    Raises:
        DataError: the stage `labels` has not run.
    """
    laid, refit = folds.load(paths.folds)
    return lanes.fold_lanes(_labels(paths), laid, refit, folds.load_holdout(paths.folds))


def combinatorial_lanes(paths: Paths, params: LabelParams, n_groups: int, k: int) -> Drawn:
    """The splits of a combinatorial cross-validation of the same labels.

    Raises:
        DataError: the stage `labels` has not run.
        ConfigError: the groups make no sense, or are too short.
    """
    labels, held = _labels(paths), folds.load_holdout(paths.folds)
    plan = combinatorial.cpcv(*history(labels), params, n_groups, k)
    return lanes.split_lanes(labels, combinatorial.fit_cuts(labels, plan.splits, params), held)


def _labels(paths: Paths) -> pd.DataFrame:
    if not paths.labels.is_file():
        raise DataError(f"no {paths.labels.name} at {paths.labels}; run `xrl labels`")
    return pd.read_parquet(paths.labels)
