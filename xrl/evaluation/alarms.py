"""The null: the same predictions against labels moved in time. Enters: per-bar arrays. Leaves: figures.

Labels shifted by more than a window and a horizon have nothing to do with what the model saw; what is still
"foreseen" then comes from class shares alone, or from a fault. The gate compares the mean over many shifts
with chance (`registry.alarms`, where the bounds of figures that are too good to be true stand as well).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.evaluation import metrics
from xrl.evaluation.metrics import Array

#: Fewest shifts whose mean is a null.
SHIFTS = 20
#: Standard errors that a null may stand off chance.
NULL_ERRORS = 2.6


class Null(NamedTuple):
    """Mean figures over the shifts, and each shift's, shape (shifts,)."""

    f1_macro: float
    direction_accuracy: float
    f1_shifts: Array
    direction_shifts: Array


def shift_lengths(bars: int, minimum: int, count: int, seed: int) -> NDArray[np.int64]:
    """`count` different shifts in bars, each longer than `minimum` both ways round a circle of `bars`.

    Args:
        bars: length of the shortest symbol's history.
        minimum: horizon + window.
        count: number of shifts.
        seed: of the choice.

    Raises:
        DataError: the history is too short for `count` such shifts.
    """
    possible = np.arange(minimum + 1, bars - minimum)
    if len(possible) < count:
        raise DataError(
            f"a null of {count} shifts, each longer than {minimum} bars, needs {2 * minimum + 1 + count} "
            f"bars of every symbol; received {bars}. Test on a longer span."
        )
    return np.sort(np.random.default_rng(seed).choice(possible, count, replace=False))


def shifted_null(
    symbol: NDArray[np.generic],
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    forward_return: Array,
    shifts: NDArray[np.int64],
) -> Null:
    """Score the predictions against the labels of `shifts` bars earlier, around each symbol's own circle.

    Args:
        symbol: (n,) names; each symbol's rows in time order.
        truth: (n,) classes.
        predicted: (n,) classes.
        forward_return: (n,) log returns that `truth` was cut from.
        shifts: see `shift_lengths`.

    Raises:
        DataError: fewer than 20 shifts.
    """
    if len(shifts) < SHIFTS:
        raise DataError(f"a null needs at least {SHIFTS} shifts; received {len(shifts)}")
    rows = [np.flatnonzero(symbol == name) for name in np.unique(symbol)]
    f1, direction = [], []
    for shift in shifts:
        source = np.empty(len(truth), dtype=np.int64)
        for own in rows:
            source[own] = np.roll(own, shift)
        f1.append(float(metrics.f1_macro(metrics.confusion(truth[source], predicted))))
        direction.append(metrics.direction_accuracy(predicted, forward_return[source]))
    f1_shifts, direction_shifts = np.array(f1), np.array(direction)
    return Null(float(f1_shifts.mean()), float(direction_shifts.mean()), f1_shifts, direction_shifts)


def null_tolerance(bound: float, standard_error: float) -> float:
    """How far a null figure may stand off chance: `bound`, or 2.6 block-bootstrap standard errors if more."""
    return max(bound, NULL_ERRORS * standard_error)
