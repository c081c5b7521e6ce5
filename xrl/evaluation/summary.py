"""Figures of predictions, with intervals, as metrics.json holds them. Enters: arrays. Leaves: dicts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.evaluation import alarms, calibration, metrics, significance
from xrl.evaluation.metrics import Array
from xrl.evaluation.significance import Interval, of_confusion

Figures = dict[str, float | dict[str, float]]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Matured bars with their predictions, sorted by symbol, then time; every array (n, ...).

    Attributes:
        symbol: (n,) names.
        timestamp: (n,) datetime64, opens, UTC.
        probabilities: (n, 3), order of `columns.CLASSES`.
        truth: (n,) classes, cut with each bar's own fold.
        forward_return: (n,) log returns.
        score: (n,) forward return over volatility.
    """

    symbol: NDArray[np.generic]
    timestamp: NDArray[np.datetime64]
    probabilities: Array
    truth: NDArray[np.integer]
    forward_return: Array
    score: Array

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each bar."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def signal(self) -> Array:
        """P(BUY) - P(SELL)."""
        return np.asarray(self.probabilities[:, columns.BUY] - self.probabilities[:, columns.SELL])


def prediction_figures(predictions: Predictions, draws: int, seed: int) -> Figures:
    """Scores with weekly block-bootstrap intervals: all of metrics.json's `prediction` but null and rivals.

    Args:
        predictions: matured bars over at least two weeks.
        draws: bootstrap resamples.
        seed: of the resampling.
    """
    p = predictions
    predicted, week = p.predicted, significance.week_index(p.timestamp)
    sums = significance.confusion_sums(p.truth, predicted, week)
    matrix = metrics.confusion(p.truth, predicted)
    majority = int(matrix.sum(axis=1).argmax())
    sides = significance.block_sums(metrics.direction_counts(predicted, p.forward_return).astype(float), week)
    intervals = {
        "f1_macro": significance.interval(of_confusion(metrics.f1_macro), sums, draws, seed),
        "direction_accuracy": significance.interval(significance.share, sides, draws, seed),
        "ic": significance.interval(
            significance.correlation, significance.rank_sums(p.signal, p.score, week), draws, seed
        ),
        "accuracy_minus_majority": significance.interval(
            of_confusion(lambda m: metrics.accuracy(m) - metrics.majority_accuracy(m, majority)),
            sums,
            draws,
            seed,
        ),
        "f1_minus_volatility_only": significance.interval(
            of_confusion(lambda m: metrics.f1_macro(m) - metrics.f1_macro(metrics.volatility_only(m))),
            sums,
            draws,
            seed,
        ),
    }
    found: Figures = {name: interval._asdict() for name, interval in intervals.items()}
    return {
        **found,
        **_plain(matrix),
        "ece": calibration.expected_calibration_error(p.probabilities, p.truth),
    }


def f1_difference(
    truth: NDArray[np.integer],
    ours: NDArray[np.integer],
    theirs: NDArray[np.integer],
    timestamp: NDArray[np.datetime64],
    draws: int,
    seed: int,
) -> Interval:
    """F1 macro of `ours` minus `theirs` on the same bars, with its paired weekly block-bootstrap interval."""
    week = significance.week_index(timestamp)
    f1 = of_confusion(metrics.f1_macro)
    sums, rival = (significance.confusion_sums(truth, calls, week) for calls in (ours, theirs))
    return significance.paired(f1, f1, sums, rival, draws, seed)


def null_figures(predictions: Predictions, min_shift_bars: int, seed: int) -> dict[str, float]:
    """Mean F1 macro and direction accuracy against labels shifted by more than `min_shift_bars`.

    Beside them `chance_f1`: F1 macro of dealing the same calls out at random on the same bars.
    """
    p = predictions
    shortest = min(int((p.symbol == name).sum()) for name in np.unique(p.symbol))
    shifts = alarms.shift_lengths(shortest, min_shift_bars, alarms.SHIFTS, seed)
    null = alarms.shifted_null(p.symbol, p.truth, p.predicted, p.forward_return, shifts)
    chance = metrics.f1_macro(metrics.chance(metrics.confusion(p.truth, p.predicted)))
    return {
        "null_f1": null.f1_macro,
        "null_direction": null.direction_accuracy,
        "chance_f1": float(chance),
    }


def _plain(matrix: Array) -> dict[str, float]:
    """Figures without an interval."""
    names = columns.CLASSES
    f1, shares = metrics.f1_per_class(matrix), metrics.class_shares(matrix)
    return {
        **{f"f1_{name}": float(value) for name, value in zip(names, f1)},
        "accuracy": float(metrics.accuracy(matrix)),
        "balanced_accuracy": float(metrics.balanced_accuracy(matrix)),
        "f1_volatility_only": float(metrics.f1_macro(metrics.volatility_only(matrix))),
        **{f"share_{name}": float(value) for name, value in zip(names, shares)},
    }
