import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.config import LabelParams


@pytest.fixture
def label_params():
    """`label_params(**changes)` of a small recipe: horizon 2, two folds, no rounding to whole bars needed."""

    def make(**changes):
        small = {
            "horizon_bars": 2,
            "volatility_window": 3,
            "percentiles": (0.33, 0.67),
            "folds": (0, 1),
            "first_train_share": 0.4,
            "embargo_bars": 2,
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
            columns.SCORE: np.where(np.arange(10) < 8, np.arange(10.0), np.nan),
            columns.LABEL_END: ends,
        }
    )
