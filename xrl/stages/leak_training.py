"""What the trained models stand on, against what they may stand on: rows, scalers, labels that reach.

Enters: bars with labels, the spans of folds and refit, and what the stages experts, policy and refit left on
disk. Leaves: differences and counts, 0 where nothing leaks. Which bars may train is derived here anew, from
the spans and from when each bar's horizon is over. Taken on trust are the spans, the formula of a scaler, and
that a model learned from the rows that its report names.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.env.market import STATE_COLUMNS
from xrl.errors import DataError
from xrl.evaluation import leaks
from xrl.features import scaling
from xrl.features.scaling import Scaler
from xrl.labels.folds import Fold, Refit
from xrl.labels.holdout import Span
from xrl.paths import Paths
from xrl.stages.expert_rows import ExpertRows, signature
from xrl.stages.policy_inputs import naive

Mask = NDArray[np.bool_]
Times = NDArray[np.datetime64]


class Trained(NamedTuple):
    """One expert as a stage left it."""

    folder: Path  # with scaler.json and report.json
    span: Fold | Refit
    held_share: float  # of its training bars, kept for calibration; 0 for the refit
    command: str  # that makes it


def trained(
    paths: Paths, expert: str, laid: tuple[Fold, ...], refit: Refit, held_share: float
) -> list[Trained]:
    """Every fold's model of an expert, and the refit's, which is the one served."""
    found = [
        Trained(
            paths.expert(fold.index, expert),
            fold,
            held_share,
            f"experts --fold {fold.index} --expert {expert}",
        )
        for fold in laid
    ]
    return [*found, Trained(paths.refit_expert(expert), refit, 0.0, "refit")]


def expert_scaler(model: Trained, rows: ExpertRows) -> float:
    """How far its scaler stands from one fitted on the bars that may train it."""
    path = model.folder / "scaler.json"
    return _apart(path, model.command, scaling.fit(rows.matrix[may_train(rows, model.span)], rows.names))


def policy_scalers(paths: Paths, laid: tuple[Fold, ...], refit: Refit) -> float:
    """The same of every policy's scaler, which may stand on bars that open before its training ends."""
    state = pd.read_parquet(paths.features, columns=[columns.TIMESTAMP, *STATE_COLUMNS])
    opens, values = _naive(state[columns.TIMESTAMP]), state[list(STATE_COLUMNS)].to_numpy(np.float64)

    def apart(path: Path, command: str, span: Fold | Refit) -> float:
        return _apart(path, command, scaling.fit(values[opens < naive(span.train_end)], STATE_COLUMNS))

    found = [apart(paths.fold_policy_scaler(fold.index), "policy", fold) for fold in laid[1:]]
    return max(*found, apart(paths.refit_policy_scaler, "refit", refit))


def other_rows(model: Trained, rows: ExpertRows) -> int:
    """1 where its report names other bars than those that may train it, or none; else 0."""
    report = _report(model)
    may = may_train(rows, model.span)
    if not model.held_share:
        return int(report.get("learned") != signature(rows.labels, may))
    opens, over = _naive(rows.labels[columns.TIMESTAMP]), _naive(rows.labels[columns.HORIZON_END])
    ordered = np.sort(opens[may])
    boundary = ordered[min(int(len(ordered) * (1.0 - model.held_share)), len(ordered) - 1)]
    learned, held = may & (over <= boundary), may & (opens >= boundary)
    named = report.get("learned"), report.get("held")
    return int(named != (signature(rows.labels, learned), signature(rows.labels, held)))


def may_train(rows: ExpertRows, span: Fold | Refit) -> Mask:
    """Bars within the span whose horizon is over by its end, with a score and all features. (rows,)"""
    opens, over = _naive(rows.labels[columns.TIMESTAMP]), _naive(rows.labels[columns.HORIZON_END])
    known = np.isfinite(rows.labels[columns.SCORE].to_numpy(np.float64))
    within = (opens >= naive(span.train_start)) & (over <= naive(span.train_end))
    return np.asarray(within & known & np.isfinite(rows.matrix).all(axis=1))


def reaching(rows: ExpertRows, span: Fold | Refit, held: Span | None, embargo: pd.Timedelta) -> int:
    """Labels of the bars that training does take which come within the embargo of what they must not see.

    That is a fold's test span, the holdout of the refit, and for both what lies behind the end of training. A
    label reaches as far as its horizon, met early or not, as it does for purge and seal.
    """
    opens, ends = _naive(rows.labels[columns.TIMESTAMP]), _naive(rows.labels[columns.HORIZON_END])
    taken = rows.training(span)
    late = int((taken & ~(ends <= naive(span.train_end))).sum())
    unseen = (span.test_start, span.test_end) if isinstance(span, Fold) else held and (held.start, held.end)
    if unseen is None:
        return late
    test = naive(unseen[0]), naive(unseen[1])
    return late + leaks.reaching_labels(opens, ends, taken, test, embargo.to_timedelta64())


def unsealed(labels: pd.DataFrame, held: Span | None) -> int:
    """Outcomes among the labels whose horizon is not over when the holdout begins."""
    if held is None:
        return 0
    return int((labels[columns.SCORE].notna() & ~(labels[columns.HORIZON_END] <= held.start)).sum())


def _apart(path: Path, command: str, own: Scaler) -> float:
    """How far the scaler at `path` stands from `own`; infinite where it is one of other columns."""
    if not path.is_file():
        raise DataError(f"no {path.name} at {path}; run `xrl {command}`")
    scaler = Scaler.from_json(path.read_text())
    if scaler.columns != own.columns:
        return float("inf")
    pairs = scaler.center, scaler.scale, own.center, own.scale
    return leaks.scaler_difference(*(np.array(values, dtype=np.float64) for values in pairs))


def _report(model: Trained) -> dict[str, Any]:
    path = model.folder / "report.json"
    if not path.is_file():
        raise DataError(f"no {path.name} at {path}; run `xrl {model.command}`")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _naive(time: pd.Series) -> Times:
    return np.asarray(time.dt.tz_localize(None).to_numpy("datetime64[ms]"))
