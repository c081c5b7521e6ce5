"""Stage `refit`: the judged recipe trained on everything through the last matured label; this is served.

Reads stages/{snapshot,features,labels,experts,oof,policy}. Writes stages/refit/EXPERT/ (`refit_experts`),
policy.onnx, scaler_policy.json, report.json, aside first. A model trained on everything has no score of its
own: the report says how far it agrees with the last fold's models on that fold's test bars, each on its own
account.
"""

import json
import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.account.step import terms_of
from xrl.config import Config
from xrl.env.market import MarketTensor
from xrl.evaluation import metrics
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.labels.folds import Fold, Refit
from xrl.paths import Paths
from xrl.policy.export import to_onnx
from xrl.policy.exported import ExportedPolicy
from xrl.policy.teacher import Choice
from xrl.policy.train import fit_policy
from xrl.stages.agreement import Agreement, side_agreement
from xrl.stages.aside import aside, write_json
from xrl.stages.oof import COMMITTEE, KEYS
from xrl.stages.policy_inputs import PolicyInputs, naive, read_policy_inputs
from xrl.stages.refit_experts import Refitted, committee_of, refit_expert

log = logging.getLogger(__name__)


def run(config: Config, paths: Paths) -> None:
    """Refit every expert, then the policy; compare with the last fold's models; write.

    Raises:
        DataError: an earlier stage has not run.
        TrainingError: a training cannot start or diverged.
        ExportError: the exported policy differs from the trained one.
    """
    laid, span = folds.load(paths.folds)
    refitted = {expert: refit_expert(config, paths, expert, laid, span) for expert in config.oof.committee}
    inputs = read_policy_inputs(paths, config.labels)
    scaler = inputs.scaler(span.train_end)
    past = policy_bars(inputs, scaler, laid[0], span)
    fitted = fit_policy(
        past, config.policy, terms_of(config.backtest), config.labels.horizon_bars, judged_choice(paths)
    )
    parity = to_onnx(fitted.policy, paths.refit_policy)
    with aside(paths.refit_policy_scaler) as place:
        place.write_text(scaler.to_json() + "\n")
    agreed = _agreement(config, paths, inputs, refitted, laid[-1], scaler)
    committee = committee_of(refitted, config.oof.shares)
    report = {
        "through": span.train_end.isoformat(),
        "policy_last_bar": str(max(tensor.timestamp[-1] for tensor in past)),
        "temperature": {expert: own.temperature for expert, own in refitted.items()},
        "rank_correlation": _rank_correlation(inputs.predictions, committee),
        **_shares(committee),
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


def judged_choice(paths: Paths) -> Choice:
    """The folds' medians of the teacher's penalty and threshold: what was judged, not a choice of its own.

    Where at least half of the folds' teachers never trade, this one does not either.
    """
    report = json.loads(paths.policy_report.read_text())["folds"]
    chosen = [Choice(**own["teacher"]) for own in report.values()]
    traded = [own.quantile for own in chosen if own.quantile is not None]
    penalty = float(np.median([own.penalty for own in chosen]))
    return Choice(penalty, float(np.median(traded)) if 2 * len(traded) > len(chosen) else None)


def policy_bars(inputs: PolicyInputs, scaler: Scaler, first: Fold, span: Refit) -> list[MarketTensor]:
    """What the refit's policy learns from: every out-of-fold bar up to where the experts' training ends.

    Without a holdout that is the end of the history; before one, the embargo stays unseen.
    """
    seen = naive(first.test_start), naive(span.train_end)
    return [tensor.between(*seen) for tensor in inputs.tensors(scaler)]


def _agreement(
    config: Config,
    paths: Paths,
    inputs: PolicyInputs,
    refitted: dict[str, Refitted],
    last: Fold,
    scaler: Scaler,
) -> Agreement:
    """The refit's policy on the refit's blocks beside the last fold's on its own, over the last test bars."""
    blocks = np.concatenate([_placed(inputs.predictions, own) for own in refitted.values()], axis=1)
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


def _rank_correlation(predictions: pd.DataFrame, committee: pd.DataFrame) -> float:
    """Spearman's correlation of P(BUY) - P(SELL), refit against last fold, on the last fold's test bars."""
    sell, _, buy = columns.probability_columns(COMMITTEE)
    both = committee.merge(predictions[[*KEYS, sell, buy]], on=KEYS)
    ours = (both["buy"] - both["sell"]).to_numpy(np.float64)
    return metrics.information_coefficient(ours, (both[buy] - both[sell]).to_numpy(np.float64))


def _shares(committee: pd.DataFrame) -> dict[str, float]:
    """Share of each class among the refit committee's predictions on the last fold's test bars."""
    called = committee[list(columns.CLASSES)].to_numpy().argmax(axis=1)
    counts = np.bincount(called, minlength=len(columns.CLASSES)) / max(len(called), 1)
    return {f"share_{name}": float(share) for name, share in zip(columns.CLASSES, counts)}
