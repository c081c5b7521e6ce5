"""Whether a column looks ahead, tried at every bar: the bars that follow it are replaced by others.

Enters: a column as a function of bars, its window, one symbol's bars. Leaves: the value that moved for later
bars' sake alone, if one did. Blocks of `BLOCK` bars are replaced, so far apart that the bar before each has
its whole window behind the block before:

    window 3, block 2    . . . x x . . J x x . . J x x . .      x: replaced, J: judged, the rest as it was;
                                                                then all one bar later, and so on

One evaluation of the whole history judges many bars, and `window + BLOCK` evaluations judge them all.

What any of the futures below changes is found at every bar, however rarely the column looks ahead. Not found
is what none of them changes, and what on rare bars alone depends on none of the next `BLOCK` bars.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.features.rolling import Array

Bars: TypeAlias = dict[str, Array]
Rows: TypeAlias = NDArray[np.int64]
#: Bars, and the column of their rows from `first` to before `end`, of these alone: (end - first,).
Column: TypeAlias = Callable[[Bars, int, int], Array]

#: Bars that are replaced at once: a day of hours.
BLOCK: Final = 24
#: Largest difference between two computations of one value, in deviations of the column.
TOLERANCE: Final = 1e-9


class Future(NamedTuple):
    """What bars are replaced by, whatever they were: two kinds of bar that take turns."""

    price: tuple[float, float]  # closes, times the last one before
    body: tuple[float, float]  # close above open, as a share of the close
    shadow: float  # above and below the body, as a share of the close
    amount: tuple[float, float]  # volumes, trades and open interest, times their mean
    funding: tuple[float, float]  # times its mean size
    unknown: bool = False  # whether statistics that are unknown at times are so now


#: Each bar that rises in one falls in the other, and so do all spans of bars; in the third nothing moves.
FUTURES: Final = (
    Future((1.5, 0.6), (0.1, -0.1), 0.05, (16.0, 1.0 / 16.0), (8.0, -8.0)),
    Future((0.6, 1.5), (-0.1, 0.1), 0.05, (1.0 / 16.0, 16.0), (-8.0, 8.0)),
    Future((1.0, 1.0), (0.0, 0.0), 1e-6, (1.0, 1.0), (0.0, 0.0), True),
)


class Move(NamedTuple):
    """A row whose value moved, and by how many deviations; infinite if it is unknown on one side alone."""

    row: int
    by: float


class Evaluation(NamedTuple):
    """Bars of which some blocks are replaced, and the rows right before each."""

    bars: Bars
    judged: Rows


@dataclass(frozen=True)
class Asked:
    """A column and where it is tried.

    Attributes:
        column: answers for no fewer than `window` bars.
        bars: of one symbol, (n,) each; a statistic is NaN where it is unknown.
        window: bars that a value needs.
        first: row from which on bars are given; values are judged from one window later on.
        deviation: of the column.
    """

    column: Column
    bars: Bars
    window: int
    first: int
    deviation: float

    @cached_property
    def expected(self) -> Array:
        """The column of what came."""
        return self.column(self.bars, self.first, len(self.bars[columns.CLOSE]))

    def evaluations(self, room: int) -> Iterator[Evaluation]:
        """Every row but the last is judged once for each future, `room` bars behind the block before."""
        count = len(self.bars[columns.CLOSE])
        for offset in range(room + BLOCK):
            starts = np.arange(self.first + self.window + offset, count, room + BLOCK)
            for future in FUTURES if len(starts) else ():
                yield Evaluation(followed(self.bars, starts, future), starts - 1)

    def doubts(self, tried: Evaluation) -> Rows:
        """Rows that say something else than they did, those that moved most first."""
        found = self.column(tried.bars, self.first, len(self.bars[columns.CLOSE]))
        at = tried.judged - self.first
        gaps = apart(self.expected[at], found[at], self.deviation)
        order = np.argsort(-gaps, kind="stable")
        return tried.judged[order[: int((gaps > TOLERANCE).sum())]]

    def alone(self, row: int, tried: Evaluation) -> Move:
        """How far the value moves when its own window stays and all that follows is what was tried."""
        first = row + 1 - self.window
        later = np.arange(len(self.bars[columns.CLOSE])) > row
        bars = {name: np.where(later, tried.bars[name], values) for name, values in self.bars.items()}
        end = min(row + 2 * (self.window + BLOCK), len(later))
        both = [self.column(one, first, end)[row - first : row - first + 1] for one in (self.bars, bars)]
        return Move(row, float(apart(both[0], both[1], self.deviation)[0]))


def seen(asked: Asked) -> Move | None:
    """The first value found that moves when other bars follow it; None where none does.

    A value that moved is tried again by itself, with nothing before it replaced: an average that never quite
    forgets is no peek. Where the worst of an evaluation was none, everything is tried again with twice the
    room, which squares what such an average keeps, and whatever still moves is decided one by one.
    """
    for room, some in ((asked.window, 1), (2 * asked.window, None)):
        settled = True
        for tried in asked.evaluations(room):
            doubts = asked.doubts(tried)
            settled = settled and not len(doubts)
            for row in doubts[:some]:
                move = asked.alone(int(row), tried)
                if move.by > TOLERANCE:
                    return move
        if settled:
            return None
    return None


def followed(bars: Bars, starts: Rows, future: Future) -> Bars:
    """Bars of which those of `starts` and the next are another future: `BLOCK` each, or to the history's end.

    Args:
        bars: of one symbol, (n,) each.
        starts: ascending, above 0, more than `BLOCK` apart.
        future: what they are replaced by.
    """
    rows = starts[:, None] + np.arange(BLOCK)  # (blocks, BLOCK)
    within = rows < len(bars[columns.CLOSE])
    turn = np.broadcast_to(np.arange(BLOCK) % 2, rows.shape)[within]
    before = np.broadcast_to(starts[:, None] - 1, rows.shape)[within]
    rows = rows[within]
    close = bars[columns.CLOSE][before] * np.array(future.price)[turn]
    shadow, open_ = close * future.shadow, close * (1.0 - np.array(future.body)[turn])
    made = {
        columns.OPEN: open_,
        columns.HIGH: np.maximum(open_, close) + shadow,
        columns.LOW: np.minimum(open_, close) - shadow,
        columns.CLOSE: close,
    }
    found = {name: values.copy() for name, values in bars.items()}
    for name, values in found.items():
        factor = future.funding if name == columns.FUNDING_RATE else future.amount
        if future.unknown and np.isnan(values).any():
            values[rows] = np.nan
        else:
            values[rows] = made[name] if name in made else _size(bars[name]) * np.array(factor)[turn]
    return found


def apart(expected: Array, found: Array, deviation: float) -> Array:
    """How far values lie apart, in deviations; unknown on both sides is not at all, on one side infinite."""
    equal = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        gap = np.nan_to_num(np.abs(found - expected), nan=np.inf)
    return np.asarray(np.where(equal, 0.0, gap) / deviation)


def _size(values: Array) -> float:
    """Mean size of what is known; NaN where nothing is."""
    known = np.abs(values[np.isfinite(values)])
    return float(known.mean()) if len(known) else float("nan")
