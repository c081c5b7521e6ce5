"""Trailing windows over one symbol's bars. Enters: (n,) float64 in time order. Leaves: (n,) float64.

Every value is computed from its own window in a fixed order of additions, never by adding the new and
subtracting the old bar, so it carries no rounding from bars outside the window: a serving window and the full
history agree to the bit. Sums over 2^k bars are doubled (w bars cost about log2 w additions a bar). Compiled
loops run over neighbouring bars, whose additions the processor does side by side, a block at a time, so that
what is passed over again stays in its first cache.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Bars of a block.
BLOCK: Final = 1024


def delay(x: Array, bars: int) -> Array:
    """`x` of `bars` bars ago; NaN for the first `bars`."""
    out = np.empty(len(x))
    out[:bars] = np.nan
    if bars < len(x):
        out[bars:] = x[: len(x) - bars]
    return out


def rolling_sum(x: Array, window: int) -> Array:
    """Sum of the last `window` values; NaN for the first `window - 1` and where the window holds a NaN."""
    out: Array = trailing_sum(x, window)
    out[: window - 1] = np.nan
    return out


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


@njit(cache=True, error_model="numpy")
def _ratio_above(numerator: Array, denominator: Array, undefined: float, floor: float) -> Array:
    out = np.empty(numerator.shape[0])
    for t in range(numerator.shape[0]):
        out[t] = undefined if denominator[t] <= floor else numerator[t] / denominator[t]
    return out


@njit(cache=True, error_model="numpy")
def _ratio_above_each(numerator: Array, denominator: Array, undefined: float, floor: Array) -> Array:
    out = np.empty(numerator.shape[0])
    for t in range(numerator.shape[0]):
        out[t] = undefined if denominator[t] <= floor[t] else numerator[t] / denominator[t]
    return out


@njit(cache=True)
def trailing_sum(x: Array, window: int) -> Array:
    """Sum of up to `window` last values: at the start of the history, of those there are."""
    out = np.zeros(x.shape[0])
    for begin in range(0, x.shape[0], BLOCK):
        _add_windows(x[max(begin - window + 1, 0) : begin + BLOCK], window, out[begin : begin + BLOCK])
    return out


@njit
def _add_windows(x: Array, window: int, out: Array) -> None:
    """Add the sum of the last `window` values to `out`, whose bars are the last of `x`; shorter at its start.

    `part[t]` is the sum of the `size` values up to x[t]; a window is laid together from its oldest bar on, of
    one part for each bit of its length.
    """
    size, later, before = 1, window, x.shape[0] - out.shape[0]
    part = x
    while True:
        if window & size:
            later -= size  # bars of the window after this part of it
            _add(part[max(before - later, 0) :], out[max(later - before, 0) :])
        if later == 0:
            return
        doubled = part.copy()
        _add(part, doubled[size:])
        part = doubled
        size *= 2


@njit
def _add(x: Array, out: Array) -> None:
    """Add the first values of `x` to `out`, as many as it holds."""
    for t in range(out.shape[0]):
        out[t] += x[t]


@njit(error_model="numpy")
def _means(x: Array, window: int, out: Array) -> None:
    """Means of the `window` values from each of the first of `x` on, as many as `out` holds, oldest first."""
    out[:] = 0.0
    for s in range(window):
        _add(x[s:], out)
    for t in range(out.shape[0]):
        out[t] /= window


@njit(cache=True)
def mean_before(x: Array, window: int) -> Array:
    """Mean of the `window` values before each, added from the oldest on; NaN where there are fewer."""
    out = np.full(x.shape[0], np.nan)
    for begin in range(window, x.shape[0], BLOCK):
        _means(x[begin - window :], window, out[begin : begin + BLOCK])
    return out


@njit(cache=True, error_model="numpy")
def rolling_std(x: Array, window: int) -> Array:
    """Population standard deviation of the last `window` values, two passes a window; NaN at the start."""
    out, mean = np.full(x.shape[0], np.nan), np.empty(BLOCK)
    for begin in range(window - 1, x.shape[0], BLOCK):
        own, past = out[begin : begin + BLOCK], x[begin - window + 1 :]
        _means(past, window, mean[: own.shape[0]])
        own[:] = 0.0
        for s in range(window):
            value = past[s:]
            for t in range(own.shape[0]):
                own[t] += (value[t] - mean[t]) * (value[t] - mean[t])
        for t in range(own.shape[0]):
            own[t] = math.sqrt(own[t] / window)
    return out


@njit(cache=True, error_model="numpy")
def rolling_mean_deviation(x: Array, window: int) -> Array:
    """Mean absolute deviation from the mean of the last `window` values; NaN at the start."""
    out, mean = np.full(x.shape[0], np.nan), np.empty(BLOCK)
    for begin in range(window - 1, x.shape[0], BLOCK):
        own, past = out[begin : begin + BLOCK], x[begin - window + 1 :]
        _means(past, window, mean[: own.shape[0]])
        own[:] = 0.0
        for s in range(window):
            value = past[s:]
            for t in range(own.shape[0]):
                own[t] += abs(value[t] - mean[t])
        for t in range(own.shape[0]):
            own[t] /= window
    return out


@njit(cache=True)
def rolling_argmax(x: Array, window: int) -> NDArray[np.int64]:
    """Index of the largest of the last `window` values, the latest among equals; of fewer at the start."""
    out = np.zeros(x.shape[0], np.int64)
    best = 0
    for t in range(x.shape[0]):
        if x[t] >= x[best]:
            best = t
        elif best <= t - window:  # it has left: look the window through
            best = t - window + 1
            for s in range(best + 1, t + 1):
                if x[s] >= x[best]:
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
