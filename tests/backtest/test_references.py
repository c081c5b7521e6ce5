"""Models without a direction, by hand."""

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.backtest import references
from xrl.labels.folds import Fold

START = pd.Timestamp("2026-01-01", tz="UTC")


def at(bar: int) -> pd.Timestamp:
    return START + pd.Timedelta(hours=bar)


def test_the_majority_is_that_of_each_folds_own_training_bars() -> None:
    """Labels known an hour later; fold 0 trains on bars 0..3, fold 1 on bars 0..7."""
    score = [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    time = pd.date_range(START, periods=10, freq="h", unit="ms")
    labels = pd.DataFrame(
        {
            c.SYMBOL: "AAA",
            c.TIMESTAMP: time,
            c.SCORE: score,
            c.VOLATILITY: 1.0,
            c.LABEL_END: time + pd.Timedelta(hours=1),
            c.HORIZON_END: time + pd.Timedelta(hours=1),
        }
    )
    laid = (
        Fold(0, at(0), at(4), at(5), at(8), -0.5, 0.5),
        Fold(1, at(0), at(8), at(8), at(10), -0.5, 0.5),
    )
    found = references.majority(labels, laid, np.array([0, 1, 1]))
    np.testing.assert_allclose(found, [[0.75, 0, 0.25], [0.375, 0, 0.625], [0.375, 0, 0.625]])


def test_volatility_only_keeps_hold_and_deals_the_rest_in_the_training_shares() -> None:
    model = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])
    shares = np.array([[0.2, 0.2, 0.6], [0.3, 0.4, 0.3]])
    found = references.volatility_only(model, shares)
    np.testing.assert_allclose(found, [[0.2, 0.2, 0.6], [0, 1, 0]])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert model[0, 0] == 0.7  # the argument is as it was
    assert shares[0, 1] == 0.2
