"""Entrants' probabilities put together: plain means, and means with weights that earlier folds decide.

Enters: probabilities of test bars by entrant. Leaves: the same of each blend.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from xrl import columns
from xrl.errors import DataError
from xrl.evaluation import calibration

Array = NDArray[np.float64]

#: Pull of the exponents towards the plain geometric mean, in bars of log-loss.
_SHRINK: Final = 200.0


def mean(members: Sequence[Array]) -> Array:
    """Arithmetic mean of probabilities, (rows, 3) each.

    Raises:
        DataError: there is no member, or they are not of the same bars.
    """
    if not members or any(one.shape != members[0].shape for one in members):
        raise DataError(
            f"a blend needs members on the same bars; received shapes {[one.shape for one in members]}"
        )
    return np.asarray(np.mean(members, axis=0))


def stacked(
    members: Sequence[Array],
    truth: NDArray[np.integer],
    fold: NDArray[np.integer],
    known_from: NDArray[np.datetime64],
    train_end: dict[int, np.datetime64],
) -> tuple[Array, dict[int, tuple[float, ...]]]:
    """Logarithmic pool `p ~ prod_m p_m^w_m`, its exponents fitted for each fold on the folds before it.

    The first fold has none before it and takes the plain geometric mean. A bar teaches a later fold only if
    its label is known by the end of that fold's training. Source: Genest and Zidek (1986), "Combining
    probability distributions", Statistical Science 1(1).

    Args:
        members: probabilities. (rows, 3) each
        truth: classes; `columns.UNKNOWN` where not known. (rows,)
        fold: of each row. (rows,)
        known_from: when each row's label becomes known. (rows,)
        train_end: by fold.

    Returns:
        (rows, 3), and the exponents of each fold.
    """
    logs = np.log(np.clip(np.stack(members), calibration.FLOOR, 1.0))  # (members, rows, 3)
    found = np.full(members[0].shape, np.nan)
    exponents = {}
    for number in sorted(train_end):
        past = (fold < number) & (truth != columns.UNKNOWN) & (known_from <= train_end[number])
        weights = fitted_exponents(logs[:, past], truth[past])
        own = fold == number
        found[own] = _pool(weights, logs[:, own])
        exponents[number] = tuple(float(weight) for weight in weights)
    return found, exponents


def fitted_exponents(logs: Array, truth: NDArray[np.integer]) -> Array:
    """Exponents >= 0 of least log-loss, shrunk towards equal ones that add up to 1. (members,)

    Args:
        logs: log-probabilities. (members, rows, 3)
        truth: classes, may be empty. (rows,)
    """
    start = np.full(len(logs), 1.0 / len(logs))
    if not len(truth):
        return start
    at = np.arange(len(truth))

    def loss(weights: Array) -> tuple[float, Array]:
        p = _pool(weights, logs)
        residual = p.copy()
        residual[at, truth] -= 1.0
        value = -np.log(np.clip(p[at, truth], calibration.FLOOR, 1.0)).sum()
        gradient = np.einsum("mnc,nc->m", logs, residual)
        away = weights - start
        scale = 1.0 / len(truth)
        return float(value + _SHRINK * away @ away) * scale, (gradient + 2.0 * _SHRINK * away) * scale

    bounds = [(0.0, 3.0)] * len(logs)
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _pool(weights: Array, logs: Array) -> Array:
    """(members,), (members, rows, 3) -> (rows, 3)"""
    z = np.tensordot(weights, logs, axes=1)
    shifted = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
