"""Rival class models see their own fold's past alone."""

import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.backtest.rivals import rival_probabilities
from xrl.labels.folds import Fold

BARS = 600
START = pd.Timestamp("2026-01-01", tz="UTC")


def at(bar: int) -> pd.Timestamp:
    return START + pd.Timedelta(hours=bar)


LAID = (
    Fold(0, at(0), at(280), at(300), at(450), -0.5, 0.5),
    Fold(1, at(0), at(430), at(450), at(600), -0.5, 0.5),
)


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Features of which the first foretells the score; labels; test bars as keys."""
    rng = np.random.default_rng(0)
    time = pd.date_range(START, periods=BARS, freq="h", unit="ms")
    matrix = rng.normal(size=(BARS, 4))
    matrix[:5] = np.nan  # warm-up
    score = 2.0 * np.nan_to_num(matrix[:, 0]) + 0.5 * rng.normal(size=BARS)
    key = pd.DataFrame({c.SYMBOL: "AAA", c.TIMESTAMP: time})
    features = pd.concat([key, pd.DataFrame(matrix, columns=list("wxyz"))], axis=1)
    ends = time + pd.Timedelta(hours=21)
    labels = key.assign(**{c.SCORE: score, c.LABEL_END: ends, c.HORIZON_END: ends})
    keys = key.assign(**{c.FOLD: np.repeat([-1, 0, 1], [300, 150, 150])}).iloc[300:].reset_index(drop=True)
    return features, labels, keys


def test_rivals_learn_and_answer_every_test_bar(
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    features, labels, keys = tables
    found = rival_probabilities(features, labels, LAID, keys, seed=0)
    assert set(found) == {"logistic", "lightgbm"}
    truth = np.digitize(labels[c.SCORE].to_numpy()[300:], [-0.5, 0.5])
    for probabilities in found.values():
        assert probabilities.sum(axis=1) == pytest.approx(np.ones(300))
        assert (probabilities.argmax(axis=1) == truth).mean() > 0.6


def test_later_bars_change_no_earlier_prediction(
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    features, labels, keys = tables
    whole = rival_probabilities(features, labels, LAID, keys, seed=0)
    twisted = labels.copy()
    twisted.loc[280:, c.SCORE] *= -1.0
    changed = features.copy()
    changed.loc[450:, list("wxyz")] = 9.0
    found = rival_probabilities(changed, twisted, LAID, keys, seed=0)
    for name in whole:
        assert np.array_equal(whole[name][:150], found[name][:150])  # fold 0 is as it was
        assert not np.array_equal(whole[name][150:], found[name][150:])
