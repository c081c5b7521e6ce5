"""Trailing windows over one symbol's bars. Enters: (n,) float64 in time order. Leaves: (n,) float64.

Every value is computed from its own window in a fixed order of additions, never by adding the new and
subtracting the old bar, so it carries no rounding from bars outside the window: a serving window and the full
history agree to the bit. Sums over 2^k bars are doubled (w bars cost about log2 w additions a bar).
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


def delay(x: Array, bars: int) -> Array:
    """`x` of `bars` bars ago; NaN for the first `bars`."""
    out = np.empty(len(x))
    out[:bars] = np.nan
    if bars < len(x):
        out[bars:] = x[: len(x) - bars]
    return out


def rolling_sum(x: Array, window: int) -> Array:
    """Sum of the last `window` values; NaN for the first `window - 1` and where the window holds a NaN."""
    out = np.empty(len(x))
    out[: window - 1] = np.nan
    if window <= len(x):
        out[window - 1 :] = _window_sums(x, window)
    return out


def trailing_sum(x: Array, window: int) -> Array:
    """Sum of up to `window` last values: at the start of the history, of those there are."""
    padded = np.zeros(len(x) + window - 1)
    padded[window - 1 :] = x
    return np.asarray(_window_sums(padded, window))


def rolling_mean(x: Array, window: int) -> Array:
    """Mean of the last `window` values; NaN like `rolling_sum`."""
    return rolling_sum(x, window) / window


def rolling_rms(x: Array, window: int) -> Array:
    """Root mean square of the last `window` values; NaN like `rolling_sum`.

    Used as realised volatility: unlike a standard deviation it is zero only if every return is zero, and no
    return inside the window exceeds it more than sqrt(window) times.
    """
    return np.sqrt(rolling_mean(x * x, window))


def ratio(numerator: Array, denominator: Array, undefined: float, floor: Array | float = 0.0) -> Array:
    """`numerator / denominator`, and `undefined` where the denominator is `floor` or less; NaN stays NaN."""
    if isinstance(floor, np.ndarray):
        return np.asarray(_ratio_above_each(numerator, denominator, undefined, floor))
    return np.asarray(_ratio_above(numerator, denominator, undefined, floor))


@njit(cache=True)
def _ratio_above(numerator: Array, denominator: Array, undefined: float, floor: float) -> Array:
    out = np.empty(numerator.shape[0])
    for t in range(numerator.shape[0]):
        out[t] = undefined if denominator[t] <= floor else numerator[t] / denominator[t]
    return out


@njit(cache=True)
def _ratio_above_each(numerator: Array, denominator: Array, undefined: float, floor: Array) -> Array:
    out = np.empty(numerator.shape[0])
    for t in range(numerator.shape[0]):
        out[t] = undefined if denominator[t] <= floor[t] else numerator[t] / denominator[t]
    return out


@njit(cache=True)
def _window_sums(x: Array, window: int) -> Array:
    """Sums of every full window, first window first, shape (n - window + 1,)."""
    count = x.shape[0] - window + 1
    total, part = np.zeros(count), x.copy()  # part[t]: sum of the `size` values from x[t] on
    size, offset = 1, 0
    while True:
        if window & size:
            for t in range(count):
                total[t] += part[offset + t]
            offset += size
        if offset == window:
            return total
        for t in range(part.shape[0] - 2 * size + 1):
            part[t] += part[t + size]
        size *= 2


@njit(cache=True)
def _mean(x: Array, t: int, window: int) -> float:
    """Mean of the `window` values up to and with x[t], summed from the oldest on."""
    total = 0.0
    for s in range(t - window + 1, t + 1):
        total += x[s]
    return total / window


@njit(cache=True)
def rolling_std(x: Array, window: int) -> Array:
    """Population standard deviation of the last `window` values, two passes a window; NaN at the start."""
    out = np.full(x.shape[0], np.nan)
    for t in range(window - 1, x.shape[0]):
        mean = _mean(x, t, window)
        squares = 0.0
        for s in range(t - window + 1, t + 1):
            squares += (x[s] - mean) * (x[s] - mean)
        out[t] = math.sqrt(squares / window)
    return out


@njit(cache=True)
def rolling_mean_deviation(x: Array, window: int) -> Array:
    """Mean absolute deviation from the mean of the last `window` values; NaN at the start."""
    out = np.full(x.shape[0], np.nan)
    for t in range(window - 1, x.shape[0]):
        mean = _mean(x, t, window)
        deviation = 0.0
        for s in range(t - window + 1, t + 1):
            deviation += abs(x[s] - mean)
        out[t] = deviation / window
    return out


@njit(cache=True)
def rolling_argmax(x: Array, window: int) -> NDArray[np.int64]:
    """Index of the largest of the last `window` values, the latest among equals; of fewer at the start."""
    out = np.zeros(x.shape[0], np.int64)
    for t in range(x.shape[0]):
        best = t
        for s in range(t - 1, max(t - window, -1), -1):
            if x[s] > x[best]:
                best = s
        out[t] = best
    return out


@njit(cache=True)
def bars_since(event: NDArray[np.bool_], start: int) -> NDArray[np.int64]:
    """Bars since `event` was last true, 0 on it; before the first event it counts on from `start`."""
    out = np.zeros(event.shape[0], np.int64)
    count = start
    for t in range(event.shape[0]):
        count = 0 if event[t] else count + 1
        out[t] = count
    return out
