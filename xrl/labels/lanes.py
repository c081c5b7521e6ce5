"""Who learns and who is tested when, one lane for each fold or split. Enters: labels, spans. Leaves: `Lane`s.

Symbols share a lane: a moment at which any symbol's bar is purged, embargoed or tested counts as that.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.labels import combinatorial, folds
from xrl.labels.balance import Shares, shares
from xrl.labels.classes import Cut
from xrl.labels.combinatorial import Split
from xrl.labels.folds import Fold, Refit
from xrl.labels.holdout import Span

Mask = NDArray[np.bool_]

#: What can befall a bar; the later one wins where symbols differ.
STATES: Final = ("unused", "training", "purged", "embargo", "test", "holdout")


class Lane(NamedTuple):
    """One fold, split or refit over the whole history."""

    name: str
    state: NDArray[np.int8]  # (moments,) index into STATES
    bars: dict[str, int]  # of each of STATES, all symbols together
    train: Shares
    test: Shares


class Drawn(NamedTuple):
    """Lanes of one history."""

    moments: NDArray[np.datetime64]  # (moments,) the distinct opens, UTC, ascending
    lanes: tuple[Lane, ...]


def fold_lanes(labels: pd.DataFrame, laid: Sequence[Fold], refit: Refit, held: Span | None) -> Drawn:
    """A lane for each fold, and one for the refit.

    Args:
        labels: symbol, timestamp, volatility, score, label_end, horizon_end.
        laid, refit: with their cut-offs.
        held: the holdout.
    """
    moments, at = _moments(labels)
    last = _held(labels, held)
    found = []
    for fold in laid:
        masks = (
            folds.train_mask(labels, fold),
            folds.purged_mask(labels, fold),
            folds.embargo_mask(labels, fold),
            folds.test_mask(labels, fold),
            last,
        )
        found.append(_lane(f"fold {fold.index}", labels, masks, fold, moments, at))
    untested = np.zeros(len(labels), dtype=bool)
    after = np.asarray(labels[columns.TIMESTAMP] >= refit.train_end, dtype=bool)
    known = folds.train_mask(labels, refit), folds.purged_mask(labels, refit)
    found.append(_lane("refit", labels, (*known, after & ~last, untested, last), refit, moments, at))
    return Drawn(moments, tuple(found))


def split_lanes(labels: pd.DataFrame, splits: Sequence[Split], held: Span | None) -> Drawn:
    """A lane for each combinatorial split; arguments as in `fold_lanes`."""
    moments, at = _moments(labels)
    found = []
    for split in splits:
        trained, tested = combinatorial.train_mask(labels, split), combinatorial.test_mask(labels, split)
        embargoed = combinatorial.embargo_mask(labels, split)
        rest = combinatorial.within(labels, split) & labels[columns.SCORE].notna()
        purged = rest.to_numpy(bool) & ~(trained | tested | embargoed)
        name = "split " + "+".join(str(group) for group in split.groups)
        masks = (trained, purged, embargoed, tested, _held(labels, held))
        found.append(_lane(name, labels, masks, split, moments, at))
    return Drawn(moments, tuple(found))


def _moments(labels: pd.DataFrame) -> tuple[NDArray[np.datetime64], NDArray[np.int64]]:
    """The distinct opens, and which of them each row has."""
    time = labels[columns.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]")
    moments, at = np.unique(time, return_inverse=True)
    return moments, at.astype(np.int64)


def _held(labels: pd.DataFrame, held: Span | None) -> Mask:
    if held is None:
        return np.zeros(len(labels), dtype=bool)
    return np.asarray(labels[columns.TIMESTAMP] >= held.start, dtype=bool)


def _lane(
    name: str,
    labels: pd.DataFrame,
    masks: Sequence[Mask],
    cut: Cut,
    moments: NDArray[np.datetime64],
    at: NDArray[np.int64],
) -> Lane:
    """A lane of bars that train, are purged, embargoed, tested and held out, in this order of `masks`."""
    state = np.zeros(len(moments), dtype=np.int8)
    for number, mask in enumerate(masks, start=1):
        state[at[mask]] = number
    trained, tested = masks[0], masks[3]
    counts = dict(zip(STATES[1:], (int(mask.sum()) for mask in masks)))
    counts[STATES[0]] = len(labels) - sum(counts.values())
    return Lane(name, state, counts, shares(labels[trained], cut), shares(labels[tested], cut))
