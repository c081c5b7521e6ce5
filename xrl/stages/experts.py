"""Stage `experts`: one expert trained on one fold, predicting that fold's test bars and the alignment bars.

Reads stages/features and stages/labels. Writes stages/experts/FOLD-EXPERT/{model.keras, scaler.json,
predictions.parquet, report.json, history.csv}, each aside and renamed.
"""

import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.errors import ConfigError
from xrl.evaluation import calibration, metrics
from xrl.experts import backend, storage, train
from xrl.experts.train import Fitted, Predicted
from xrl.experts.windows import Rows, window_ends
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json
from xrl.stages.expert_rows import alignment_rows, read_rows, signature, split_tail

log = logging.getLogger(__name__)


def run(config: Config, paths: Paths, fold: int, expert: str) -> None:
    """Train `expert` on `fold`, fit its temperature on the purged tail, predict and write.

    Raises:
        ConfigError: no such fold or expert.
        DataError: an earlier stage has not run.
        TrainingError: training cannot start or diverged.
    """
    backend.prepare()
    started = time.perf_counter()
    laid, _ = folds.load(paths.folds)
    if not 0 <= fold < len(laid):
        raise ConfigError(f"`--fold` must be one of {[item.index for item in laid]}; received {fold}")
    source = read_rows(paths, expert)
    learned, held = split_tail(source, source.training(laid[fold]), config.experts.calibration_share)
    rows, scaler = source.scaled(laid[fold])
    fitted = train.fit_expert(rows, learned, held, config.experts, config.experts.seed)
    window = config.experts.window_bars
    tail = np.flatnonzero(held & window_ends(rows.position, window))
    temperature, report = calibrated(fitted, rows, tail, window)
    wanted = {"test": source.testing(laid[fold], window), "align": alignment_rows(source, laid[0], window)}
    found = [
        prediction_table(source.labels, at, role, train.predict(fitted.model, rows, at, window, temperature))
        for role, at in wanted.items()
    ]
    write_expert(paths.expert(fold, expert), fitted, scaler, pd.concat(found, ignore_index=True))
    counts = {"learned": int(learned.sum()), "held": len(tail), "test": len(wanted["test"])}
    about = {"fold": fold, "expert": expert, "seed": config.experts.seed, "rows": counts, **report}
    about |= {"learned": signature(source.labels, learned), "held": signature(source.labels, held)}
    write_json(paths.expert(fold, expert) / "report.json", {**about, "columns": list(source.names)})
    log.info("%d-%s: temperature %.2f, %.1f s", fold, expert, temperature, time.perf_counter() - started)


def calibrated(
    fitted: Fitted, rows: Rows, tail: NDArray[np.int64], window: int
) -> tuple[float, dict[str, object]]:
    """The temperature fitted on held-out bars, and the figures of those bars.

    Args:
        fitted: the trained expert.
        rows: all bars.
        tail: (n,) held-out row numbers that end a window.
        window: bars the expert reads.
    """
    raw, truth = train.predict(fitted.model, rows, tail, window).probabilities, rows.label[tail]
    temperature = calibration.fit_temperature(raw, truth)
    probabilities = calibration.apply(raw, temperature)
    matrix = metrics.confusion(truth, raw.argmax(axis=1))
    figures = {
        "f1_macro": float(metrics.f1_macro(matrix)),
        "accuracy": float(metrics.accuracy(matrix)),
        "log_loss": calibration.log_loss(probabilities, truth),
        "ece_raw": calibration.expected_calibration_error(raw, truth),
        "ece": calibration.expected_calibration_error(probabilities, truth),
        "shares": dict(zip(columns.CLASSES, metrics.class_shares(matrix).tolist())),
    }
    collapsed = train.collapsed(raw)
    if collapsed:
        log.warning(
            "one class makes up more than 90 %% of the predictions on held-out bars: %s", figures["shares"]
        )
    report = {"epochs": fitted.epochs, "temperature": temperature, "collapsed": collapsed}
    return temperature, {**report, "validation": figures}


def prediction_table(
    labels: pd.DataFrame, at: NDArray[np.int64], role: str, predicted: Predicted
) -> pd.DataFrame:
    """Predictions as a table: symbol, timestamp, role, sell, hold, buy, e000..e255.

    Args:
        labels: keys of all bars.
        at: (n,) row numbers predicted.
        role: why: `test` or `align`.
        predicted: of those rows.
    """
    keys = labels.loc[at, [columns.SYMBOL, columns.TIMESTAMP]].reset_index(drop=True)
    width = predicted.embedding.shape[1]
    return pd.concat(
        [
            keys.assign(role=role),
            pd.DataFrame(predicted.probabilities, columns=list(columns.CLASSES)),
            pd.DataFrame(predicted.embedding, columns=[f"e{i:03d}" for i in range(width)]),
        ],
        axis=1,
    )


def write_expert(folder: Path, fitted: Fitted, scaler: Scaler, predictions: pd.DataFrame | None) -> None:
    """Write model, scaler, history and predictions, if any, of one expert: same content, same bytes."""
    with aside(folder / "model.keras") as place:
        storage.save_model(fitted.model, place)
    with aside(folder / "scaler.json") as place:
        place.write_text(scaler.to_json() + "\n")
    with aside(folder / "history.csv") as place:
        history = pd.DataFrame(fitted.history).astype({"epoch": int})
        history.to_csv(place, index=False, lineterminator="\n")
    if predictions is not None:
        with aside(folder / "predictions.parquet") as place:
            predictions.to_parquet(place, index=False)
