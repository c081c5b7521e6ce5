"""The table that stage `features` wrote, and the way to build any part of it again from those bars alone.

Enters: bars, stages/features. Leaves: stored values, and the same columns of a prefix or a window.
"""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.features import coverage, extra, table
from xrl.features.context import Context, Peer
from xrl.features.feature import Feature
from xrl.paths import Paths
from xrl.stages.features import peers_of

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


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


def _between(one: Peer, time: NDArray[np.datetime64], reach: int) -> Peer:
    """The bars of another symbol from `reach` bars before the first of `time` to the last."""
    first, end = np.searchsorted(one.timestamp, time[[0, -1]], side="right")
    part = slice(max(int(first) - reach, 0), int(end))
    return Peer(one.timestamp[part], one.close[part])
