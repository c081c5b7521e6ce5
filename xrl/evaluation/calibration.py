"""Probabilities that mean what they say. Enters: (n, 3) probabilities and classes. Leaves: scaling, ECE.
Pure.

Temperature scaling divides log-probabilities by one number fitted by maximum likelihood on bars the model was
not trained on. Source: Guo et al. (2017).
"""

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
    return float(-_logits(probabilities)[np.arange(len(truth)), truth].mean())


def expected_calibration_error(probabilities: Array, truth: NDArray[np.integer], bins: int = BINS) -> float:
    """Mean gap between the largest probability and how often that class was right, over equal-width bins.

    Source: Naeini et al. (2015). 0 for no rows.
    """
    if not len(truth):
        return 0.0
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    cell = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(cell, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(truth))


def _logits(probabilities: Array) -> Array:
    return np.log(np.clip(np.asarray(probabilities, dtype=np.float64), FLOOR, 1.0))


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
