"""The class models that the experts are measured against, walked forward over the same folds.

Enters: unscaled features of all bars, labels, folds. Leaves: class probabilities of every test bar, each
model fitted on its fold's own training bars and scaled by them.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.experts import boosted, linear
from xrl.features import scaling
from xrl.labels import folds as spans
from xrl.labels.classes import classes
from xrl.labels.folds import Fold

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
FitPredict = Callable[[NDArray[np.float32], NDArray[np.int8], NDArray[np.float32], int], Array]

RIVALS: Final[dict[str, FitPredict]] = {"logistic": linear.fit_predict, "lightgbm": boosted.fit_predict}


def rival_probabilities(
    features: pd.DataFrame, labels: pd.DataFrame, laid: Sequence[Fold], keys: pd.DataFrame, seed: int
) -> dict[str, Array]:
    """Out-of-fold class probabilities of every rival.

    Args:
        features: symbol, timestamp, one column per feature, unscaled.
        labels: of the same rows in the same order, columns of labels.parquet.
        laid: the folds.
        keys: symbol, timestamp and fold of the rows to answer.
        seed: of the fits.

    Returns:
        Per rival (len(keys), 3), NaN nowhere: a feature unknown at a test bar counts as its training median.
    """
    names = [name for name in features.columns if name not in (columns.SYMBOL, columns.TIMESTAMP)]
    matrix = features[names].to_numpy(np.float64)
    known = np.isfinite(matrix).all(axis=1)
    index = pd.MultiIndex.from_frame(features[[columns.SYMBOL, columns.TIMESTAMP]])
    at = index.get_indexer(pd.MultiIndex.from_frame(keys[[columns.SYMBOL, columns.TIMESTAMP]]))
    found = {name: np.full((len(keys), len(columns.CLASSES)), np.nan) for name in RIVALS}
    for fold in laid:
        train = spans.train_mask(labels, fold) & known
        scaler = scaling.fit(matrix[train], names)
        truth = classes(labels[train], fold)
        rows = np.flatnonzero(keys[columns.FOLD].to_numpy() == fold.index)
        train_x = scaler.transform(matrix[train])
        test_x = np.nan_to_num(scaler.transform(matrix[at[rows]]))
        for name, fit_predict in RIVALS.items():
            found[name][rows] = fit_predict(train_x, truth, test_x, seed)
        log.info("fold %d: rivals fitted on %d bars", fold.index, len(train_x))
    return found
