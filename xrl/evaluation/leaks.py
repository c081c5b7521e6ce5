"""Leaks that no score shows: what a column, a scaler or a training set knows of later bars. Pure.

Enters: matrices, fitted numbers, spans. Leaves: differences that are 0 where nothing leaks.

    prefix           a value at bar t that changes when later bars are cut off: shifted features, a higher
                     timeframe's bar that is not closed, a centred window
    scaler           numbers fitted on other bars than those that train; they hardly move any score
    reaching labels  training labels whose outcome lies in the test span: purge or embargo is missing

Features a bar ahead and a random split show in direction, IC and Sharpe as well (`registry.alarms`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.evaluation.metrics import Array

Mask = NDArray[np.bool_]
#: Which rows are kept -> the columns of those rows, in order, built from them alone.
Rebuild = Callable[[Mask], Array]


class Worst(NamedTuple):
    """The column that differs most, and by how much; infinite where a value is known on one side alone."""

    column: str
    difference: float


def prefix_differences(whole: Array, prefixes: Iterable[Mask], rebuild: Rebuild) -> Array:
    """How far each column moves when later bars are cut off, in its own standard deviations.

    Args:
        whole: columns as they were built from the full history. (rows, columns)
        prefixes: which rows are kept, each time all up to some moment. (rows,) each
        rebuild: builds the columns of the kept rows from them alone.

    Returns:
        (columns,) largest difference over all kept rows of all prefixes; 0 for a column causal to the bit.

    Raises:
        DataError: no prefix, or a rebuilt matrix of another shape.
    """
    spread = deviations(whole)
    worst = np.full(whole.shape[1], -1.0)
    for keep in prefixes:
        stored, rebuilt = whole[keep], rebuild(keep)
        if rebuilt.shape != stored.shape:
            raise DataError(
                f"columns rebuilt from {len(stored)} bars must have shape {stored.shape}; received "
                f"{rebuilt.shape}. Build the columns that were stored, in their order."
            )
        worst = np.maximum(worst, largest_gaps(stored, rebuilt) / spread)
    if (worst < 0).any():
        raise DataError("a prefix check needs at least one prefix; received none")
    return worst


def worst_column(names: Sequence[str], differences: Array) -> Worst:
    """The column with the largest difference. (columns,)"""
    at = int(differences.argmax())
    return Worst(names[at], float(differences[at]))


def scaler_difference(center: Array, scale: Array, own_center: Array, own_scale: Array) -> float:
    """How far a scaler stands from the one fitted on its own training bars, in the latter's scale.

    Args:
        center, scale: of the scaler in use. (columns,)
        own_center, own_scale: fitted anew on the bars that train. (columns,)

    Returns:
        The largest of `|center - own_center| / own_scale` and `|scale / own_scale - 1|`; infinite where the
        two are of other columns.
    """
    if center.shape != own_center.shape:
        return float("inf")
    apart = np.maximum(np.abs(center - own_center) / own_scale, np.abs(scale / own_scale - 1.0))
    return float(apart.max(initial=0.0))


def reaching_labels(
    opens: NDArray[np.datetime64],
    ends: NDArray[np.datetime64],
    training: Mask,
    test: tuple[np.datetime64, np.datetime64],
    embargo: np.timedelta64,
) -> int:
    """Training bars whose span, from open to the label being known, comes within the embargo of a test.

    Args:
        opens: of the bars. (rows,)
        ends: when each label is known; a training bar without one counts as reaching. (rows,)
        training: bars that train. (rows,)
        test: start and end of the test span, the end exclusive.
        embargo: time that must lie between.
    """
    start, end = test
    clear = (ends <= start - embargo) | (opens >= end + embargo)
    return int((training & ~(clear & ~np.isnat(ends))).sum())


def largest_gaps(whole: Array, rebuilt: Array) -> Array:
    """Largest absolute difference of each column (rows, columns) -> (columns,).

    Unknown on both sides is no difference, unknown on one side alone an infinite one.
    """
    with np.errstate(invalid="ignore"):
        gap = np.fmax.reduce(np.abs(whole - rebuilt), axis=0, initial=0.0)
    torn = (np.isfinite(whole) != np.isfinite(rebuilt)).any(axis=0)
    return np.asarray(np.where(torn, np.inf, gap))


def deviations(whole: Array) -> Array:
    """Standard deviation of each column's finite values, 1 where constant. (rows, columns) -> (columns,)"""
    known = np.isfinite(whole)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, whole, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, whole - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.asarray(np.where(deviation > 0, deviation, 1.0))
