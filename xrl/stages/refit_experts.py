"""The experts of the stage `refit`: trained on everything and mapped into the first fold's space.

Enters: rows, the folds' reports and predictions. Leaves: stages/refit/EXPERT/{members as in `experts`,
scaler.json, history.csv, align.npz, report.json}, and what each says of the last fold's test bars.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.errors import DataError
from xrl.evaluation.committee import Vote, vote
from xrl.labels.folds import Fold, Refit
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json
from xrl.stages.expert_kinds import Bars, ask, fit_expert
from xrl.stages.expert_rows import alignment_rows, read_rows, signature
from xrl.stages.expert_targets import with_targets
from xrl.stages.experts import prediction_table, write_expert
from xrl.stages.oof import KEYS, embeddings, expert_matrix, read_predictions, test_rows


class Refitted(NamedTuple):
    """One expert after the refit, on the last fold's test bars."""

    predictions: pd.DataFrame  # symbol, timestamp, sell, hold, buy, uncertainty
    block: NDArray[np.float32]  # (rows of predictions, w)
    temperature: float


def refit_expert(config: Config, paths: Paths, expert: str, laid: Sequence[Fold], span: Refit) -> Refitted:
    """Train, write and map one expert; no bar is held back. Epochs and temperature are medians over folds.

    Raises:
        DataError: an earlier stage has not run.
        TrainingError: training cannot start or diverged.
    """
    source = read_rows(paths, expert)
    rows, scaler = source.scaled(span)
    training = source.training(span)
    reports = [_fold_report(paths, fold.index, expert) for fold in laid]
    epochs = _epochs(reports, len(config.experts.members)) if expert in columns.EXPERTS else None
    temperature = float(np.median([report["temperature"] for report in reports]))
    held = np.zeros_like(training)
    bars = Bars(
        with_targets(paths, source, rows, span, training, held, config.experts.recipes), training, held
    )
    checkpoints = paths.checkpoints(f"refit-{expert}")
    trained = fit_expert(expert, bars, config.experts, epochs=epochs, folder=checkpoints)
    wanted = {
        "test": source.testing(laid[-1], trained.window),
        "align": alignment_rows(source, laid[0], trained.window),
    }
    tables = [
        prediction_table(source.labels, at, role, ask(trained, rows, at, temperature))
        for role, at in wanted.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    folder = paths.refit_expert(expert)
    write_expert(folder, trained, scaler, None)
    first = read_predictions(paths, 0, expert)
    matrix = expert_matrix(expert, first, table, config.oof).astype(np.float32)
    with aside(folder / "align.npz") as place:
        np.savez(place, allow_pickle=False, matrix=matrix)
    about: dict[str, Any] = {
        "expert": expert,
        "members": trained.about,
        "epochs": epochs,
        "temperature": temperature,
    }
    about["learned"] = signature(source.labels, training)
    write_json(
        folder / "report.json",
        {**about, "rows": {"learned": int(training.sum())}, "columns": list(source.names)},
    )
    shutil.rmtree(checkpoints, ignore_errors=True)
    tested = test_rows(table)
    probabilities = tested[list(columns.CLASSES)].to_numpy(np.float32)
    block = probabilities if config.oof.observation == "probabilities" else embeddings(table, "test") @ matrix
    named = [*KEYS, *columns.CLASSES, columns.UNCERTAINTY]
    return Refitted(tested[named], block.astype(np.float32), temperature)


def committee_of(refitted: Mapping[str, Refitted], shares: Mapping[str, float]) -> pd.DataFrame:
    """symbol, timestamp, sell, hold, buy: the weighted mean where every expert predicted."""
    named = {
        name: own.predictions.rename(columns=lambda column, name=name: _own(column, name))
        for name, own in refitted.items()
    }
    common = reduce(lambda one, other: one.merge(other, on=KEYS), named.values())
    votes = {
        name: Vote(
            common[[_own(column, name) for column in columns.CLASSES]].to_numpy(np.float64),
            common[_own(columns.UNCERTAINTY, name)].to_numpy(np.float64),
        )
        for name in named
    }
    found = common[KEYS].copy()
    found[list(columns.CLASSES)] = vote(votes, shares).probabilities
    return found


def _own(column: str, name: str) -> str:
    return column if column in KEYS else f"{name}_{column}"


def _epochs(reports: Sequence[Mapping[str, Any]], members: int) -> list[int]:
    """Of each recipe the median over folds and seeds."""
    trained = [(own["member"], own["epochs"]) for report in reports for own in report["members"]]
    if {member for member, _ in trained} != set(range(members)):
        raise DataError(
            f"the folds were not trained with the {members} recipes of `experts.members`; run `xrl experts` "
            "for every fold and expert again"
        )
    return [int(np.median([epochs for own, epochs in trained if own == member])) for member in range(members)]


def _fold_report(paths: Paths, fold: int, expert: str) -> dict[str, Any]:
    path = paths.expert(fold, expert) / "report.json"
    if not path.is_file():
        raise DataError(f"no report at {path}; run `xrl experts --fold {fold} --expert {expert}`")
    report: dict[str, Any] = json.loads(path.read_text())
    return report
