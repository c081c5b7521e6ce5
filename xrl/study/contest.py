"""The command `xrl contest`: every model on the same folds, beside LightGBM, as an honest table.

Enters: questions and entrants. Leaves: a folder with the cells, contest.md, contest.json and pictures. No DVC
stage: nothing is trained on what it finds. Cells that are there are not computed again.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.backtest import contest as shares
from xrl.backtest import plots, report
from xrl.stages.aside import aside, write_json
from xrl.study import page
from xrl.study.cells import cells_of, is_stale, spent, trials
from xrl.study.figures import RIVAL, figures
from xrl.study.question import Question
from xrl.study.roster import ALL, BLENDS, Entrant
from xrl.study.tracks import Tracks, tracks
from xrl.study.trading import Traded, traded

log = logging.getLogger(__name__)

_CHANCE = {"f1_macro": 1 / 3, "direction_accuracy": 0.5, "ic_within_year": 0.0}
_DIFFERENCES = ("f1_macro", "ic_within_year", "log_loss")
#: Of the reliability picture, if there.
_SHOWN = ("lightgbm", "xlstm_experts", "xlstm", "networks_and_lightgbm")


def tell(root: Path, asked: Sequence[tuple[Question, tuple[Entrant, ...]]], seeds: int) -> dict[str, Any]:
    """Judge what has been computed, and write page, figures and pictures to `root`.

    Args:
        root: folder of the contest.
        asked: questions, with who takes part in each.
        seeds: that an entrant must have not to be marked, beside all folds.
    """
    first = asked[0][0]
    found: dict[str, Any] = {
        "market": first.config.market.name,
        "symbols": list(first.config.market.symbols),
        "columns": len(first.rows(ALL).names),
        "trials": trials(root),
        "labels": {},
    }
    for question, entrants in asked:
        judged = tracks(root, question, entrants)
        if not judged.models:
            log.warning("%s: no model has all of its cells yet", question.name)
            continue
        params = question.config.backtest
        earned = traded(question, judged) if len(question.laid) > 1 else None
        found["labels"][question.name] = {
            "about": _about(question, judged.rows),
            "marked": _marked(entrants, question, seeds),
            "models": figures(judged, params.bootstrap, params.bootstrap_seed),
            "exponents": json.loads(json.dumps(judged.exponents)),
            "trading": None if earned is None else earned.figures,
            **_cost(root, question, entrants),
        }
        _draw(root, question, judged, found["labels"][question.name], earned)
    write_json(root / "contest.json", found)
    with aside(root / "contest.md") as place:
        place.write_text(page.markdown(found))
    return found


def _cost(root: Path, question: Question, entrants: Sequence[Entrant]) -> dict[str, Any]:
    """CPU seconds that the judged cells took, and how many of them other code computed."""
    wanted = (cell.path(root, question) for one in entrants for cell in cells_of(one, question))
    paths = [path for path in wanted if path.is_file()]
    return {"cpu_seconds": spent(paths), "cells": len(paths), "stale": sum(map(is_stale, paths))}


def _marked(entrants: Sequence[Entrant], question: Question, seeds: int) -> list[str]:
    """Those that have fewer seeds or folds than the others, and the blends that such a one is part of."""
    found = [one.name for one in entrants if _is_cut(one, question, seeds)]
    for name, blend in BLENDS.items():  # a blend comes after those that it is made of
        if any(member in found for member in blend.members):
            found.append(name)
    return found


def _is_cut(entrant: Entrant, question: Question, seeds: int) -> bool:
    """Whether it has fewer seeds or folds than the others; what has no chance in it needs one seed."""
    few = entrant.learner in ("network", "lightgbm") and entrant.seeds < seeds
    return few or len(entrant.folds_of(len(question.laid))) < len(question.laid)


def _about(question: Question, rows: pd.DataFrame) -> dict[str, Any]:
    judged = rows[rows[c.LABEL].notna()]
    labels = question.config.labels
    return {
        "label": labels.kind.replace("_", " "),
        "horizon_bars": labels.horizon_bars,
        "class_shares": shares.class_shares(judged),
        "bars": len(judged),
        "folds": [fold.test_start.isoformat() for fold in question.laid],
        "end": judged[c.TIMESTAMP].max().isoformat(),
    }


def _draw(
    root: Path, question: Question, judged: Tracks, found: dict[str, Any], earned: Traded | None
) -> None:
    models = found["models"]
    name = f"{question.config.market.name}, {question.name}"
    with aside(root / f"{question.name}_scores.png") as place:
        scores = {key: {model: own[key] for model, own in models.items()} for key in _CHANCE}
        plots.draw_intervals(scores, place, f"{name}: out of sample, 95 % intervals", _CHANCE)
    paired = {model: own["paired"] for model, own in models.items() if "paired" in own}
    if paired:
        with aside(root / f"{question.name}_paired.png") as place:
            apart = {key: {model: own[key] for model, own in paired.items()} for key in _DIFFERENCES}
            zero = dict.fromkeys(_DIFFERENCES, 0.0)
            plots.draw_intervals(apart, place, f"{name}: minus LightGBM on the same bars", zero)
    shown = [model for model in _SHOWN if len(judged.models.get(model, ())) == len(question.laid)]
    if shown:
        with aside(root / f"{question.name}_reliability.png") as place:
            curves = {model: report.reliability_of(judged.rows, model) for model in shown}
            plots.draw_reliability(curves, place, f"{name}: what was said, and what came true")
    if earned is not None and RIVAL in earned.curves:
        with aside(root / f"{question.name}_equity.png") as place:
            few = {k: v for k, v in earned.curves.items() if k in (*_SHOWN, "buy_and_hold")}
            daily = plots.daily_equity(np.asarray(earned.timestamp), few)
            plots.draw_equity(daily, place, f"{name}: threshold rules, net of costs", front=RIVAL)
