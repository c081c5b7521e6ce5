"""Realised volatility by several estimators. Enters: `Inputs`. Leaves: (n,) arrays.

A level (log return a bar) over a day and a week, and what four other estimators make of the last day: each is
given as its share of itself plus the 60-bar close-to-close volatility, so 0.5 where both agree. Estimators
from highs and lows see moves that closes miss; Garman-Klass assumes no drift, Rogers-Satchell allows one,
Yang-Zhang adds gaps between bars.
"""

import math

import numpy as np

from xrl.features.feature import Feature, declare
from xrl.features.inputs import Inputs
from xrl.features.rolling import Array, delay, ratio, rolling_mean

DAY = 24
#: A deviation of log returns at or below this counts as none.
FLAT = 1e-9
#: Yang and Zhang's weight of the open-to-close variance.
_OPEN_CLOSE = 0.34 / (1.34 + (DAY + 1) / (DAY - 1))

_STILL = "0.5 if the price stands still"

FEATURES: tuple[Feature, ...] = (
    declare(
        "volatility_24", "PI", "log return a bar", (25, 24), "never", "root mean square of 24 log returns"
    ),
    declare(
        *("volatility_168", "PI", "log return a bar", (169, 1), "never"),
        "root mean square of 168 log returns, of fewer at the start",
    ),
    declare("parkinson_24", "PI", "0..1", (61, 60), _STILL, "Parkinson 1980"),
    declare("garman_klass_24", "PI", "0..1", (61, 60), _STILL, "Garman and Klass 1980"),
    declare("rogers_satchell_24", "PI", "0..1", (61, 60), _STILL, "Rogers and Satchell 1991"),
    declare("yang_zhang_24", "PI", "0..1", (61, 60), _STILL, "Yang and Zhang 2000"),
)


def volatility(x: Inputs) -> dict[str, Array]:
    """Every column of `FEATURES`."""
    found = {"volatility_24": x.volatility_24, "volatility_168": x.volatility_168}
    for name, variance in _variances(x).items():
        deviation = np.sqrt(np.maximum(variance, 0.0))
        found[f"{name}_24"] = ratio(deviation, deviation + x.volatility, undefined=0.5, floor=FLAT)
    return found


def _variances(x: Inputs) -> dict[str, Array]:
    """Variance a bar over the last 24 bars, by estimator."""
    open_, close = np.log(x.open), x.log_close
    high, low = np.log(x.high), np.log(x.low)
    body, range_ = close - open_, high - low
    rogers = rolling_mean((high - close) * (high - open_) + (low - close) * (low - open_), DAY)
    klass = 0.5 * range_ * range_ - (2.0 * math.log(2.0) - 1.0) * body * body
    between = _variance(open_ - delay(close, 1)) + _OPEN_CLOSE * _variance(body)
    return {
        "parkinson": rolling_mean(range_ * range_, DAY) / (4.0 * math.log(2.0)),
        "garman_klass": rolling_mean(klass, DAY),
        "rogers_satchell": rogers,
        "yang_zhang": between + (1.0 - _OPEN_CLOSE) * rogers,
    }


def _variance(values: Array) -> Array:
    """Sample variance of the last 24 values."""
    mean = rolling_mean(values, DAY)
    return (rolling_mean(values * values, DAY) - mean * mean) * (DAY / (DAY - 1))
