"""Class models side by side."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.backtest import contest, references
from xrl.evaluation import metrics

BARS = 24 * 84


def softmax(odds: np.ndarray) -> np.ndarray:
    return np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Twelve weeks: LightGBM foresees size and direction, logistic a little direction, both with noise."""
    rng = np.random.default_rng(0)
    score = rng.normal(size=BARS)
    frame = pd.DataFrame(
        {
            c.SYMBOL: "AAA",
            c.TIMESTAMP: pd.date_range("2026-01-05", periods=BARS, freq="h", tz="UTC", unit="ms"),
            c.FOLD: np.repeat([0, 1], BARS // 2),
            c.LABEL: np.digitize(score, [-0.44, 0.44]).astype(float),
            c.FORWARD_RETURN: 0.02 * score,
            c.SCORE: score,
        }
    )
    shares = np.full((BARS, 3), 1 / 3)
    still = 0.8 * (0.6 - np.abs(score))
    side, weak = 0.5 * score + rng.normal(size=BARS), 0.15 * score + rng.normal(size=BARS)
    found = {
        "majority": shares,
        "logistic": softmax(np.stack([-weak, np.zeros(BARS), weak], axis=1)),
        "lightgbm": softmax(np.stack([-side, still, side], axis=1)),
    }
    found["volatility_only"] = references.volatility_only(found["lightgbm"], shares)
    for model, probabilities in found.items():
        frame[list(c.probability_columns(model))] = probabilities
    return frame


@pytest.fixture(scope="module")
def models(rows: pd.DataFrame) -> dict[str, Any]:
    return contest.model_section(rows, min_shift_bars=80, draws=200, seed=0)


def test_every_model_has_figures_and_the_learned_ones_a_null(models: dict[str, Any]) -> None:
    assert tuple(models) == contest.MODELS
    for model in models.values():
        for name in ("f1_macro", "balanced_accuracy", "log_loss", "ece_interval"):
            assert model[name]["low"] <= model[name]["value"] <= model[name]["high"]
    assert abs(models["lightgbm"]["null_f1"] - models["lightgbm"]["chance_f1"]) < 0.02
    assert "null_f1" not in models["majority"]


def test_a_model_without_a_direction_has_none_to_score(models: dict[str, Any]) -> None:
    for model in ("majority", "volatility_only"):
        assert models[model]["direction_accuracy"] is None
        assert models[model]["ic"] is None


def test_volatility_only_scores_what_lightgbm_keeps_without_direction(
    rows: pd.DataFrame, models: dict[str, Any]
) -> None:
    called = rows[list(c.probability_columns("lightgbm"))].to_numpy().argmax(axis=1)
    matrix = metrics.confusion(rows[c.LABEL].to_numpy(int), called)
    expected = metrics.f1_macro(metrics.volatility_only(matrix))
    assert models["volatility_only"]["f1_macro"]["value"] == pytest.approx(expected)
    assert models["lightgbm"]["f1_macro"]["value"] > expected > models["majority"]["f1_macro"]["value"]


def test_pairs_differ_by_the_difference_of_their_scores(rows: pd.DataFrame, models: dict[str, Any]) -> None:
    found = contest.paired_section(rows, draws=200, seed=0)
    assert set(found) == {f"{ours}_minus_{theirs}" for ours, theirs in contest.PAIRS}
    for pair, tests in found.items():
        ours, theirs = pair.split("_minus_")
        for name in ("f1_macro", "log_loss"):
            gap = models[ours][name]["value"] - models[theirs][name]["value"]
            assert tests[name]["value"] == pytest.approx(gap), (pair, name)
    better = found["lightgbm_minus_volatility_only"]
    assert better["direction_accuracy"]["value"] == pytest.approx(
        models["lightgbm"]["direction_accuracy"]["value"] - 0.5
    )
    assert better["ic"]["value"] == pytest.approx(models["lightgbm"]["ic"]["value"])
    assert better["f1_macro"]["low"] > 0.0
    assert better["f1_macro"]["p"] < 0.05


def test_class_shares_are_of_matured_bars(rows: pd.DataFrame) -> None:
    holed = rows.assign(**{c.LABEL: np.where(np.arange(BARS) < 4, [0, 1, 2, 2] * (BARS // 4), np.nan)})
    assert contest.class_shares(holed) == {"sell": 0.25, "hold": 0.25, "buy": 0.5}
