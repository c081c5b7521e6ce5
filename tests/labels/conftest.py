import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.config import LabelParams
from xrl.labels.barriers import Prices


@pytest.fixture(scope="session")
def label_params():
    """`label_params(**changes)` of a small recipe: horizon 2, two folds, no rounding to whole bars needed."""

    def make(**changes):
        small = {
            "kind": "normalised_percentile",
            "horizon_bars": 2,
            "volatility_window": 3,
            "percentiles": (0.33, 0.67),
            "raw_percentiles": (0.3, 0.7),
            "threshold_multiplier": 1.0,
            "hold_below_percentile": 0.3,
            "barrier": 1.0,
            "barrier_unit": "sigma",
            "folds": (0, 1),
            "scheme": "anchored",
            "first_train_share": 0.4,
            "train_days": None,
            "cadence_days": None,
            "embargo_bars": 2,
            "holdout_days": 0,
            "max_hold_share": 0.8,
        }
        return LabelParams(**{**small, **changes})

    return make


@pytest.fixture
def ten_hours():
    """Ten hourly bars; labels end three hours after the open, scores count 0..7, two are not matured."""
    time = pd.date_range("2025-01-01", periods=10, freq="h", unit="ms", tz="UTC")
    ends = pd.Series(time + pd.Timedelta(hours=3)).where(np.arange(10) < 8)
    return pd.DataFrame(
        {
            columns.SYMBOL: "BTCUSDT",
            columns.TIMESTAMP: time,
            columns.FORWARD_RETURN: np.where(np.arange(10) < 8, np.arange(10.0) / 100, np.nan),
            columns.VOLATILITY: 0.01,
            columns.SCORE: np.where(np.arange(10) < 8, np.arange(10.0), np.nan),
            columns.LABEL_END: ends,
            columns.HORIZON_END: ends,
        }
    )


@pytest.fixture(scope="session")
def walk():
    """`walk(bars, seed)`: prices of a random walk of 1 % a bar, each bar's range a little wider than its
    close-to-close move.
    """

    def make(bars, seed=0):
        rng = np.random.default_rng(seed)
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, bars)))
        before = np.append(close[:1], close[:-1])
        above, below = np.exp(rng.exponential(0.003, (2, bars)))
        return Prices(np.maximum(close, before) * above, np.minimum(close, before) / below, close)

    return make
