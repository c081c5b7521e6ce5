"""Figures of predictions, with intervals, as metrics.json holds them. Enters: arrays. Leaves: dicts."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import DataError
from xrl.evaluation import alarms, calibration, metrics, significance
from xrl.evaluation.metrics import Array
from xrl.evaluation.significance import Interval, Statistic, of_confusion

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


class Score(NamedTuple):
    """A figure as a statistic of weekly sums (weeks, k)."""

    statistic: Statistic
    sums: Array


def scores(predictions: Predictions) -> dict[str, Score]:
    """The figures that have intervals and that models are compared by, as statistics of their weeks' sums.

    Both information coefficients are rank correlations of P(BUY) - P(SELL) with the score: over all bars
    together, and ranked within each calendar year, so that foreseeing which years move counts for nothing.
    """
    p = predictions
    week, year = significance.week_index(p.timestamp), metrics.years(p.timestamp)
    confusion = significance.confusion_sums(p.truth, p.predicted, week)
    sides = metrics.direction_counts(p.predicted, p.forward_return).astype(float)
    losses = np.stack([np.ones(len(week)), calibration.log_losses(p.probabilities, p.truth)], axis=1)
    ranks = significance.rank_sums
    return {
        "f1_macro": Score(of_confusion(metrics.f1_macro), confusion),
        "balanced_accuracy": Score(of_confusion(metrics.balanced_accuracy), confusion),
        "direction_accuracy": Score(significance.share, significance.block_sums(sides, week)),
        "ic": Score(significance.correlation, ranks(p.signal, p.score, week)),
        "ic_within_year": Score(significance.correlation, ranks(p.signal, p.score, week, year)),
        "log_loss": Score(significance.share, significance.block_sums(losses, week)),
    }


def prediction_figures(predictions: Predictions, draws: int, seed: int) -> Figures:
    """Scores with weekly block-bootstrap intervals: all of metrics.json's `prediction` but null and rivals.

    Args:
        predictions: matured bars over at least two weeks.
        draws: bootstrap resamples.
        seed: of the resampling.
    """
    p = predictions
    found = scores(p)
    matrix = metrics.confusion(p.truth, p.predicted)
    majority = int(matrix.sum(axis=1).argmax())
    above = {
        "accuracy_minus_majority": lambda m: metrics.accuracy(m) - metrics.majority_accuracy(m, majority),
        "f1_minus_volatility_only": lambda m: (
            metrics.f1_macro(m) - metrics.f1_macro(metrics.volatility_only(m))
        ),
    }
    confusion = found["f1_macro"].sums
    found |= {name: Score(of_confusion(statistic), confusion) for name, statistic in above.items()}
    figures: Figures = {
        name: significance.interval(*score, draws, seed)._asdict() for name, score in found.items()
    }
    return {**figures, **_plain(matrix), **_calibration(p, draws, seed)}


def paired_figures(
    ours: Predictions, theirs: Predictions, draws: int, seed: int
) -> dict[str, dict[str, float]]:
    """Every score of `ours` minus that of `theirs` on the same bars: weekly paired tests.

    Raises:
        DataError: the two are not of the same bars.
    """
    if not (np.array_equal(ours.symbol, theirs.symbol) and np.array_equal(ours.timestamp, theirs.timestamp)):
        raise DataError(
            f"a paired test needs both models on the same bars; received {len(ours.symbol)} and "
            f"{len(theirs.symbol)} of them"
        )
    rival = scores(theirs)
    return {
        name: significance.paired_test(
            own.statistic, rival[name].statistic, own.sums, rival[name].sums, draws, seed
        )._asdict()
        for name, own in scores(ours).items()
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
        "f1_volatility_only": float(metrics.f1_macro(metrics.volatility_only(matrix))),
        **{f"share_{name}": float(value) for name, value in zip(names, shares)},
    }


def _calibration(predictions: Predictions, draws: int, seed: int) -> Figures:
    """Calibration errors: of the largest probability, with an interval beside it, and of each class."""
    p = predictions
    top, week = calibration.top_label(p.probabilities, p.truth), significance.week_index(p.timestamp)
    found = significance.unbiased_interval(
        significance.calibration_error, significance.gap_sums(*top, week), draws, seed
    )
    of_class = {
        f"ece_{name}": calibration.class_calibration_error(p.probabilities, p.truth, called)
        for called, name in enumerate(columns.CLASSES)
    }
    return {"ece": found.value, "ece_interval": found._asdict(), **of_class}
