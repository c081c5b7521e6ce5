"""Stage `experts`: one expert trained on one fold, predicting that fold's test bars and the alignment bars.

Reads stages/{snapshot,features,labels}. Writes stages/experts/FOLD-EXPERT/{network_N.keras, bases.npy and
history.csv, or bag_N.txt; scaler.json, predictions.parquet, report.json; training.png (networks),
confusion.png, reliability.png}, each aside and renamed.
"""

import logging
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.errors import ConfigError
from xrl.evaluation import calibration, metrics
from xrl.experts.answers import Said
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.paths import Paths
from xrl.stages import expert_pictures
from xrl.stages.aside import aside, write_json
from xrl.stages.expert_kinds import Bars, Expert, ask, fit_expert, rows_answered, write_members
from xrl.stages.expert_rows import alignment_rows, read_rows, signature, split_tail
from xrl.stages.expert_targets import with_targets

if TYPE_CHECKING:
    from xrl.experts.monitor import Watch

log = logging.getLogger(__name__)


def run(config: Config, paths: Paths, fold: int, expert: str, watch: "Watch | None" = None) -> None:
    """Train `expert` on `fold`, fit its temperature on the purged tail, predict and write.

    Interrupted, it goes on where it was: its checkpoints lie outside of what DVC clears, until it is done.

    Raises:
        ConfigError: no such fold or expert.
        DataError: an earlier stage has not run.
        TrainingError: training cannot start or diverged.
    """
    started = time.perf_counter()
    laid, _ = folds.load(paths.folds)
    if not 0 <= fold < len(laid):
        raise ConfigError(f"`--fold` must be one of {[item.index for item in laid]}; received {fold}")
    source = read_rows(paths, expert)
    learned, held = split_tail(source, source.training(laid[fold]), config.experts.calibration_share)
    rows, scaler = source.scaled(laid[fold])
    recipes, folder = config.experts.recipes, paths.checkpoints(f"{fold}-{expert}")
    bars = Bars(with_targets(paths, source, rows, laid[fold], learned, held, recipes), learned, held)
    trained = fit_expert(expert, bars, config.experts, folder=folder, watch=watch)
    tail = rows_answered(trained, rows, held)
    looked_at = ask(trained, rows, tail)
    temperature, report = calibrated(looked_at.probabilities, rows.label[tail])
    wanted = {
        "test": source.testing(laid[fold], trained.window),
        "align": alignment_rows(source, laid[0], trained.window),
    }
    found = [
        prediction_table(source.labels, at, role, ask(trained, rows, at, temperature))
        for role, at in wanted.items()
    ]
    write_expert(paths.expert(fold, expert), trained, scaler, pd.concat(found, ignore_index=True))
    probabilities = calibration.apply(looked_at.probabilities, temperature)
    place = paths.expert(fold, expert)
    expert_pictures.draw(place, f"{fold}-{expert}", trained.history, probabilities, rows.label[tail])
    counts = {"learned": int(learned.sum()), "held": len(tail), "test": len(wanted["test"])}
    about = {"fold": fold, "expert": expert, "members": trained.about, "rows": counts, **report}
    about["uncertainty"] = float(looked_at.uncertainty.mean())
    about |= {"learned": signature(source.labels, learned), "held": signature(source.labels, held)}
    write_json(paths.expert(fold, expert) / "report.json", {**about, "columns": list(source.names)})
    shutil.rmtree(folder, ignore_errors=True)
    log.info("%d-%s: temperature %.2f, %.1f s", fold, expert, temperature, time.perf_counter() - started)


def calibrated(raw: NDArray[np.float64], truth: NDArray[np.integer]) -> tuple[float, dict[str, object]]:
    """The temperature fitted on held-out bars, and the figures of those bars.

    Args:
        raw: (n, 3) untempered probabilities of held-out bars.
        truth: (n,) their classes.
    """
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
    collapsed = metrics.is_collapsed(metrics.class_shares(matrix))
    if collapsed:
        log.warning(
            "one class makes up more than 90 %% of the predictions on held-out bars: %s", figures["shares"]
        )
    return temperature, {"temperature": temperature, "collapsed": collapsed, "validation": figures}


def prediction_table(labels: pd.DataFrame, at: NDArray[np.int64], role: str, said: Said) -> pd.DataFrame:
    """Predictions as a table: symbol, timestamp, role, sell, hold, buy, uncertainty, e000, e001, ...

    Args:
        labels: keys of all bars.
        at: (n,) row numbers predicted.
        role: why: `test` or `align`.
        said: of those rows.
    """
    keys = labels.loc[at, [columns.SYMBOL, columns.TIMESTAMP]].reset_index(drop=True)
    width = said.embedding.shape[1]
    return pd.concat(
        [
            keys.assign(role=role),
            pd.DataFrame(said.probabilities, columns=list(columns.CLASSES)),
            pd.DataFrame({columns.UNCERTAINTY: said.uncertainty}),
            pd.DataFrame(said.embedding, columns=[f"e{i:03d}" for i in range(width)]),
        ],
        axis=1,
    )


def write_expert(folder: Path, trained: Expert, scaler: Scaler, predictions: pd.DataFrame | None) -> None:
    """Write members, scaler, history and predictions, if any, of one expert: same content, same bytes."""
    write_members(folder, trained)
    with aside(folder / "scaler.json") as place:
        place.write_text(scaler.to_json() + "\n")
    if predictions is not None:
        with aside(folder / "predictions.parquet") as place:
            predictions.to_parquet(place, index=False)
