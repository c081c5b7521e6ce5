"""Stage `refit`: the judged recipe trained on everything through the last matured label; this is served.

Reads stages/{snapshot,features,labels,experts,oof,policy}. Writes stages/refit/EXPERT/{model.keras,
scaler.json, history.csv, align.npz, report.json}, policy.onnx, scaler_policy.json, report.json, aside first.
Epochs and temperature are medians over the folds. A model trained on everything has no score of its own: the
report says how far it agrees with the last fold's models on that fold's test bars, each on its own account.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.account.costs import terms_of
from xrl.config import Config
from xrl.errors import DataError
from xrl.evaluation import metrics
from xrl.experts import backend, train
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.labels.folds import Fold, Refit
from xrl.paths import Paths
from xrl.policy.export import to_onnx
from xrl.policy.exported import ExportedPolicy
from xrl.policy.train import fit_policy
from xrl.stages.agreement import Agreement, side_agreement
from xrl.stages.aside import aside, write_json
from xrl.stages.expert_rows import alignment_rows, read_rows
from xrl.stages.experts import prediction_table, write_expert
from xrl.stages.oof import KEYS, alignment_matrix, embeddings, read_predictions, test_rows
from xrl.stages.policy_inputs import PolicyInputs, naive, read_policy_inputs

log = logging.getLogger(__name__)


class Refitted(NamedTuple):
    """One expert after the refit, on the last fold's test bars."""

    predictions: pd.DataFrame  # symbol, timestamp, sell, hold, buy
    block: NDArray[np.float32]  # (rows of predictions, w)
    temperature: float


def run(config: Config, paths: Paths) -> None:
    """Refit both experts, then the policy; compare with the last fold's models; write.

    Raises:
        DataError: an earlier stage has not run.
        TrainingError: a training cannot start or diverged.
        ExportError: the exported policy differs from the trained one.
    """
    backend.prepare()
    laid, span = folds.load(paths.folds)
    refitted = {expert: _refit_expert(config, paths, expert, laid, span) for expert in columns.EXPERTS}
    inputs = read_policy_inputs(paths, config.labels, config.backtest)
    scaler = inputs.scaler(span.train_end)
    fitted = fit_policy(
        inputs.tensors(scaler), config.policy, terms_of(config.backtest), config.labels.horizon_bars
    )
    parity = to_onnx(fitted.policy, paths.refit_policy)
    with aside(paths.refit_policy_scaler) as place:
        place.write_text(scaler.to_json() + "\n")
    agreed = _agreement(config, paths, inputs, refitted, laid[-1], scaler)
    report = {
        "through": span.train_end.isoformat(),
        "temperature": {expert: refitted[expert].temperature for expert in columns.EXPERTS},
        "rank_correlation": _rank_correlation(inputs.predictions, refitted),
        **_shares(refitted),
        "side_agreement": agreed.kappa,
        "invested_agreement": agreed.invested,
        "side_share": agreed.side_share,
        "action_share": agreed.actions,
        "parity": parity,
    }
    write_json(paths.refit_report, report)
    log.info(
        "refit through %s: %s",
        report["through"],
        {key: report[key] for key in ("rank_correlation", "side_agreement", "side_share")},
    )


def _refit_expert(config: Config, paths: Paths, expert: str, laid: Sequence[Fold], span: Refit) -> Refitted:
    """Train, write and map one expert into the first fold's space; no bar is held back."""
    source = read_rows(paths, expert)
    rows, scaler = source.scaled(span)
    training = source.training(span)
    reports = [_fold_report(paths, fold.index, expert) for fold in laid]
    epochs = int(np.median([report["epochs"] for report in reports]))
    temperature = float(np.median([report["temperature"] for report in reports]))
    params = config.experts.model_copy(update={"epochs": epochs})
    fitted = train.fit_expert(rows, training, np.zeros_like(training), params, config.refit.seed)
    window = params.window_bars
    wanted = {"test": source.testing(laid[-1], window), "align": alignment_rows(source, laid[0], window)}
    table = pd.concat(
        [
            prediction_table(
                source.labels, at, role, train.predict(fitted.model, rows, at, window, temperature)
            )
            for role, at in wanted.items()
        ],
        ignore_index=True,
    )
    folder = paths.refit_expert(expert)
    write_expert(folder, fitted, scaler, None)
    matrix = alignment_matrix(read_predictions(paths, 0, expert), table, config.oof).astype(np.float32)
    with aside(folder / "align.npz") as place:
        np.savez(place, allow_pickle=False, matrix=matrix)
    about = {"expert": expert, "seed": config.refit.seed, "epochs": epochs, "temperature": temperature}
    write_json(
        folder / "report.json",
        {**about, "rows": {"learned": int(training.sum())}, "columns": list(source.names)},
    )
    tested = test_rows(table)
    probabilities = tested[list(columns.CLASSES)].to_numpy(np.float32)
    block = probabilities if config.oof.observation == "probabilities" else embeddings(table, "test") @ matrix
    return Refitted(tested[[*KEYS, *columns.CLASSES]], block.astype(np.float32), temperature)


def _fold_report(paths: Paths, fold: int, expert: str) -> dict[str, Any]:
    path = paths.expert(fold, expert) / "report.json"
    if not path.is_file():
        raise DataError(f"no report at {path}; run `xrl experts --fold {fold} --expert {expert}`")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def _agreement(
    config: Config,
    paths: Paths,
    inputs: PolicyInputs,
    refitted: dict[str, Refitted],
    last: Fold,
    scaler: Scaler,
) -> Agreement:
    """The refit's policy on the refit's blocks beside the last fold's on its own, over the last test bars."""
    blocks = np.concatenate([_placed(inputs.predictions, refitted[e]) for e in columns.EXPERTS], axis=1)
    span = naive(last.test_start), naive(last.test_end)
    judged_scaler = Scaler.from_json(paths.fold_policy_scaler(last.index).read_text())
    return side_agreement(
        ExportedPolicy(paths.fold_policy(last.index)),
        [tensor.between(*span) for tensor in inputs.tensors(judged_scaler)],
        ExportedPolicy(paths.refit_policy),
        [tensor.between(*span) for tensor in inputs.tensors(scaler, blocks)],
        terms_of(config.backtest),
    )


def _placed(predictions: pd.DataFrame, refitted: Refitted) -> NDArray[np.float32]:
    """The refit's block for each row of `predictions`; 0 where the refit was not asked."""
    own = pd.concat([refitted.predictions[KEYS], pd.DataFrame(refitted.block)], axis=1)
    joined = predictions[KEYS].merge(own, on=KEYS, how="left").drop(columns=KEYS)
    return np.asarray(np.nan_to_num(joined.to_numpy(np.float32), nan=0.0))


def _committee(refitted: dict[str, Refitted]) -> pd.DataFrame:
    """symbol, timestamp, sell, hold, buy: the mean of both experts where both predicted."""
    pattern, indicator = (refitted[expert].predictions for expert in columns.EXPERTS)
    both = pattern.merge(indicator, on=KEYS, suffixes=("", "_other"))
    for name in columns.CLASSES:
        both[name] = (both[name] + both[f"{name}_other"]) / 2
    return both[[*KEYS, *columns.CLASSES]]


def _rank_correlation(predictions: pd.DataFrame, refitted: dict[str, Refitted]) -> float:
    """Spearman's correlation of P(BUY) - P(SELL), refit against last fold, on the last fold's test bars."""
    sell, _, buy = columns.probability_columns("committee")
    both = _committee(refitted).merge(predictions[[*KEYS, sell, buy]], on=KEYS)
    ours = (both["buy"] - both["sell"]).to_numpy(np.float64)
    return metrics.information_coefficient(ours, (both[buy] - both[sell]).to_numpy(np.float64))


def _shares(refitted: dict[str, Refitted]) -> dict[str, float]:
    """Share of each class among the refit committee's predictions on the last fold's test bars."""
    called = _committee(refitted)[list(columns.CLASSES)].to_numpy().argmax(axis=1)
    counts = np.bincount(called, minlength=len(columns.CLASSES)) / max(len(called), 1)
    return {f"share_{name}": float(share) for name, share in zip(columns.CLASSES, counts)}
