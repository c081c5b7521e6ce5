"""LightGBM on single bars: the baseline that the experts must not fall below, and an expert beside them.

Enters: scaled feature rows and classes. Leaves: trees and class probabilities. Settings: the tuned ones of
docs/evaluation ("What is known about beating LightGBM"), with the smallest leaf scaled to the table, and two
bags of 100 rounds at .045 in place of three of 150 at .03: the same log-loss in less than half the time.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from xrl.columns import CLASSES
from xrl.errors import DataError
from xrl.experts.alignment import log_contrasts
from xrl.experts.answers import Said, pooled
from xrl.experts.balance import balanced_weights
from xrl.experts.tables import check_training_rows

ROUNDS = 100
BAGS = 2
#: File of a trained expert's bag in LightGBM's own text.
BAG = "bag_{}.txt"
_LARGEST_MIN_LEAF = 1000
_SIZES = re.compile(r"^tree_sizes=.*\n", re.MULTILINE)
_THRESHOLDS = re.compile(r"^threshold=(.*)$", re.MULTILINE)


def fit(
    train_x: NDArray[np.floating], train_y: NDArray[np.integer], seed: int, bags: int = BAGS
) -> tuple[lgb.Booster, ...]:
    """Train boosted ensembles that differ in their seeds alone.

    Args:
        train_x: (rows, columns) features of training bars, finite.
        train_y: (rows,) classes 0 SELL, 1 HOLD, 2 BUY.
        seed: first bag's seed; the others count up from it.
        bags: how many.

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
    return tuple(lgb.train(_settings(len(train_y), seed + bag), data, ROUNDS) for bag in range(bags))


def predict(bags: Sequence[lgb.Booster], x: NDArray[np.floating]) -> NDArray[np.float64]:
    """Class probabilities of every bag: (bags, rows, 3); NaN takes LightGBM's own branch for the missing."""
    return np.stack([np.asarray(bag.predict(x, num_threads=1), dtype=np.float64) for bag in bags])


def answer(bags: Sequence[lgb.Booster], x: NDArray[np.floating], temperature: float = 1.0) -> Said:
    """What the bags say together of rows (n, columns); the embedding is the two contrasts of that answer."""
    found = pooled(predict(bags, x), temperature)
    embedding = log_contrasts(found.probabilities).astype(np.float32)
    return Said(found.probabilities, embedding, found.uncertainty)


def fit_predict(
    train_x: NDArray[np.floating], train_y: NDArray[np.integer], test_x: NDArray[np.floating], seed: int
) -> NDArray[np.float64]:
    """Train and average the bags' class probabilities on the test rows, (test rows, 3); see `fit`."""
    return np.asarray(predict(fit(train_x, train_y, seed), test_x).mean(axis=0))


def fit_predict_plain(
    train_x: NDArray[np.floating], train_y: NDArray[np.integer], test_x: NDArray[np.floating], seed: int
) -> NDArray[np.float64]:
    """LightGBM as it comes: 100 rounds of 31 leaves at .1. Arguments, result and errors as `fit_predict`."""
    check_training_rows(train_x, train_y)
    data = lgb.Dataset(train_x, label=train_y, weight=balanced_weights(train_y)[train_y])
    kept = ("objective", "num_class", "seed", "deterministic", "force_row_wise", "num_threads", "verbosity")
    settings = {name: value for name, value in _settings(len(train_y), seed).items() if name in kept}
    return np.asarray(lgb.train(settings, data, 100).predict(test_x, num_threads=1), dtype=np.float64)


def in_single(bag: lgb.Booster) -> lgb.Booster:
    """The same trees with thresholds that float32 holds, each the largest not above its own.

    A float32 value lies on the same side of both, so nothing changes for float32 rows; rounding to the
    nearest, as an export does, would move the rows that lie between a threshold and its neighbour.
    """
    text = _SIZES.sub("", bag.model_to_string())  # the trees' lengths in bytes, which change
    return lgb.Booster(model_str=_THRESHOLDS.sub(lambda found: f"threshold={_floored(found[1])}", text))


def save(bag: lgb.Booster, path: Path) -> None:
    """Write a bag as text: equal trees give equal bytes."""
    path.write_text(bag.model_to_string())


def load(folder: Path) -> tuple[lgb.Booster, ...]:
    """Read the files `BAG` of a trained expert.

    Raises:
        DataError: there is none.
    """
    numbers = sorted(int(path.stem.split("_")[1]) for path in folder.glob(BAG.format("*")))
    if not numbers:
        raise DataError(f"no {BAG.format(0)} at {folder}; run its stage (`xrl experts` or `xrl refit`)")
    return tuple(lgb.Booster(model_file=folder / BAG.format(number)) for number in numbers)


def _floored(thresholds: str) -> str:
    wide = np.array(thresholds.split(), dtype=np.float64)
    near = wide.astype(np.float32)
    below = np.where(near > wide, np.nextafter(near, np.float32(-np.inf)), near)
    return " ".join(repr(float(value)) for value in below)


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
