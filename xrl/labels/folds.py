"""Purged, embargoed walk-forward folds. Enters: the history's span and labels. Leaves: `Fold`s, JSON.

    bars   |0 1 2 3 4 5 6 7 8 9|    two folds, horizon 1, embargo 1, first training share 0.4
    fold 0 |T T . . a a a . . .|    a: tested by fold 0, from bar 4; training ends at bar 3 (embargo), so the
    fold 1 |T T T T T . . b b b|       label of bar 2, known at the close of bar 3, is purged
    rolling|. . T T T . . b b b|    fold 1 of a rolling scheme, four bars of history: bars 2 to 5, 5 is purged

A bar trains a fold iff its horizon is over (`horizon_end`) by the fold's `train_end`, the start of the test
span less the embargo; nothing that a training label has seen reaches into the test span. A barrier that is
met early makes no exception: else the last bars would be chosen by their outcome, those without HOLD. A final
holdout (`xrl.labels.holdout`) is cut off the history before any fold is laid.
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
from xrl.labels import classes, holdout
from xrl.labels.holdout import Span

Mask = NDArray[np.bool_]


class Refit(NamedTuple):
    """The span of the final training on everything, and its cut-offs; times UTC."""

    train_start: pd.Timestamp
    train_end: pd.Timestamp
    cut_low: float
    cut_high: float
    volatility_floor: float = 0.0


@dataclass(frozen=True)
class Fold:
    """One train and test span; times UTC, ends exclusive for test, inclusive for horizons in training."""

    index: int
    train_start: pd.Timestamp
    train_end: pd.Timestamp
    test_start: pd.Timestamp
    test_end: pd.Timestamp
    cut_low: float = float("nan")
    cut_high: float = float("nan")
    volatility_floor: float = 0.0


def test_edges(
    start: pd.Timestamp, end: pd.Timestamp, bar: pd.Timedelta, params: LabelParams
) -> tuple[pd.Timestamp, ...]:
    """The first test span's start and each test span's end, on whole bars; the last ends before the holdout.

    Args:
        start: open of the history's first bar.
        end: close of its last bar.
        bar: length of a bar.
        params: number of folds, `first_train_share` or `cadence_days`, and `holdout_days`.
    """
    known = holdout.development_end(end, params)
    count = len(params.folds)
    if params.cadence_days is not None:
        cadence = pd.Timedelta(days=params.cadence_days)
        return tuple(known - (count - k) * cadence for k in range(count + 1))
    bars = int((known - start) / bar)
    first = int(np.ceil(bars * params.first_train_share))
    edges = np.linspace(first, bars, count + 1).round().astype(int)
    return tuple(start + int(edge) * bar for edge in edges)


def walk_forward(
    start: pd.Timestamp, end: pd.Timestamp, bar: pd.Timedelta, params: LabelParams
) -> tuple[Fold, ...]:
    """Folds over the history [start, end), cut-offs not yet fitted; arguments as in `test_edges`.

    Raises:
        ConfigError: the embargo is shorter than the horizon or as long as a test span, or a span is too short
            to train or test on.
    """
    if params.embargo_bars < params.horizon_bars:
        raise ConfigError(
            f"`labels.embargo_bars` must be at least `labels.horizon_bars`; received {params.embargo_bars} < "
            f"{params.horizon_bars}. Set it to {params.horizon_bars}."
        )
    bounds = test_edges(start, end, bar, params)
    ends = [bound - params.embargo_bars * bar for bound in bounds]
    starts = [_train_start(start, ends[k], params) for k in params.folds]
    _check_lengths(start, end, bar, bounds, int((ends[0] - starts[0]) / bar), params)
    return tuple(Fold(k, starts[k], ends[k], bounds[k], bounds[k + 1]) for k in params.folds)


def _train_start(start: pd.Timestamp, train_end: pd.Timestamp, params: LabelParams) -> pd.Timestamp:
    """Where training that ends at `train_end` begins.

    Raises:
        ConfigError: the history does not reach back far enough for `train_days`.
    """
    if params.train_days is None:
        return start
    wanted = train_end - pd.Timedelta(days=params.train_days)
    if wanted < start:
        raise ConfigError(
            f"`labels.train_days` of {params.train_days} reaches back to {wanted:%Y-%m-%d}, but the history "
            f"begins on {start:%Y-%m-%d}. Lower it, raise `labels.first_train_share` or pull more days."
        )
    return wanted


def _check_lengths(
    start: pd.Timestamp,
    end: pd.Timestamp,
    bar: pd.Timedelta,
    bounds: tuple[pd.Timestamp, ...],
    train_bars: int,
    params: LabelParams,
) -> None:
    shortest = min(int((b - a) / bar) for a, b in pairwise(bounds))
    training = train_bars - params.horizon_bars
    if shortest <= params.horizon_bars or training < params.volatility_window + params.horizon_bars:
        raise ConfigError(
            f"the history {start:%Y-%m-%d}..{end:%Y-%m-%d} is too short for {len(params.folds)} folds: the "
            f"first would train on {max(training, 0)} bars, the shortest test span has {shortest}, horizon "
            f"{params.horizon_bars}, holdout {params.holdout_days} days. Pull more days (`snapshot.days`) or "
            "use fewer `labels.folds`."
        )
    if shortest <= params.embargo_bars:
        raise ConfigError(
            "`labels.embargo_bars` must be below the shortest test span, or nothing of a fold is known when "
            f"the next begins; received {params.embargo_bars} >= {shortest}. Lower it towards "
            f"{params.horizon_bars}, use fewer `labels.folds` or pull more days (`snapshot.days`)."
        )


def train_mask(labels: pd.DataFrame, fold: Fold | Refit) -> Mask:
    """Bars that train `fold`: within its span, horizon over by `train_end`, score known."""
    within = (labels[columns.TIMESTAMP] >= fold.train_start) & (labels[columns.HORIZON_END] <= fold.train_end)
    return np.asarray(within & labels[columns.SCORE].notna(), dtype=bool)


def purged_mask(labels: pd.DataFrame, fold: Fold | Refit) -> Mask:
    """Bars of the training span whose horizon is over too late to train `fold`, or not yet."""
    time = labels[columns.TIMESTAMP]
    within = (time >= fold.train_start) & (time < fold.train_end)
    return np.asarray(within & ~(labels[columns.HORIZON_END] <= fold.train_end), dtype=bool)


def embargo_mask(labels: pd.DataFrame, fold: Fold) -> Mask:
    """Bars between the end of training and the test span."""
    time = labels[columns.TIMESTAMP]
    return np.asarray((time >= fold.train_end) & (time < fold.test_start), dtype=bool)


def test_mask(labels: pd.DataFrame, fold: Fold) -> Mask:
    """Bars that test `fold`, matured or not: `test_start <= timestamp < test_end`."""
    time = labels[columns.TIMESTAMP]
    return np.asarray((time >= fold.test_start) & (time < fold.test_end), dtype=bool)


def fit_cuts(labels: pd.DataFrame, folds: Sequence[Fold], params: LabelParams) -> tuple[Fold, ...]:
    """Folds with the cut-offs of their own training bars."""
    return tuple(
        replace(fold, **classes.fit(labels[train_mask(labels, fold)], params)._asdict()) for fold in folds
    )


def refit_span(labels: pd.DataFrame, params: LabelParams, held: Span | None = None) -> Refit:
    """Everything through the last matured label, an embargo before the holdout; rolling: its last days."""
    end = labels.loc[labels[columns.SCORE].notna(), columns.HORIZON_END].max()
    if held is not None:
        end = min(end, held.train_end)
    start = labels[columns.TIMESTAMP].min()
    if pd.notna(end):
        start = _train_start(start, end, params)
    span = Refit(start, end, np.nan, np.nan)
    return Refit(start, end, *classes.fit(labels[train_mask(labels, span)], params))


def save(path: Path, folds: Sequence[Fold], refit: Refit, held: Span | None = None) -> None:
    """Write `folds.json`, times as ISO 8601; written aside, then renamed."""
    found = {
        "folds": [asdict(fold) for fold in folds],
        "refit": refit._asdict(),
        "holdout": None if held is None else held._asdict(),
    }
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(found, indent=1, default=_iso) + "\n")
    aside.replace(path)


def load(path: Path) -> tuple[tuple[Fold, ...], Refit]:
    """Read what `save` wrote.

    Raises:
        DataError: the file is missing or is no list of folds.
    """
    laid, refit, _ = _read(path)
    return laid, refit


def load_holdout(path: Path) -> Span | None:
    """The final holdout that the folds at `path` were laid before; None for none. Raises as `load`."""
    return _read(path)[2]


def _read(path: Path) -> tuple[tuple[Fold, ...], Refit, Span | None]:
    try:
        found = json.loads(path.read_text())
        laid = tuple(Fold(**_times(item)) for item in found["folds"])
        held = found["holdout"]
        return laid, Refit(**_times(found["refit"])), None if held is None else Span(**_times(held))
    except (OSError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"no folds at {path}: {error}; run `xrl labels`") from error


def _iso(value: pd.Timestamp) -> str:
    return str(value.isoformat())


def _times(item: dict[str, Any]) -> dict[str, Any]:
    return {key: pd.Timestamp(value) if isinstance(value, str) else value for key, value in item.items()}
