"""Scores of predictions and of equity curves. Enters: arrays. Leaves: plain numbers. Pure.

Everything about classes is a function of the confusion matrix, truth in rows, predictions in columns, order
`columns.CLASSES`. Those functions take leading dimensions, so that a bootstrap scores a thousand matrices at
once. A class that is neither true nor predicted has F1 0.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import DataError

Array = NDArray[np.float64]
CLASS_COUNT: Final = len(columns.CLASSES)
DAYS_PER_YEAR: Final = 365
_COLLAPSED: Final = 0.9  # share of one class among predictions


def confusion(truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> Array:
    """Counts (3, 3), truth in rows.

    Args:
        truth: (n,) classes.
        predicted: (n,) classes.
    """
    _same_length(truth, predicted)
    counts = np.bincount(truth.astype(np.int64) * CLASS_COUNT + predicted, minlength=CLASS_COUNT**2)
    return np.asarray(counts.reshape(CLASS_COUNT, CLASS_COUNT), dtype=np.float64)


def f1_per_class(matrix: Array) -> Array:
    """F1 of each class, `2 TP / (2 TP + FP + FN)`; (..., 3, 3) -> (..., 3)."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    total = matrix.sum(axis=-1) + matrix.sum(axis=-2)
    return _share(2.0 * hits, total)


def f1_macro(matrix: Array) -> Array:
    """Mean F1 of the three classes; (..., 3, 3) -> (...)."""
    return np.asarray(f1_per_class(matrix).mean(axis=-1))


def accuracy(matrix: Array) -> Array:
    """Share of right calls; (..., 3, 3) -> (...)."""
    return _share(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum(axis=(-2, -1)))


def balanced_accuracy(matrix: Array) -> Array:
    """Mean recall of the classes, 0 for one that never occurs; (..., 3, 3) -> (...)."""
    return np.asarray(_share(np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(axis=-1)).mean(axis=-1))


def majority_accuracy(matrix: Array, majority: int | None = None) -> Array:
    """Accuracy of calling one class always; (..., 3, 3) -> (...).

    Args:
        matrix: confusion counts.
        majority: the class; default is the most frequent truth of each matrix.
    """
    truth = matrix.sum(axis=-1)
    best = truth.max(axis=-1) if majority is None else truth[..., majority]
    return _share(best, truth.sum(axis=-1))


def class_shares(matrix: Array) -> Array:
    """Share of each class among the predictions; (..., 3, 3) -> (..., 3)."""
    return _share(matrix.sum(axis=-2), matrix.sum(axis=(-2, -1))[..., None])


def is_collapsed(shares: Array) -> bool:
    """Whether one class takes more than 90 % of the predictions; `shares` as of `class_shares`."""
    return bool(np.max(shares) > _COLLAPSED)


def volatility_only(matrix: Array) -> Array:
    """Expected confusion if HOLD calls stand and the directions are dealt out at random in the same numbers.

    What is left of F1 then comes from foreseeing volatility, which cannot be traded. (..., 3, 3) -> (..., 3,
    3).
    """
    sides = matrix[..., [columns.SELL, columns.BUY]]
    called = sides.sum(axis=-1, keepdims=True)  # (..., 3, 1): directional calls by truth
    shares = _share(sides.sum(axis=-2, keepdims=True), sides.sum(axis=(-2, -1))[..., None, None])
    dealt = matrix.copy()
    dealt[..., [columns.SELL, columns.BUY]] = called * shares
    return dealt


def chance(matrix: Array) -> Array:
    """Expected confusion if all calls are dealt out at random in the same numbers; (..., 3, 3) -> same."""
    total = matrix.sum(axis=(-2, -1))[..., None, None]
    return _share(matrix.sum(axis=-1)[..., :, None] * matrix.sum(axis=-2)[..., None, :], total)


def direction_counts(predicted: NDArray[np.integer], forward_return: Array) -> NDArray[np.bool_]:
    """(n, 2): was a BUY or SELL called where a return followed; and had that return the called sign."""
    _same_length(predicted, forward_return)
    side = np.sign(predicted.astype(np.float64) - columns.HOLD)  # SELL -1, HOLD 0, BUY 1
    outcome = side * np.sign(forward_return)
    return np.stack([outcome != 0, outcome > 0], axis=-1)


def direction_accuracy(predicted: NDArray[np.integer], forward_return: Array) -> float:
    """Share of BUY and SELL calls whose forward return has the called sign; NaN without calls."""
    called, right = direction_counts(predicted, forward_return).sum(axis=0)
    return float(right / called) if called else float("nan")


def ranks(values: Array) -> Array:
    """Ranks in (0, 1), ties share their mean rank; a monotone transform does not change them."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0 - 0.5)[inverse] / len(values))


def information_coefficient(signal: Array, score: Array) -> float:
    """Spearman's rank correlation of P(BUY) - P(SELL) with the forward score; NaN if one is constant."""
    _same_length(signal, score)
    a, b = ranks(signal) - 0.5, ranks(score) - 0.5
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def ranks_within(values: Array, group: NDArray[np.integer]) -> Array:
    """Ranks in (0, 1) among the rows of the same group; (n,) -> (n,).

    Args:
        values: (n,).
        group: (n,) any integers, e.g. years.
    """
    found = np.empty(len(values))
    for own in (group == number for number in np.unique(group)):
        found[own] = ranks(values[own])
    return found


def years(timestamp: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Calendar years UTC; (n,) -> (n,)."""
    return np.asarray(timestamp.astype("datetime64[Y]").astype(np.int64) + 1970)


def yearly_information_coefficient(signal: Array, score: Array, year: NDArray[np.integer]) -> float:
    """Correlation of ranks taken within each year; NaN if one side is constant.

    Pooled ranks reward a model that foresees which years move most; these do not.
    """
    _same_length(signal, score)
    return information_coefficient(ranks_within(signal, year), ranks_within(score, year))


def daily_returns(timestamp: NDArray[np.datetime64], equity: Array) -> Array:
    """Simple returns from one UTC day's last equity to the next; the first bar's equity is the base.

    Args:
        timestamp: (n,) times in order; each day ends with its last bar.
        equity: (n,) > 0.
    """
    _same_length(timestamp, equity)
    day = timestamp.astype("datetime64[D]")
    closes = equity[np.append(day[1:] != day[:-1], True)]
    levels = np.concatenate([equity[:1], closes])
    return np.asarray(levels[1:] / levels[:-1] - 1.0)


def sharpe(daily: Array) -> Array:
    """`mean / std * sqrt(365)` of daily returns (sample deviation), 0 where they are constant; last axis is
    days.

    Source: Sharpe (1994), risk-free rate 0, crypto trades every day.
    """
    if daily.shape[-1] < 2:
        return np.zeros(daily.shape[:-1])
    deviation = daily.std(axis=-1, ddof=1)
    mean = daily.mean(axis=-1)
    flat = deviation <= 1e-12
    return np.asarray(np.where(flat, 0.0, mean / np.where(flat, 1.0, deviation)) * DAYS_PER_YEAR**0.5)


def sortino(daily: Array) -> Array:
    """`mean / downside * sqrt(365)`, `downside^2 = mean(min(r, 0)^2)` over all days; last axis is days.

    Infinite where no day lost and some won, 0 where equity does not move. Source: Sortino & van der Meer
    (1991), target return 0.
    """
    if not daily.shape[-1]:
        return np.zeros(daily.shape[:-1])
    downside = np.sqrt((np.minimum(daily, 0.0) ** 2).mean(axis=-1))
    mean = daily.mean(axis=-1)
    none = downside <= 1e-12
    ratio = mean / np.where(none, 1.0, downside) * DAYS_PER_YEAR**0.5
    return np.asarray(np.where(none, np.where(mean > 1e-12, np.inf, 0.0), ratio))


def annual_return(daily: Array) -> Array:
    """What a year brings at the same compound growth a day, less one; -1 after a total loss; last axis is
    days."""
    if not daily.shape[-1]:
        return np.zeros(daily.shape[:-1])
    growth = np.log1p(np.maximum(daily, -1.0 + 1e-15)).mean(axis=-1)
    return np.asarray(np.expm1(growth * DAYS_PER_YEAR))


def annual_volatility(daily: Array) -> Array:
    """Standard deviation of daily returns (sample) times sqrt(365); last axis is days."""
    if daily.shape[-1] < 2:
        return np.zeros(daily.shape[:-1])
    return np.asarray(daily.std(axis=-1, ddof=1) * DAYS_PER_YEAR**0.5)


def longest_drawdown_days(daily: Array) -> int:
    """Most days in a row that ended below an earlier day's equity."""
    equity = np.cumprod(np.append(1.0, 1.0 + daily))
    below = equity < np.maximum.accumulate(equity)
    ends = np.flatnonzero(~below)
    return int(np.diff(np.append(ends, len(below))).max() - 1)


def max_drawdown(equity: Array) -> float:
    """Largest fall from a peak, as a share of the peak, 0..1."""
    if not len(equity):
        return 0.0
    return float((1.0 - equity / np.maximum.accumulate(equity)).max())


def total_return(equity: Array) -> float:
    """Last over first equity, less one."""
    return float(equity[-1] / equity[0] - 1.0)


def _share(part: Array, whole: Array) -> Array:
    """`part / whole`, 0 where there is nothing."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _same_length(a: NDArray[np.generic], b: NDArray[np.generic]) -> None:
    if a.shape != b.shape or a.ndim != 1:
        raise DataError(f"expected two arrays of one length, shape (n,); received {a.shape} and {b.shape}")
