"""The class models that the experts are measured against, on the same folds or splits.

Enters: unscaled features of all bars, labels, folds. Leaves: class probabilities of every test bar, each
model fitted on its fold's own training bars and scaled by them.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.experts import boosted, linear
from xrl.features import scaling
from xrl.labels import folds as spans
from xrl.labels.classes import Cut, classes
from xrl.labels.folds import Fold

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
FitPredict = Callable[[NDArray[np.float32], NDArray[np.int8], NDArray[np.float32], int], Array]

RIVALS: Final[dict[str, FitPredict]] = {"logistic": linear.fit_predict, "lightgbm": boosted.fit_predict}


class Case(NamedTuple):
    """One way to divide the bars, be it of a fold or of a split."""

    train: NDArray[np.bool_]  # of all bars: who may train
    asked: NDArray[np.integer]  # rows to answer
    cut: Cut  # fitted on the training bars


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
    index = pd.MultiIndex.from_frame(features[[columns.SYMBOL, columns.TIMESTAMP]])
    at = index.get_indexer(pd.MultiIndex.from_frame(keys[[columns.SYMBOL, columns.TIMESTAMP]]))
    rows = [np.flatnonzero(keys[columns.FOLD].to_numpy() == fold.index) for fold in laid]
    cases = [Case(spans.train_mask(labels, fold), at[own], fold) for fold, own in zip(laid, rows)]
    found = {name: np.full((len(keys), len(columns.CLASSES)), np.nan) for name in RIVALS}
    for own, answers in zip(rows, answered(features, labels, cases, seed)):
        for name, probabilities in answers.items():
            found[name][own] = probabilities
    return found


def answered(
    features: pd.DataFrame, labels: pd.DataFrame, cases: Sequence[Case], seed: int
) -> Iterator[dict[str, Array]]:
    """Of one case after the other, each rival's class probabilities of the rows asked, (rows, 3).

    Args: as in `rival_probabilities`; a training bar with an unknown feature is left out.
    """
    names = feature_names(features)
    matrix = features[names].to_numpy(np.float64)
    known = np.isfinite(matrix).all(axis=1)
    for number, case in enumerate(cases):
        train = case.train & known
        scaler = scaling.fit(matrix[train], names)
        truth = classes(labels[train], case.cut)
        train_x = scaler.transform(matrix[train])
        test_x = np.nan_to_num(scaler.transform(matrix[case.asked]))
        found = {name: rival(train_x, truth, test_x, seed) for name, rival in RIVALS.items()}
        log.info("%d of %d: rivals fitted on %d bars", number + 1, len(cases), len(train_x))
        yield found


def feature_names(features: pd.DataFrame) -> list[str]:
    """The columns that are features."""
    return [name for name in features.columns if name not in (columns.SYMBOL, columns.TIMESTAMP)]
