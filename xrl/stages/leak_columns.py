"""Stored columns against those that the same code builds when later bars are cut off.

Enters: bars, and the table that stage `features` wrote. Leaves: the column that differs most. Whole prefixes,
a few, are compared to the bit. Between them windows such as a server is sent end around the bars that a
column singles out: one that is nearly always 0 can peek on these alone. Wherever a window says something else
than the table does, a whole prefix decides. Users' columns, whose code nobody here has read, are tried at
every bar of every symbol besides: no value may move when other bars follow it (`features.futures`).
"""

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from xrl.evaluation import leaks
from xrl.features import table, trial
from xrl.features.cuts import cuts, outstanding
from xrl.stages.stored_columns import Mask, Rows, Stored

log = logging.getLogger(__name__)

#: Bars that the users' columns single out and that windows end around: in all, and of each at least.
_OUTSTANDING: Final = 96
_OUTSTANDING_EACH: Final = 12
#: The same of each built-in column, whose causality has tests of its own.
_OUTSTANDING_BUILT_IN: Final = 2
_SEED: Final = 0
#: Whole prefixes that end before such a bar, of all users' columns, at most.
_BEFORE: Final = 4
#: How far a window of `required_bars` may be off the full history, in deviations of a column.
_TOLERANCE: Final = 1e-9


class Found(NamedTuple):
    """By how many of its deviations each column moves without later bars or with others; bars compared."""

    moved: dict[str, float]
    bars: int

    @property
    def worst(self) -> leaks.Worst:
        """The column that moves most."""
        return leaks.worst_column(list(self.moved), np.array(list(self.moved.values())))


class _Doubts(NamedTuple):
    """A symbol's prefixes that end with a window that differs from the table, and the bars of all windows."""

    prefixes: list[Mask]
    bars: int


def compare(stored: Stored, prefixes: Sequence[Mask]) -> Found:
    """Hold the stored columns against those of `prefixes`, of everything, and of moments that they tell."""
    doubts = _doubts(stored, singled_out(stored))
    everything = np.ones(len(stored.values), dtype=bool)
    kept = [*prefixes, everything, *_before(stored), *doubts.prefixes]
    moved = leaks.prefix_differences(stored.values, kept, stored.rebuilt)
    bars = int(sum(keep.sum() for keep in kept)) + doubts.bars
    found = dict(zip(stored.names, moved.tolist()))
    return Found(found | {name: max(by, found[name]) for name, by in _otherwise(stored).items()}, bars)


def _otherwise(stored: Stored) -> dict[str, float]:
    """By how many deviations a value of each user's column was seen to move when other bars followed it."""
    found = {one.name: 0.0 for one in stored.config.features.extra if one.name in stored.names}
    for one in stored.config.features.extra:
        for rows in stored.rows_of.values() if one.name in found else ():
            bars = {name: values[rows] for name, values in stored.inputs.items()}
            move = trial.seen(one, bars, stored.time[rows])
            found[one.name] = max(found[one.name], move.by if move else 0.0)
    return found


def singled_out(stored: Stored) -> Rows:
    """Last rows of the windows to compare: around what users' columns single out, at what others do."""
    users = stored.users
    count = max(_OUTSTANDING // max(len(users), 1), _OUTSTANDING_EACH)
    symbols = list(stored.rows_of.values())
    found = [np.empty(0, np.int64)]
    for j in range(len(stored.names)):
        if j in users:
            found.append(cuts(stored.values[:, j], count, seed=j) - 1)
        else:
            own = symbols[j % len(symbols)]
            found.append(own[outstanding(stored.values[own, j], _OUTSTANDING_BUILT_IN, seed=j)])
    return np.unique(np.concatenate(found))


def _before(stored: Stored) -> list[Mask]:
    """Prefixes that end before a bar that a user's column singles out, to whose end it may owe its rarity."""
    ends = [cuts(stored.values[:, j], 2, seed=j)[:1] for j in stored.users]
    rows = np.unique(np.concatenate([np.empty(0, np.int64), *ends]) - 1)
    chosen = np.random.default_rng(_SEED).permutation(rows)[:_BEFORE]
    return [stored.until(stored.time[row]) for row in chosen]


def _doubts(stored: Stored, last_rows: Rows) -> _Doubts:
    """Hold windows that end with `last_rows` against the table."""
    spread = leaks.deviations(stored.values)
    worst, prefixes, bars = np.zeros(len(spread)), [], 0
    for symbol, rows in stored.rows_of.items():
        for end in _ends(stored, rows, last_rows):
            window, count = _window(stored, rows[:end])
            built = stored.built(symbol, window, len(window))[-count:]
            gap = leaks.largest_gaps(stored.values[window[-count:]], built) / spread
            if (gap > _TOLERANCE).any():
                prefixes.append(np.isin(np.arange(len(stored.values)), rows[:end]))
            worst = np.maximum(worst, gap)
            bars += count
    if prefixes:
        order = np.argsort(-worst, kind="stable")[: int((worst > _TOLERANCE).sum())]
        told = ", ".join(f"{stored.names[j]} by {worst[j]:.2g} deviations" for j in order)
        log.warning(
            "%d windows differ from the table, be it from looking ahead or not: %s", len(prefixes), told
        )
    return _Doubts(prefixes, bars)


def _ends(stored: Stored, rows: Rows, last_rows: Rows) -> list[int]:
    """How many of a symbol's `rows` come before each cut."""
    ends = np.flatnonzero(np.isin(rows, last_rows)) + 1
    return [int(end) for end in np.unique(np.maximum(ends, min(stored.shortest, len(rows))))]


def _window(stored: Stored, rows: Rows) -> tuple[Rows, int]:
    """The newest of `rows` that a request holds, and how many of them have their whole window in it."""
    bars = stored.config.experts.window_bars
    newest = rows[-table.required_bars(bars, stored.features) :]
    return newest, len(newest) if len(newest) == len(rows) else bars
