"""Arithmetic on candles. Enters: one symbol's arrays in time order. Leaves: arrays of the same length."""

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError


def horizon_volatility(close: NDArray[np.float64], window: int, horizon: int) -> NDArray[np.float64]:
    """Standard deviation of the `horizon`-bar log return, as known at each close.

    `sigma_t = sqrt(horizon) * std(log(close_s / close_{s-1}), s = t - window + 1 .. t)`, sample standard
    deviation, root-of-time scaling. Every value is computed from its own window alone, so a longer history
    before it or after it changes no bit.

    Args:
        close: (n,) float64, prices > 0 of consecutive bars.
        window: number of log returns behind each value, at least 2.
        horizon: bars ahead.

    Returns:
        (n,) float64; NaN for the first `window` bars and where the window holds a NaN; 0 where the price
        stood still over the whole window.

    Raises:
        DataError: `close` is not one-dimensional, or `window` < 2 or `horizon` < 1.
    """
    if close.ndim != 1:
        raise DataError(f"`close` must be one symbol's prices, shape (n,); received shape {close.shape}")
    if window < 2 or horizon < 1:
        raise DataError(f"needs `window` >= 2 and `horizon` >= 1; received {window} and {horizon}")
    sigma = np.full(close.shape, np.nan)
    returns = np.diff(np.log(close))
    count = len(returns) - window + 1
    if count <= 0:
        return sigma
    lags = [returns[k : k + count] for k in range(window)]  # views, not copies
    mean = _sum(lags) / window
    variance = _sum([(lag - mean) ** 2 for lag in lags]) / (window - 1)
    sigma[window:] = np.sqrt(variance * horizon)
    return sigma


def _sum(terms: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Sum in a fixed order for every element, whatever the length of the arrays."""
    total = np.zeros_like(terms[0])
    for term in terms:
        total = total + term
    return total
