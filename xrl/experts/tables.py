"""Checks on the matrices that every learner takes: one message for each way a table can be unusable."""

import numpy as np
from numpy.typing import NDArray

from xrl.columns import CLASSES
from xrl.errors import TrainingError


def check_training_rows(x: NDArray[np.floating], y: NDArray[np.integer]) -> None:
    """Refuse rows that no learner here can train on.

    Args:
        x: (rows, columns) features, any unit.
        y: (rows,) classes 0 SELL, 1 HOLD, 2 BUY.

    Raises:
        TrainingError: lengths differ, a value is not finite, or a class has no row.
    """
    if x.ndim != 2 or x.shape[0] != y.shape[0]:
        raise TrainingError(
            f"features must be (rows, columns) with one label a row; received {x.shape} and {y.shape}"
        )
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        raise TrainingError(
            f"training rows must be finite; {int(bad.sum())} of {len(bad)} have NaN or infinite features, "
            f"first at row {int(np.argmax(bad))}. Drop warm-up rows before training."
        )
    check_classes(y)


def check_classes(y: NDArray[np.integer]) -> None:
    """Refuse labels that lack one of the three classes.

    Args:
        y: (rows,) classes 0 SELL, 1 HOLD, 2 BUY.

    Raises:
        TrainingError: a class has no row.
    """
    counts = np.bincount(y.astype(np.int64), minlength=len(CLASSES))
    missing = [name.upper() for name, count in zip(CLASSES, counts) if count == 0]
    if missing:
        found = ", ".join(f"{name.upper()} {count}" for name, count in zip(CLASSES, counts))
        raise TrainingError(
            f"training rows must hold all three classes; {', '.join(missing)} missing (received {found}). "
            "Take more days (`snapshot.days`) or cut-offs nearer the middle (`labels.percentiles`)."
        )
