"""The class models side by side: figures of each, and paired tests between them.

Enters: judged rows with every model's probabilities. Leaves: plain figures. The volatility-only model is
LightGBM with its direction taken away: what it keeps of F1 cannot be traded.
"""

from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from xrl import columns
from xrl.backtest.report import predictions_of
from xrl.evaluation import metrics, significance, summary
from xrl.evaluation.metrics import Array
from xrl.evaluation.significance import Statistic, of_confusion
from xrl.evaluation.summary import Predictions, Score

#: From the simplest to the strongest.
MODELS: Final = ("majority", "volatility_only", "logistic", "lightgbm")
#: Who is asked to be better than whom.
PAIRS: Final = (
    ("lightgbm", "volatility_only"),
    ("lightgbm", "logistic"),
    ("logistic", "volatility_only"),
    ("lightgbm", "majority"),
)
#: Of these the majority and volatility alone know none.
_DIRECTIONAL: Final = ("direction_accuracy", "ic", "ic_within_year")

Rows = dict[str, Any]


def model_section(rows: pd.DataFrame, min_shift_bars: int, draws: int, seed: int) -> dict[str, Rows]:
    """Every model's figures with weekly block-bootstrap intervals, and the null of those that learn.

    Args:
        rows: as in `report.predictions_of`, with the probabilities of `MODELS`.
        min_shift_bars: shortest shift of the null: horizon + window.
        draws, seed: of the bootstrap.
    """
    found: dict[str, Rows] = {}
    for model in MODELS:
        p = predictions_of(rows, model)
        found[model] = {**summary.prediction_figures(p, draws, seed)}
        if model in ("logistic", "lightgbm"):
            found[model] |= summary.null_figures(p, min_shift_bars, seed)
    dealt = _without_direction(predictions_of(rows, "lightgbm"))
    interval = partial(significance.interval, draws=draws, seed=seed)
    found["volatility_only"] |= {name: interval(*score)._asdict() for name, score in dealt.items()}
    for model in ("majority", "volatility_only"):
        found[model] |= dict.fromkeys(_DIRECTIONAL)
    return found


def paired_section(rows: pd.DataFrame, draws: int, seed: int) -> dict[str, Rows]:
    """Paired weekly tests of `PAIRS`, the first model minus the second on the same bars.

    Against a model that knows no direction, direction accuracy is compared with a coin and the information
    coefficients with 0.
    """
    models = {model: predictions_of(rows, model) for model in MODELS}
    scored = {model: summary.scores(p) for model, p in models.items()}
    for name, score in _without_direction(models["lightgbm"]).items():
        scored["volatility_only"][name] = score
    for model in ("majority", "volatility_only"):
        for name, value in (("direction_accuracy", 0.5), ("ic", 0.0), ("ic_within_year", 0.0)):
            scored[model][name] = Score(_always(value), scored[model][name].sums)
    return {
        f"{ours}_minus_{theirs}": {
            name: significance.paired_test(
                score.statistic,
                scored[theirs][name].statistic,
                score.sums,
                scored[theirs][name].sums,
                draws,
                seed,
            )._asdict()
            for name, score in scored[ours].items()
        }
        for ours, theirs in PAIRS
    }


def plain_section(rows: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Every model's scores as `model_section` has them, without intervals; rows as there."""
    found: dict[str, dict[str, float | None]] = {}
    for model in MODELS:
        scored = summary.scores(predictions_of(rows, model))
        if model == "volatility_only":
            scored |= _without_direction(predictions_of(rows, "lightgbm"))
        found[model] = {name: float(own.statistic(own.sums.sum(axis=0))) for name, own in scored.items()}
        if model in ("majority", "volatility_only"):
            found[model] |= dict.fromkeys(_DIRECTIONAL)
    return found


def class_shares(rows: pd.DataFrame) -> dict[str, float]:
    """Shares of the classes that came true."""
    truth = rows[columns.LABEL].dropna().to_numpy(np.int64)
    shares = np.bincount(truth, minlength=len(columns.CLASSES)) / max(len(truth), 1)
    return {name: float(share) for name, share in zip(columns.CLASSES, shares)}


def _without_direction(p: Predictions) -> dict[str, Score]:
    """Scores of the expected confusion if the HOLD calls stand and the directions are dealt out."""
    sums = summary.scores(p)["f1_macro"].sums
    dealt: dict[str, Statistic] = {
        "f1_macro": lambda m: metrics.f1_macro(metrics.volatility_only(m)),
        "balanced_accuracy": lambda m: metrics.balanced_accuracy(metrics.volatility_only(m)),
    }
    return {name: Score(of_confusion(statistic), sums) for name, statistic in dealt.items()}


def _always(value: float) -> Statistic:
    def constant(sums: Array) -> Array:
        return np.full(sums.shape[:-1], value)

    return constant
