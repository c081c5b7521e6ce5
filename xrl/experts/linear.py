"""Logistic regression on single bars: the simplest baseline that reads every column.

Enters: feature rows and classes. Leaves: class probabilities.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from xrl.errors import TrainingError
from xrl.experts.tables import check_training_rows

_PENALTY_INVERSE = 0.01  # strong: the columns are many, correlated and weak
_MAX_STEPS = 200


def fit_predict(
    train_x: NDArray[np.floating], train_y: NDArray[np.integer], test_x: NDArray[np.floating], seed: int
) -> NDArray[np.float64]:
    """Fit a balanced multinomial logistic regression and answer class probabilities of the test rows.

    Columns are standardised with the training rows' mean and deviation; a constant column counts for nothing.

    Args:
        train_x: (rows, columns) features of training bars, finite.
        train_y: (rows,) classes 0 SELL, 1 HOLD, 2 BUY.
        test_x: (test rows, columns) features, finite.
        seed: the solver's seed.

    Returns:
        (test rows, 3) probabilities of SELL, HOLD, BUY.

    Raises:
        TrainingError: a row is not finite or a class is missing.
    """
    check_training_rows(train_x, train_y)
    if not np.isfinite(test_x).all():
        raise TrainingError("test rows must be finite for logistic regression; drop warm-up rows first")
    center = train_x.mean(axis=0)
    scale = train_x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    model = LogisticRegression(
        C=_PENALTY_INVERSE, class_weight="balanced", max_iter=_MAX_STEPS, random_state=seed
    )
    model.fit((train_x - center) / scale, train_y)
    return np.asarray(model.predict_proba((test_x - center) / scale), dtype=np.float64)
