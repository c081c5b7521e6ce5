"""Probabilities that mean what they say. Enters: (n, 3) probabilities and classes. Leaves: scaling, ECE.
Pure.

Temperature scaling divides log-probabilities by one number fitted by maximum likelihood on bars the model was
not trained on. Source: Guo et al. (2017).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from xrl.errors import DataError
from xrl.evaluation.metrics import Array

FLOOR = 1e-12
#: Temperatures stay within e^-3 .. e^3.
BOUND = 3.0
BINS = 15


def fit_temperature(probabilities: Array, truth: NDArray[np.integer]) -> float:
    """The temperature of largest likelihood.

    Args:
        probabilities: (n, classes), rows sum to 1.
        truth: (n,) classes.

    Raises:
        DataError: shapes differ or there is no row.
    """
    if probabilities.ndim != 2 or truth.shape != probabilities.shape[:1] or not len(truth):
        raise DataError(
            f"expected probabilities (n, classes) and classes (n,), n > 0; received {probabilities.shape} "
            f"and {truth.shape}"
        )
    logits = _logits(probabilities)
    one_hot = np.eye(logits.shape[1])[truth]

    def loss(log_inverse: Array) -> tuple[float, Array]:
        inverse = np.exp(log_inverse[0])
        log_p = _log_softmax(logits * inverse)
        residual = (np.exp(log_p) - one_hot) / len(truth)  # (n, classes)
        gradient = np.array([(residual * logits).sum() * inverse])
        return float(-(log_p * one_hot).sum() / len(truth)), gradient

    options = {"gtol": 1e-9, "ftol": 1e-14}
    found = minimize(
        loss, np.zeros(1), jac=True, method="L-BFGS-B", bounds=[(-BOUND, BOUND)], options=options
    )
    return float(np.exp(-found.x[0]))


def apply(probabilities: Array, temperature: float) -> Array:
    """Calibrated probabilities `softmax(log p / temperature)`, same shape."""
    return np.exp(_log_softmax(_logits(probabilities) / temperature))


def log_loss(probabilities: Array, truth: NDArray[np.integer]) -> float:
    """Mean negative log-likelihood in nats a bar."""
    return float(log_losses(probabilities, truth).mean())


def log_losses(probabilities: Array, truth: NDArray[np.integer]) -> Array:
    """Negative log-likelihood of each bar in nats; (n, classes), (n,) -> (n,)."""
    return np.asarray(-_logits(probabilities)[np.arange(len(truth)), truth])


def expected_calibration_error(probabilities: Array, truth: NDArray[np.integer], bins: int = BINS) -> float:
    """Mean gap between the largest probability and how often that class was right, over equal-width bins.

    Source: Naeini et al. (2015). 0 for no rows.
    """
    return _error(reliability(*top_label(probabilities, truth), bins))


def class_calibration_error(
    probabilities: Array, truth: NDArray[np.integer], called: int, bins: int = BINS
) -> float:
    """The same gap between the probability of the class `called` and how often it came true.

    Source: Kull et al. (2019), class-wise. 0 for no rows.
    """
    return _error(reliability(probabilities[:, called], truth == called, bins))


class Reliability(NamedTuple):
    """What was said and what came true in each equal-width bin, each (bins,); 0 in an empty bin."""

    rows: NDArray[np.int64]
    said: Array  # mean probability
    came_true: Array  # share of rows


def top_label(probabilities: Array, truth: NDArray[np.integer]) -> tuple[Array, NDArray[np.bool_]]:
    """The largest probability of each row and whether that class came true, (n,) each."""
    return probabilities.max(axis=1, initial=0.0), probabilities.argmax(axis=1) == truth


def reliability(said: Array, came_true: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """The reliability diagram of one event's probability.

    Args:
        said: (n,) probabilities.
        came_true: (n,).
        bins: of equal width over 0..1.
    """
    cell = bins_of(said, bins)
    rows = np.bincount(cell, minlength=bins)
    some = np.maximum(rows, 1)
    return Reliability(
        rows,
        np.bincount(cell, weights=said, minlength=bins) / some,
        np.bincount(cell, weights=came_true.astype(np.float64), minlength=bins) / some,
    )


def bins_of(said: Array, bins: int = BINS) -> NDArray[np.int64]:
    """The equal-width bin of each probability, (n,)."""
    return np.minimum((said * bins).astype(np.int64), bins - 1)


def _error(found: Reliability) -> float:
    return float(found.rows @ np.abs(found.came_true - found.said) / max(found.rows.sum(), 1))


def _logits(probabilities: Array) -> Array:
    return np.log(np.clip(np.asarray(probabilities, dtype=np.float64), FLOOR, 1.0))


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
