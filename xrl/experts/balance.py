"""Class weights: how much a training bar of each class counts. Enters: classes. Leaves: three weights."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xrl.columns import CLASSES
from xrl.experts.tables import check_classes

Kind = Literal["balanced", "sqrt", "effective", "source", "none"]
#: beta of the effective number of samples (Cui et al. 2019).
_BETA = 0.9999
#: The source's fixed weights of SELL, HOLD, BUY (docs/product M4).
SOURCE_WEIGHTS = (1.2, 1.1, 0.8)


def balanced_weights(y: NDArray[np.integer]) -> NDArray[np.float64]:
    """Weights inverse to class counts: `w_c = n / (3 n_c)`, so that every class weighs the same in total.

    Args:
        y: (rows,) classes of training bars.

    Returns:
        (3,) weights of SELL, HOLD, BUY; their mean over rows is 1.

    Raises:
        TrainingError: a class has no row.
    """
    check_classes(y)
    counts = np.bincount(y.astype(np.int64), minlength=len(CLASSES))
    return np.asarray(len(y) / (len(CLASSES) * counts), dtype=np.float64)


def class_weights(
    y: NDArray[np.integer], kind: Kind, shown: NDArray[np.number] | None = None
) -> NDArray[np.float64]:
    """Weights of SELL, HOLD, BUY by name.

    Args:
        y: (rows,) classes of training bars.
        kind: see below.
        shown: (3,) how often bars of each class are shown in an epoch; default: once each.

    `balanced`: inverse to the counts; `sqrt`: to their root; `effective`: to `(1 - beta^n) / (1 - beta)`
    with beta .9999 (Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples",
    arXiv:1901.05555). These three have mean 1 over the rows. `source`: 1.2, 1.1, 0.8; `none`: 1, 1, 1.

    Raises:
        TrainingError: a class has no row in `y`, whatever the kind.
    """
    check_classes(y)
    counts = (
        np.bincount(y.astype(np.int64), minlength=len(CLASSES)) if shown is None else np.maximum(shown, 1)
    )
    match kind:
        case "balanced":
            return np.asarray(counts.sum() / (len(CLASSES) * counts))
        case "sqrt":
            return _mean_one(np.asarray(1.0 / np.sqrt(counts)), counts)
        case "effective":
            return _mean_one(np.asarray((1.0 - _BETA) / (1.0 - _BETA**counts)), counts)
        case "source":
            return np.array(SOURCE_WEIGHTS)
        case "none":
            return np.ones(len(CLASSES))


def _mean_one(weights: NDArray[np.float64], counts: NDArray[np.number]) -> NDArray[np.float64]:
    """`weights` scaled so that their mean over the rows is 1."""
    return np.asarray(weights * counts.sum() / (weights * counts).sum())
