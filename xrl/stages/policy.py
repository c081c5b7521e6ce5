"""Stage `policy`: for every fold but the first, a policy trained on the out-of-fold bars before it.

Reads stages/snapshot, features, labels and oof. Writes stages/policy/{fold_K.onnx, scaler_K.json,
report.json}, each aside and renamed. Fold 0 has no out-of-fold past, so no policy and no trading track.
Training ends where the experts' does, an embargo before the fold, so nothing it learns from reaches in.
"""

import logging
from typing import Any

from xrl.account.costs import terms_of
from xrl.config import Config
from xrl.labels import folds
from xrl.labels.folds import Fold
from xrl.paths import Paths
from xrl.policy.export import to_onnx
from xrl.policy.train import fit_policy
from xrl.stages.aside import aside, write_json
from xrl.stages.policy_inputs import PolicyInputs, naive, read_policy_inputs

log = logging.getLogger(__name__)


def run(config: Config, paths: Paths) -> None:
    """Train and export one policy per fold from the second on.

    Raises:
        DataError: an earlier stage has not run.
        TrainingError: too few bars, or a network diverged.
        ExportError: an exported policy differs from the trained one.
    """
    laid, _ = folds.load(paths.folds)
    inputs = read_policy_inputs(paths, config.labels, config.backtest)
    report = {str(fold.index): _train(config, paths, inputs, laid[0], fold) for fold in laid[1:]}
    write_json(paths.policy_report, {"folds": report})


def _train(config: Config, paths: Paths, inputs: PolicyInputs, first: Fold, fold: Fold) -> dict[str, Any]:
    scaler = inputs.scaler(fold.train_end)
    span = naive(first.test_start), naive(fold.train_end)  # the embargo before the test bars stays unseen
    past = [tensor.between(*span) for tensor in inputs.tensors(scaler)]
    log.info("fold %d: training on %d out-of-fold bars of %d symbols", fold.index, len(past[0]), len(past))
    fitted = fit_policy(past, config.policy, terms_of(config.backtest), config.labels.horizon_bars)
    difference = to_onnx(fitted.policy, paths.fold_policy(fold.index))
    with aside(paths.fold_policy_scaler(fold.index)) as place:
        place.write_text(scaler.to_json())
    log.info("fold %d: exported, parity %.1e, %.0f s", fold.index, difference, fitted.report["seconds"])
    return {"bars": sum(len(tensor) for tensor in past), "parity": difference, **fitted.report}
