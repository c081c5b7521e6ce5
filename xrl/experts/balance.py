"""Class weights: how much a training bar of each class counts. Enters: classes. Leaves: three weights."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xrl.columns import CLASSES
from xrl.experts.tables import check_classes

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


def class_weights(y: NDArray[np.integer], kind: Literal["balanced", "source", "none"]) -> NDArray[np.float64]:
    """Weights of SELL, HOLD, BUY by name: `balanced`, `source` (1.2, 1.1, 0.8) or `none` (1, 1, 1).

    Raises:
        TrainingError: a class has no row in `y`, whatever the kind.
    """
    balanced = balanced_weights(y)
    if kind == "balanced":
        return balanced
    return np.array(SOURCE_WEIGHTS) if kind == "source" else np.ones(len(CLASSES))
