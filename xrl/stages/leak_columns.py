"""Stored columns against those that the same code builds when later bars are cut off.

Enters: bars, and the table that stage `features` wrote. Leaves: the column that differs most. Whole prefixes,
a few, are compared to the bit. Between them windows such as a server is sent end around the bars that a
column singles out: one that is nearly always 0 can peek on these alone. Where a window says something else
than the table does, a whole prefix decides.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.evaluation import leaks
from xrl.features import coverage, extra, table
from xrl.features.context import Context, Peer
from xrl.features.cuts import cuts, outstanding
from xrl.features.feature import Feature
from xrl.paths import Paths
from xrl.stages.features import peers_of

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

#: Bars that the users' columns single out and that windows end around: in all, and of each at least.
_OUTSTANDING: Final = 96
_OUTSTANDING_EACH: Final = 12
#: The same of each built-in column, whose causality has tests of its own.
_OUTSTANDING_BUILT_IN: Final = 2
_SEED: Final = 0
#: Whole prefixes that end before such a bar, of all users' columns, at most.
_BEFORE: Final = 4
#: Moments in doubt at which a whole prefix decides, at most.
_DECIDED: Final = 8
#: How far a window of `required_bars` may be off the full history, in deviations of a column.
_TOLERANCE: Final = 1e-9


class Found(NamedTuple):
    """By how many of its deviations each column moves when later bars are cut off, and the bars compared."""

    moved: dict[str, float]
    bars: int

    @property
    def worst(self) -> leaks.Worst:
        """The column that moves most."""
        return leaks.worst_column(list(self.moved), np.array(list(self.moved.values())))


class _Doubts(NamedTuple):
    """Prefixes that end where a window said something else than the table, and the bars of all windows."""

    prefixes: list[Mask]
    bars: int


@dataclass(frozen=True, eq=False)
class Stored:
    """The table of features, with the bars and the declarations that it was built of.

    Attributes:
        config: of the run.
        bars: symbol + columns.BAR, each symbol's rows in time order.
        names: stored columns.
        values: (rows, names).
        features: what the code builds, of which `names` are some.
        neutral: positions among `features` of those that are held at 0.
    """

    config: Config
    bars: pd.DataFrame
    names: tuple[str, ...]
    values: Array
    features: tuple[Feature, ...]
    neutral: Rows

    @cached_property
    def kept(self) -> Rows:
        """Positions of `names` among `features`."""
        return table.positions(self.names, self.features)

    @cached_property
    def users(self) -> tuple[int, ...]:
        """Which of `names` users declared."""
        own = extra.names(self.config.features.extra)
        return tuple(j for j, name in enumerate(self.names) if name in own)

    @cached_property
    def rows_of(self) -> dict[str, Rows]:
        """Rows of each symbol, in time order."""
        return {
            str(symbol): rows
            for symbol, rows in self.bars.groupby(columns.SYMBOL, sort=False).indices.items()
        }

    @cached_property
    def time(self) -> NDArray[np.datetime64]:
        """Opens, UTC without a zone. (rows,)"""
        return np.asarray(self.bars[columns.TIMESTAMP].to_numpy(dtype="datetime64[ms]"))

    @cached_property
    def inputs(self) -> dict[str, Array]:
        """Columns of the bars by name, each (rows,)."""
        return {name: self.bars[name].to_numpy(np.float64) for name in columns.BAR[1:]}

    @cached_property
    def peers(self) -> dict[str, Peer]:
        """Closes of the symbols that the context declares."""
        return peers_of(self.bars, self.rows_of, self.config.features)

    @cached_property
    def shortest(self) -> int:
        """Fewest bars that a user's function can be asked about."""
        own = extra.features(self.config.features.extra)
        return max((feature.window for feature in own), default=1)

    def until(self, moment: np.datetime64) -> Mask:
        """Bars that open by `moment`, of the symbols that have enough of them. (rows,)"""
        keep = np.zeros(len(self.values), dtype=bool)
        for rows in self.rows_of.values():
            count = int(np.searchsorted(self.time[rows], moment, side="right"))
            keep[rows[:count]] = count >= self.shortest
        return keep

    def rebuilt(self, keep: Mask) -> Array:
        """The stored columns of the kept rows, a prefix of each symbol, built from these alone."""
        found = np.full((len(self.values), len(self.names)), np.nan)
        for symbol, rows in self.rows_of.items():
            if keep[rows].any():
                found[rows[keep[rows]]] = self.built(symbol, rows[keep[rows]], len(self.bars))
        return found[keep]

    def built(self, symbol: str, rows: Rows, reach: int) -> Array:
        """The stored columns of neighbouring rows, built from these and others' `reach` bars before them."""
        bars = {name: values[rows] for name, values in self.inputs.items()}
        time = self.time[rows]
        among = Context(symbol, {name: _between(one, time, reach) for name, one in self.peers.items()})
        found = table.build(bars, time, self.config.features, among)
        return coverage.neutralise(found, self.neutral)[:, self.kept]


def read(config: Config, paths: Paths, bars: pd.DataFrame) -> Stored:
    """What stage `features` wrote."""
    written = pd.read_parquet(paths.features).drop(columns=[columns.SYMBOL, columns.TIMESTAMP])
    left_out = json.loads(paths.feature_spec.read_bytes())["left_out"]
    features = table.declared(config.features)
    neutral = table.positions([column["name"] for column in left_out if column["observed"]], features)
    return Stored(config, bars, tuple(written.columns), written.to_numpy(np.float64), features, neutral)


def compare(stored: Stored, prefixes: Sequence[Mask]) -> Found:
    """Hold the stored columns against those of `prefixes`, of everything, and of moments that they tell."""
    doubts = _doubts(stored, singled_out(stored))
    everything = np.ones(len(stored.values), dtype=bool)
    kept = [*prefixes, everything, *_before(stored), *doubts.prefixes]
    moved = leaks.prefix_differences(stored.values, kept, stored.rebuilt)
    bars = int(sum(keep.sum() for keep in kept)) + doubts.bars
    return Found(dict(zip(stored.names, moved.tolist())), bars)


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
    worst, at, bars = np.zeros(len(spread)), np.zeros(len(spread), dtype=np.int64), 0
    for symbol, rows in stored.rows_of.items():
        for end in _ends(stored, rows, last_rows):
            window, count = _window(stored, rows[:end])
            built = stored.built(symbol, window, len(window))[-count:]
            gap = leaks.largest_gaps(stored.values[window[-count:]], built) / spread
            at[gap > worst] = window[-1]
            worst = np.maximum(worst, gap)
            bars += count
    order = np.argsort(-worst, kind="stable")[: int((worst > _TOLERANCE).sum())]
    if len(order):
        told = ", ".join(f"{stored.names[j]} by {worst[j]:.2g} deviations" for j in order)
        log.warning(
            "the window of a request differs from the table, be it from looking ahead or not: %s", told
        )
    moments = list(dict.fromkeys(stored.time[at[order]]))[:_DECIDED]
    return _Doubts([stored.until(moment) for moment in moments], bars)


def _ends(stored: Stored, rows: Rows, last_rows: Rows) -> list[int]:
    """How many of a symbol's `rows` come before each cut."""
    ends = np.flatnonzero(np.isin(rows, last_rows)) + 1
    return [int(end) for end in np.unique(np.maximum(ends, min(stored.shortest, len(rows))))]


def _window(stored: Stored, rows: Rows) -> tuple[Rows, int]:
    """The newest of `rows` that a request holds, and how many of them have their whole window in it."""
    bars = stored.config.experts.window_bars
    newest = rows[-table.required_bars(bars, stored.features) :]
    return newest, len(newest) if len(newest) == len(rows) else bars


def _between(one: Peer, time: NDArray[np.datetime64], reach: int) -> Peer:
    """The bars of another symbol from `reach` bars before the first of `time` to the last."""
    first, end = np.searchsorted(one.timestamp, time[[0, -1]], side="right")
    part = slice(max(int(first) - reach, 0), int(end))
    return Peer(one.timestamp[part], one.close[part])
