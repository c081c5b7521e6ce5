"""What each model's probabilities are worth, with intervals, and paired with those of LightGBM.

Enters: tracks. Leaves: plain figures. Beside every F1 stands what is left of it without direction.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.backtest.report import plain_tree, predictions_of
from xrl.evaluation import metrics, summary
from xrl.evaluation.summary import Predictions
from xrl.study.tracks import Array, Tracks

#: Whom everybody is paired with.
RIVAL: Final = "lightgbm"

Found = dict[str, Any]


def figures(tracks: Tracks, draws: int, seed: int) -> dict[str, Found]:
    """Every model's figures on the bars of its folds.

    Args:
        tracks: see there.
        draws, seed: of the weekly block bootstrap.

    Returns:
        model -> scores with intervals, `per_fold`, `seeds` (of networks and LightGBM alone), and against
        `RIVAL` `paired` on the same bars.
    """
    found: dict[str, Found] = {}
    for model, folds in tracks.models.items():
        rows = _rows_of(tracks.rows, folds)
        ours = predictions_of(rows, model)
        own: Found = {"folds": list(folds), **summary.prediction_figures(ours, draws, seed)}
        own["per_fold"] = {str(number): _scores(_rows_of(rows, (number,)), model) for number in folds}
        if model != RIVAL and RIVAL in tracks.models:
            own["paired"] = summary.paired_figures(ours, predictions_of(rows, RIVAL), draws, seed)
        if len(tracks.single.get(model, ())) > 1:
            own["seeds"] = _of_seeds(tracks.rows, tracks.single[model], folds)
        found[model] = plain_tree(own)
    return found


def _rows_of(rows: pd.DataFrame, folds: tuple[int, ...]) -> pd.DataFrame:
    return rows[rows[c.FOLD].isin(folds)]


def _scores(rows: pd.DataFrame, model: str) -> dict[str, float]:
    """Scores without intervals."""
    return plain_scores(predictions_of(rows, model))


def plain_scores(p: Predictions) -> dict[str, float]:
    """F1 macro with its volatility-only share, direction, both IC and log-loss."""
    found = {name: float(s.statistic(s.sums.sum(axis=0))) for name, s in summary.scores(p).items()}
    dealt = metrics.volatility_only(metrics.confusion(p.truth, p.predicted))
    return {**found, "f1_volatility_only": float(metrics.f1_macro(dealt))}


def _of_seeds(rows: pd.DataFrame, single: list[Array], folds: tuple[int, ...]) -> Found:
    """Median and quartiles over the trainings of one seed each."""
    names = list(c.probability_columns("alone"))
    alone = []
    for own in single:
        table = rows.assign(**dict(zip(names, own.T)))
        alone.append(_scores(_rows_of(table, folds), "alone"))
    spread = {
        name: dict(
            zip(("low", "median", "high"), np.quantile([one[name] for one in alone], (0.25, 0.5, 0.75)))
        )
        for name in alone[0]
    }
    return {"count": len(single), **spread}
