"""Probabilities that mean what they say. Enters: (n, 3) probabilities and classes. Leaves: scaling, ECE.
Pure.

Temperature scaling divides log-probabilities by one number fitted by maximum likelihood on bars the model was
not trained on; an optional bias per class corrects the class shares too. Source: Guo et al. (2017).
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


class Calibration(NamedTuple):
    """`softmax(log p / temperature + bias)`; bias sums to 0."""

    temperature: float
    bias: tuple[float, ...]


def fit_temperature(probabilities: Array, truth: NDArray[np.integer], with_bias: bool = False) -> Calibration:
    """Maximum-likelihood scaling.

    Args:
        probabilities: (n, classes), rows sum to 1.
        truth: (n,) classes.
        with_bias: also fit a bias per class; else it is 0.

    Raises:
        DataError: shapes differ or there is no row.
    """
    if probabilities.ndim != 2 or truth.shape != probabilities.shape[:1] or not len(truth):
        raise DataError(
            f"expected probabilities (n, classes) and classes (n,), n > 0; received {probabilities.shape} "
            f"and {truth.shape}"
        )
    logits = _logits(probabilities)
    classes = logits.shape[1]
    one_hot = np.eye(classes)[truth]

    def loss(theta: Array) -> tuple[float, Array]:
        inverse = np.exp(theta[0])
        bias = np.append(theta[1:], -theta[1:].sum()) if with_bias else np.zeros(classes)
        log_p = _log_softmax(logits * inverse + bias)
        residual = (np.exp(log_p) - one_hot) / len(truth)  # (n, classes)
        slope = residual.sum(axis=0)
        gradient = [(residual * logits).sum() * inverse]
        if with_bias:
            gradient.extend(slope[:-1] - slope[-1])
        return float(-(log_p * one_hot).sum() / len(truth)), np.array(gradient)

    free = classes - 1 if with_bias else 0
    bounds = [(-BOUND, BOUND)] * (1 + free)
    options = {"gtol": 1e-9, "ftol": 1e-14}
    found = minimize(loss, np.zeros(1 + free), jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    bias = (*found[1:], -found[1:].sum()) if with_bias else (0.0,) * classes
    return Calibration(float(np.exp(-found[0])), tuple(float(value) for value in bias))


def apply(probabilities: Array, calibration: Calibration) -> Array:
    """Calibrated probabilities, same shape."""
    scaled = _logits(probabilities) / calibration.temperature + np.array(calibration.bias)
    return np.exp(_log_softmax(scaled))


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
