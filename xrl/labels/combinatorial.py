"""Combinatorial purged cross-validation: many out-of-sample paths over one history, to choose among models.

Enters: the history's span, labels. Leaves: `Split`s, each with its training and test bars, and the paths that
their predictions join into.

    groups  0 1 2 3     four groups, two tested at a time: six splits, three paths
    split 0 a b . .     path 0 takes group 0 and 1 from split 0, group 2 from split 1, group 3 from split 2:
    split 1 a . b .     each group from the first split that tests it; path 1 from the second, and so on
    split 2 a . . b
    split 3 . a b .
    split 4 . a . b
    split 5 . . a b

Walk-forward gives one path, which one lucky year can decide; here every bar is tested on each of
C(n - 1, k - 1) paths. Training bars lie after tested ones too, so it serves to compare recipes and says
nothing of a live track. Source: Lopez de Prado, Advances in Financial Machine Learning (2018), 12.4, and 7.4
for purging and embargo; the embargo stands on both sides of each tested block here, in the book only after.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import LabelParams
from xrl.errors import ConfigError
from xrl.labels import classes, holdout

Mask = NDArray[np.bool_]


class Block(NamedTuple):
    """Consecutive tested groups: bars with start <= timestamp < end."""

    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class Split:
    """One way to divide the history; cut-offs as in a `Fold`."""

    index: int
    groups: tuple[int, ...]  # tested
    blocks: tuple[Block, ...]  # the same as spans, neighbours joined
    embargo: pd.Timedelta
    history: Block
    cut_low: float = float("nan")
    cut_high: float = float("nan")
    volatility_floor: float = 0.0


class Plan(NamedTuple):
    """All splits of a history, and which split each path takes for each group."""

    groups: tuple[Block, ...]
    splits: tuple[Split, ...]
    paths: tuple[tuple[int, ...], ...]  # per path and group, the index of a split


def cpcv(
    start: pd.Timestamp,
    end: pd.Timestamp,
    bar: pd.Timedelta,
    params: LabelParams,
    n_groups: int,
    k: int,
) -> Plan:
    """All C(n, k) splits of the history [start, end) less its holdout, and their C(n - 1, k - 1) paths.

    Args:
        start: open of the history's first bar.
        end: close of its last bar.
        bar: length of a bar.
        params: embargo, horizon and holdout.
        n_groups: equal parts of the history.
        k: parts tested at a time.

    Raises:
        ConfigError: `k` is not within 1..n_groups - 1, or a group is no longer than horizon and embargo.
    """
    if not 1 <= k < n_groups:
        raise ConfigError(f"needs 1 <= k < n_groups; received n_groups {n_groups}, k {k}")
    known = holdout.development_end(end, params)
    bars = int((known - start) / bar)
    least = params.horizon_bars + params.embargo_bars
    if bars // n_groups <= least:
        raise ConfigError(
            f"{n_groups} groups of {bars} bars are {bars // n_groups} bars each, which must be more than "
            f"horizon and embargo together ({least}). Take fewer groups or pull more days (`snapshot.days`)."
        )
    edges = [start + int(edge) * bar for edge in np.linspace(0, bars, n_groups + 1).round()]
    groups = tuple(Block(a, b) for a, b in pairwise(edges))
    whole, embargo = Block(start, known), params.embargo_bars * bar
    splits = tuple(
        Split(i, tested, _joined([groups[g] for g in tested]), embargo, whole)
        for i, tested in enumerate(combinations(range(n_groups), k))
    )
    return Plan(groups, splits, _paths(splits, n_groups))


def test_mask(labels: pd.DataFrame, split: Split) -> Mask:
    """Bars that test `split`, matured or not."""
    time = labels[columns.TIMESTAMP]
    tested = [(time >= block.start) & (time < block.end) for block in split.blocks]
    return np.asarray(np.logical_or.reduce(tested), dtype=bool)


def train_mask(labels: pd.DataFrame, split: Split) -> Mask:
    """Bars that train `split`: score known, and parted from every tested block by purge and embargo.

    Before a block, a training bar's horizon is over an embargo before its first bar; after it, a training bar
    opens an embargo after the last label of the block is known.
    """
    keep = within(labels, split) & labels[columns.SCORE].notna()
    for block in split.blocks:
        before = labels[columns.HORIZON_END] <= block.start - split.embargo
        after = labels[columns.TIMESTAMP] >= _reach(labels, block) + split.embargo
        keep &= before | after
    return np.asarray(keep, dtype=bool)


def embargo_mask(labels: pd.DataFrame, split: Split) -> Mask:
    """Bars within an embargo of a tested block, or of the last label of one."""
    time = labels[columns.TIMESTAMP]
    found = np.zeros(len(labels), dtype=bool)
    for block in split.blocks:
        reach = _reach(labels, block)
        before = (time >= block.start - split.embargo) & (time < block.start)
        after = (time >= reach) & (time < reach + split.embargo)
        found |= (before | after).to_numpy(dtype=bool)
    return np.asarray(found & within(labels, split) & ~test_mask(labels, split), dtype=bool)


def within(labels: pd.DataFrame, split: Split) -> pd.Series:
    """Bars of the history that is divided, which ends where the holdout begins."""
    time = labels[columns.TIMESTAMP]
    return (time >= split.history.start) & (time < split.history.end)


def fit_cuts(labels: pd.DataFrame, splits: Sequence[Split], params: LabelParams) -> tuple[Split, ...]:
    """Splits with the cut-offs of their own training bars."""
    return tuple(
        replace(split, **classes.fit(labels[train_mask(labels, split)], params)._asdict()) for split in splits
    )


def assemble(labels: pd.DataFrame, plan: Plan, predicted: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The splits' predictions joined into paths, (paths, rows, ...); NaN outside the groups.

    Args:
        labels: timestamps of the rows.
        plan: of their history.
        predicted: per split (rows, ...), float; read where the split tests.
    """
    time = labels[columns.TIMESTAMP]
    found = np.full((len(plan.paths), *predicted[0].shape), np.nan)
    for g, group in enumerate(plan.groups):
        own = np.flatnonzero(((time >= group.start) & (time < group.end)).to_numpy(dtype=bool))
        for path, taken in enumerate(plan.paths):
            found[path, own] = predicted[taken[g]][own]
    return found


def _reach(labels: pd.DataFrame, block: Block) -> pd.Timestamp:
    """When the last label of the block's bars is known: its end, or later."""
    time = labels[columns.TIMESTAMP]
    last = labels.loc[(time >= block.start) & (time < block.end), columns.LABEL_END].max()
    return block.end if pd.isna(last) else max(block.end, last)


def _joined(blocks: Sequence[Block]) -> tuple[Block, ...]:
    found: list[Block] = []
    for block in blocks:
        if found and found[-1].end == block.start:
            found[-1] = Block(found[-1].start, block.end)
        else:
            found.append(block)
    return tuple(found)


def _paths(splits: Sequence[Split], n_groups: int) -> tuple[tuple[int, ...], ...]:
    testing = [[split.index for split in splits if group in split.groups] for group in range(n_groups)]
    return tuple(zip(*testing, strict=True))
