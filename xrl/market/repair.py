"""What can be mended in a venue's answer without guessing: order, repeats, stamps that jitter. Pure.

Enters: rows as a venue sent them. Leaves: the same rows in time order, once each, on the grid of their kind.
No row is made up, changed or chosen among several: what contradicts itself is named.
"""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.market import spans
from xrl.market.rows import Rows, to_frame
from xrl.market.tables import Kind, table

#: A stamp this close to the grid means the grid: venues' stamps jitter by milliseconds.
JITTER_MS: Final = 1000
#: Settlements have no grid that could be relied on; they happen on the minute.
_FUNDING_GRID_MS: Final = 60_000


class Repaired(NamedTuple):
    """Rows in time order; how many identical repeats went; times that have rows of different values."""

    frame: pd.DataFrame
    duplicates: int
    conflicts: list[pd.Timestamp]


def repair(frame: pd.DataFrame, kind: Kind, start: pd.Timestamp, end: pd.Timestamp) -> Repaired:
    """Rows of `frame` stamped within `[start, end)`, in order; rows of the same time and values count once.

    Args:
        frame: columns of `kind`, as received.
        kind: whose grid the stamps are snapped to, where they lie within a second of it; others stay.
        start: UTC.
        end: exclusive, UTC.

    Returns:
        Ascending rows. A time with different values keeps each of them, and is among the conflicts.
    """
    stamps = snapped(spans.milliseconds(frame[c.TIMESTAMP]), kind)
    rows = np.flatnonzero((stamps >= spans.ms(start)) & (stamps < spans.ms(end)))
    rows = rows[np.argsort(stamps[rows], kind="stable")]
    stamps, values = stamps[rows], frame.iloc[:, 1:].to_numpy()[rows]  # (rows, columns)
    keep = _first_of_its_kind(stamps, values)
    stamps, values = stamps[keep], values[keep]
    conflicts = [spans.at(one) for one in np.unique(stamps[1:][stamps[1:] == stamps[:-1]])]
    return Repaired(to_frame(kind, Rows(stamps, values)), len(rows) - len(keep), conflicts)


def revised(first: Repaired, again: Repaired, kind: Kind) -> Repaired:
    """What two answers say together; the second was asked for because the first has doubtful rows.

    The second one counts where it has a row, except where it contradicts itself and the first one does not,
    and where it leaves a value out that the first one has. Rows off the grid stay only if it repeats them.

    Args:
        first: the earlier answer, repaired.
        again: the later one, of some of its span.
        kind: of both.
    """
    old, new = first.frame, again.frame
    old = old[off_grid_ms(spans.milliseconds(old[c.TIMESTAMP]), kind) == 0]
    single = old.drop_duplicates(c.TIMESTAMP, keep=False).set_index(c.TIMESTAMP)
    new = new[~(new[c.TIMESTAMP].isin(again.conflicts) & new[c.TIMESTAMP].isin(single.index))]
    known = single.reindex(pd.DatetimeIndex(new[c.TIMESTAMP])).reset_index()
    new = new.reset_index(drop=True).fillna(known)
    kept = old[~old[c.TIMESTAMP].isin(new[c.TIMESTAMP])]
    both = pd.concat([kept, new]).sort_values(c.TIMESTAMP, kind="stable", ignore_index=True)
    conflicts = both.loc[both[c.TIMESTAMP].duplicated(), c.TIMESTAMP].unique()
    return Repaired(both, first.duplicates + again.duplicates, list(conflicts))


def off_grid_ms(stamps: NDArray[np.int64], kind: Kind) -> NDArray[np.int64]:
    """Milliseconds since the point of the grid before, shape (n,); settlements belong on whole hours."""
    step = table(kind).step or spans.HOUR
    return stamps % int(step // pd.Timedelta(milliseconds=1))


def snapped(stamps: NDArray[np.int64], kind: Kind) -> NDArray[np.int64]:
    """Milliseconds since 1970 moved to the grid where they lie within JITTER_MS of it, shape (n,)."""
    step = table(kind).step
    grid = _FUNDING_GRID_MS if step is None else int(step // pd.Timedelta(milliseconds=1))
    off = (stamps + JITTER_MS) % grid - JITTER_MS
    moved: NDArray[np.int64] = np.where(off <= JITTER_MS, stamps - off, stamps)
    return moved


def _first_of_its_kind(stamps: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Positions of rows, ascending, that are no repeat of an earlier row with the same stamp and values."""
    repeated = np.concatenate(([False], stamps[1:] == stamps[:-1]))
    keep = np.ones(len(stamps), dtype=bool)
    for i in np.flatnonzero(repeated):
        j = i - 1
        while j >= 0 and stamps[j] == stamps[i]:
            if keep[j] and np.array_equal(values[j], values[i], equal_nan=True):
                keep[i] = False
                break
            j -= 1
    return np.flatnonzero(keep)
