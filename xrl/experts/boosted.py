"""LightGBM on single bars: the baseline that an expert must not fall below.

Enters: scaled feature rows and classes. Leaves: class probabilities. Settings: the tuned ones of
docs/evaluation ("What is known about beating LightGBM"), with the smallest leaf scaled to the table, and two
bags of 100 rounds at .045 in place of three of 150 at .03: the same log-loss in less than half the time.
"""

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from xrl.columns import CLASSES
from xrl.experts.balance import balanced_weights
from xrl.experts.tables import check_training_rows

ROUNDS = 100
BAGS = 2
_LARGEST_MIN_LEAF = 1000


def fit_predict(
    train_x: NDArray[np.floating], train_y: NDArray[np.integer], test_x: NDArray[np.floating], seed: int
) -> NDArray[np.float64]:
    """Train `BAGS` boosted ensembles and average their class probabilities on the test rows.

    Args:
        train_x: (rows, columns) features of training bars, finite.
        train_y: (rows,) classes 0 SELL, 1 HOLD, 2 BUY.
        test_x: (test rows, columns) features; NaN is answered by LightGBM's own missing branch.
        seed: first bag's seed; the others count up from it.

    Returns:
        (test rows, 3) probabilities of SELL, HOLD, BUY.

    Raises:
        TrainingError: rows are not finite or a class is missing.
    """
    check_training_rows(train_x, train_y)
    data = lgb.Dataset(
        train_x,
        label=train_y,
        weight=balanced_weights(train_y)[train_y],
        params={"verbosity": -1, "num_threads": 1},
        free_raw_data=False,
    )
    bags = [lgb.train(_settings(len(train_y), seed + bag), data, ROUNDS) for bag in range(BAGS)]
    return np.asarray(np.mean([bag.predict(test_x, num_threads=1) for bag in bags], axis=0), dtype=np.float64)


def fit_predict_plain(
    train_x: NDArray[np.floating], train_y: NDArray[np.integer], test_x: NDArray[np.floating], seed: int
) -> NDArray[np.float64]:
    """LightGBM as it comes: 100 rounds of 31 leaves at .1. Arguments, result and errors as `fit_predict`."""
    check_training_rows(train_x, train_y)
    data = lgb.Dataset(train_x, label=train_y, weight=balanced_weights(train_y)[train_y])
    kept = ("objective", "num_class", "seed", "deterministic", "force_row_wise", "num_threads", "verbosity")
    settings = {name: value for name, value in _settings(len(train_y), seed).items() if name in kept}
    return np.asarray(lgb.train(settings, data, 100).predict(test_x, num_threads=1), dtype=np.float64)


def _settings(rows: int, seed: int) -> dict[str, object]:
    return {
        "objective": "multiclass",
        "num_class": len(CLASSES),
        "num_leaves": 8,
        "learning_rate": 0.045,
        "min_data_in_leaf": int(np.clip(rows // 100, 20, _LARGEST_MIN_LEAF)),
        "lambda_l2": 50.0,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "max_bin": 63,
        "feature_pre_filter": False,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
