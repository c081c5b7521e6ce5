from dataclasses import replace

import numpy as np
import pytest

from xrl.errors import DataError
from xrl.evaluation import calibration, metrics, summary


@pytest.fixture
def skilled() -> summary.Predictions:
    """Two symbols, eight weeks; P(BUY) - P(SELL) follows the score with noise."""
    rng = np.random.default_rng(0)
    count = 8 * 168
    score = rng.normal(size=2 * count)
    logits = np.stack([-score, np.full(2 * count, 0.3), score], axis=1) + rng.normal(0, 2, (2 * count, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    hours = np.datetime64("2025-01-06", "ms") + np.arange(count) * np.timedelta64(1, "h")
    return summary.Predictions(
        symbol=np.repeat(np.array(["a", "b"]), count),
        timestamp=np.tile(hours, 2),
        probabilities=probabilities,
        truth=np.digitize(score, [-0.43, 0.43]),
        forward_return=score * 0.01,
        score=score,
    )


def test_a_skilled_model_has_intervals_above_chance(skilled):
    found = summary.prediction_figures(skilled, draws=300, seed=0)
    assert found["f1_macro"]["low"] > 1 / 3
    assert found["direction_accuracy"]["low"] > 0.5
    assert found["ic"]["low"] > 0
    assert found["accuracy_minus_majority"]["low"] > 0
    assert found["f1_minus_volatility_only"]["low"] > 0
    assert found["share_sell"] + found["share_hold"] + found["share_buy"] == pytest.approx(1)
    for name in ("f1_macro", "direction_accuracy", "ic"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]


def test_figures_agree_with_each_other(skilled):
    found = summary.prediction_figures(skilled, draws=100, seed=0)
    mean = (found["f1_sell"] + found["f1_hold"] + found["f1_buy"]) / 3
    assert found["f1_macro"]["value"] == pytest.approx(mean)
    volatility_only = found["f1_macro"]["value"] - found["f1_minus_volatility_only"]["value"]
    assert volatility_only == pytest.approx(found["f1_volatility_only"])


def test_a_model_differs_from_itself_by_nothing(skilled):
    calls = skilled.predicted
    found = summary.f1_difference(skilled.truth, calls, calls, skilled.timestamp, 100, 0)
    assert found == (0, 0, 0)


def test_calibration_is_told_of_the_top_label_and_of_each_class(skilled):
    found = summary.prediction_figures(skilled, draws=100, seed=0)
    assert found["ece"] == pytest.approx(found["ece_interval"]["value"])
    assert {"ece_sell", "ece_hold", "ece_buy"} <= set(found)


def test_figures_with_intervals_equal_the_plain_metrics(skilled):
    found = summary.prediction_figures(skilled, draws=100, seed=0)
    matrix = metrics.confusion(skilled.truth, skilled.predicted)
    assert found["balanced_accuracy"]["value"] == pytest.approx(metrics.balanced_accuracy(matrix))
    assert found["log_loss"]["value"] == pytest.approx(
        calibration.log_loss(skilled.probabilities, skilled.truth)
    )
    year = metrics.years(skilled.timestamp)
    assert found["ic_within_year"]["value"] == pytest.approx(
        metrics.yearly_information_coefficient(skilled.signal, skilled.score, year)
    )


def test_a_model_and_a_noisier_copy_are_told_apart_on_every_score(skilled):
    rng = np.random.default_rng(1)
    noisy = skilled.probabilities * np.exp(rng.normal(0, 1.5, skilled.probabilities.shape))
    worse = replace(skilled, probabilities=noisy / noisy.sum(axis=1, keepdims=True))
    found = summary.paired_figures(skilled, worse, draws=300, seed=0)
    for name in ("f1_macro", "balanced_accuracy", "direction_accuracy", "ic", "ic_within_year"):
        assert found[name]["low"] > 0, name
        assert found[name]["p"] < 0.05
    assert found["log_loss"]["high"] < 0
    single = summary.prediction_figures(worse, draws=100, seed=0)["ic"]["value"]
    ours = summary.prediction_figures(skilled, draws=100, seed=0)["ic"]["value"]
    assert found["ic"]["value"] == pytest.approx(ours - single)


def test_models_on_other_bars_are_not_compared(skilled):
    moved = replace(skilled, timestamp=skilled.timestamp + np.timedelta64(1, "h"))
    with pytest.raises(DataError, match="same bars"):
        summary.paired_figures(skilled, moved, 100, 0)


def test_shifted_labels_leave_chance(skilled):
    null = summary.null_figures(skilled, min_shift_bars=80, seed=0)
    assert null["null_f1"] == pytest.approx(1 / 3, abs=0.02)
    assert null["null_direction"] == pytest.approx(0.5, abs=0.03)
