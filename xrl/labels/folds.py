"""Purged, embargoed, anchored walk-forward folds. Enters: the history's span and labels. Leaves: `Fold`s,
JSON.

    bars   |0 1 2 3 4 5 6 7 8 9|    two folds, horizon 1, embargo 1, first training share 0.4
    fold 0 |T T . . a a a . . .|    a: tested by fold 0, from bar 4; training ends at bar 3 (embargo), so the
    fold 1 |T T T T T . . b b b|       label of bar 2, known at the close of bar 3, is purged

A bar trains a fold iff its own label is known (`label_end`) by the fold's `train_end`, the start of the test
span less the embargo; nothing that a training label has seen reaches into the test span.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import LabelParams
from xrl.errors import ConfigError, DataError
from xrl.labels.outcomes import cuts


class Refit(NamedTuple):
    """The span of the final training on everything, and its cut-offs; times UTC."""

    train_start: pd.Timestamp
    train_end: pd.Timestamp
    cut_low: float
    cut_high: float


@dataclass(frozen=True)
class Fold:
    """One train and test span; times UTC, ends exclusive for test, inclusive for `label_end` in training."""

    index: int
    train_start: pd.Timestamp
    train_end: pd.Timestamp
    test_start: pd.Timestamp
    test_end: pd.Timestamp
    cut_low: float = float("nan")
    cut_high: float = float("nan")


def test_edges(
    start: pd.Timestamp, end: pd.Timestamp, bar: pd.Timedelta, params: LabelParams
) -> tuple[pd.Timestamp, ...]:
    """The first test span's start and each test span's end, on whole bars; the last is `end`.

    Args:
        start: open of the history's first bar.
        end: close of its last bar.
        bar: length of a bar.
        params: number of folds and `first_train_share`.
    """
    bars = int((end - start) / bar)
    first = int(np.ceil(bars * params.first_train_share))
    edges = np.linspace(first, bars, len(params.folds) + 1).round().astype(int)
    return tuple(start + int(edge) * bar for edge in edges)


def walk_forward(
    start: pd.Timestamp, end: pd.Timestamp, bar: pd.Timedelta, params: LabelParams
) -> tuple[Fold, ...]:
    """Folds over the history [start, end), cut-offs not yet fitted; arguments as in `test_edges`.

    Raises:
        ConfigError: the embargo is shorter than the horizon, or a span is too short to train or test on.
    """
    if params.embargo_bars < params.horizon_bars:
        raise ConfigError(
            f"`labels.embargo_bars` must be at least `labels.horizon_bars`; received {params.embargo_bars} < "
            f"{params.horizon_bars}. Set it to {params.horizon_bars}."
        )
    bounds = test_edges(start, end, bar, params)
    shortest = min(int((b - a) / bar) for a, b in pairwise(bounds))
    training = int((bounds[0] - start) / bar) - params.embargo_bars - params.horizon_bars
    if shortest <= params.horizon_bars or training < params.volatility_window + params.horizon_bars:
        raise ConfigError(
            f"the history {start:%Y-%m-%d}..{end:%Y-%m-%d} is too short for {len(params.folds)} folds: the "
            f"first would train on {max(training, 0)} bars, the shortest test span has {shortest}, horizon "
            f"{params.horizon_bars}. Pull more days (`snapshot.days`) or use fewer `labels.folds`."
        )
    return tuple(
        Fold(k, start, bounds[k] - params.embargo_bars * bar, bounds[k], bounds[k + 1]) for k in params.folds
    )


def train_mask(labels: pd.DataFrame, fold: Fold | Refit) -> NDArray[np.bool_]:
    """Bars that train `fold`: within its span, label known by `train_end`, score known."""
    within = (labels[columns.TIMESTAMP] >= fold.train_start) & (labels[columns.LABEL_END] <= fold.train_end)
    return np.asarray(within & labels[columns.SCORE].notna(), dtype=bool)


def test_mask(labels: pd.DataFrame, fold: Fold) -> NDArray[np.bool_]:
    """Bars that test `fold`, matured or not: `test_start <= timestamp < test_end`."""
    time = labels[columns.TIMESTAMP]
    return np.asarray((time >= fold.test_start) & (time < fold.test_end), dtype=bool)


def fit_cuts(
    labels: pd.DataFrame, folds: Sequence[Fold], percentiles: tuple[float, float]
) -> tuple[Fold, ...]:
    """Folds with the cut-offs of their own training bars."""
    fitted = []
    for fold in folds:
        low, high = cuts(labels[columns.SCORE].to_numpy()[train_mask(labels, fold)], percentiles)
        fitted.append(replace(fold, cut_low=low, cut_high=high))
    return tuple(fitted)


def refit_span(labels: pd.DataFrame, percentiles: tuple[float, float]) -> Refit:
    """Everything through the last matured label."""
    low, high = cuts(labels[columns.SCORE].to_numpy(), percentiles)
    return Refit(labels[columns.TIMESTAMP].min(), labels[columns.LABEL_END].max(), low, high)


def save(path: Path, folds: Sequence[Fold], refit: Refit) -> None:
    """Write `folds.json`, times as ISO 8601; written aside, then renamed."""
    text = json.dumps(
        {"folds": [asdict(fold) for fold in folds], "refit": refit._asdict()}, indent=1, default=_iso
    )
    aside = path.with_suffix(".tmp")
    aside.write_text(text + "\n")
    aside.replace(path)


def load(path: Path) -> tuple[tuple[Fold, ...], Refit]:
    """Read what `save` wrote.

    Raises:
        DataError: the file is missing or is no list of folds.
    """
    try:
        found = json.loads(path.read_text())
        return tuple(Fold(**_times(item)) for item in found["folds"]), Refit(**_times(found["refit"]))
    except (OSError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"no folds at {path}: {error}; run `xrl labels`") from error


def _iso(value: pd.Timestamp) -> str:
    return str(value.isoformat())


def _times(item: dict[str, Any]) -> dict[str, Any]:
    return {key: pd.Timestamp(value) if isinstance(value, str) else value for key, value in item.items()}
