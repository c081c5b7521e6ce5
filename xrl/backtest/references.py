"""Class models that know no direction: what F1 is worth without one. Enters: labels, folds, a model's
probabilities. Leaves: probabilities. Fitted on each fold's training bars, like every rival.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.labels import folds as spans
from xrl.labels.classes import Cut, classes
from xrl.labels.folds import Fold

Array = NDArray[np.float64]


def majority(labels: pd.DataFrame, laid: Sequence[Fold], fold: NDArray[np.integer]) -> Array:
    """The shares of the classes on training bars, whatever the bar: calls the largest class always.

    Args:
        labels: columns of labels.parquet.
        laid: the folds.
        fold: of each row to answer. (rows,)

    Returns:
        (rows, 3)
    """
    found = np.full((len(fold), len(columns.CLASSES)), np.nan)
    for own in laid:
        found[fold == own.index] = shares(labels[spans.train_mask(labels, own)], own)
    return found


def shares(training: pd.DataFrame, cut: Cut) -> Array:
    """The shares of the classes among `training`, labels of matured bars. (3,)"""
    truth = classes(training, cut)
    return np.asarray(np.bincount(truth, minlength=len(columns.CLASSES)) / len(truth))


def volatility_only(probabilities: Array, shares: Array) -> Array:
    """A model's P(HOLD) with the rest dealt to SELL and BUY as on training bars: its direction taken away.

    Args:
        probabilities: of the model. (rows, 3)
        shares: of the classes on training bars. (rows, 3)
    """
    sides = shares.copy()
    sides[:, columns.HOLD] = 0.0
    dealt = (1.0 - probabilities[:, [columns.HOLD]]) * sides / sides.sum(axis=1, keepdims=True)
    dealt[:, columns.HOLD] = probabilities[:, columns.HOLD]
    return np.asarray(dealt)
