"""Which rows an interval asks for and which of them are not there. Pure.

Enters: stamps of rows, intervals of UTC times. Leaves: spans of stamps `[first, last)`.

A row belongs to the interval in which it becomes known, `(start, end]`: a bar and an hour's taker volume at
the end of what they tell of, an open-interest mark at its stamp. So the mark of a bar's close comes with the
bar, and intervals laid end to end miss nothing. A funding rate belongs to the bar it settles in.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl.market.tables import FUNDING, OPEN_INTEREST, Kind, table

HOUR: Final = pd.Timedelta(hours=1)
#: Venues settle every 1, 2, 4 or 8 hours, counted from midnight UTC.
LONGEST_SCHEDULE: Final = pd.Timedelta(hours=8)
_HOUR_MS, _LONGEST_MS, _DAY_MS = 3_600_000, 8 * 3_600_000, 24 * 3_600_000


class Span(NamedTuple):
    """Stamps with `first <= stamp < last`."""

    first: pd.Timestamp
    last: pd.Timestamp


def due(kind: Kind, start: pd.Timestamp, end: pd.Timestamp) -> Span:
    """Stamps of `kind` that belong to `[start, end)`; empty (first >= last) where none does.

    Example, hourly, from 10:00 to 12:00: bars 10:00 and 11:00, marks 11:00 and 12:00.
    """
    step = table(kind).step
    if kind == FUNDING or step is None:
        return Span(start.ceil("h"), end.ceil("h"))
    lag = pd.Timedelta(0) if kind == OPEN_INTEREST else step
    return Span((start - lag).floor(step) + step, (end - lag).floor(step) + step)


def milliseconds(times: pd.Series | pd.DatetimeIndex) -> NDArray[np.int64]:
    """Milliseconds since 1970 of UTC times, shape (n,)."""
    stamps: NDArray[np.int64] = pd.DatetimeIndex(times).as_unit("ms").asi8
    return stamps


def missing(
    times: pd.Series | pd.DatetimeIndex, start: pd.Timestamp, end: pd.Timestamp, step: pd.Timedelta
) -> list[Span]:
    """Spans of the grid `start, start + step, ... < end` that have no row, in time order.

    Args:
        times: stamps of the rows that are there, any order.
        start: first point of the grid.
        end: exclusive.
        step: between two points.
    """
    first, width = ms(start), step // pd.Timedelta(milliseconds=1)
    count = -((first - ms(end)) // width)
    if count <= 0:
        return []
    points, off = np.divmod(milliseconds(times) - first, width)
    there = np.zeros(count, dtype=bool)
    there[points[(off == 0) & (points >= 0) & (points < count)]] = True
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ~there, [False])).astype(np.int8)))
    return [Span(at(first + a * width), at(first + b * width)) for a, b in edges.reshape(-1, 2)]


def funding_gaps(times: pd.Series | pd.DatetimeIndex, start: pd.Timestamp, end: pd.Timestamp) -> list[Span]:
    """Spans within `[start, end)` in which a settlement must have been that is not among `times`.

    Venues change the time between settlements and do not publish when. So two settlements have a hole
    between them if they lie more than 8 hours apart, or further than others within a day before and within
    a day after. Where one side is unknown, the other one's word counts if the time apart fits no schedule
    from midnight (12:00 to 20:00). Before the first and after the last one the next spacing goes on.

    Args:
        times: settlements, whole hours, any order; those outside `[start, end)` are neighbours.
        start: where settlements begin to be asked for.
        end: exclusive.
    """
    stamps = np.unique(milliseconds(times))
    first, last = ms(start), ms(end)
    if not len(stamps):
        return [Span(start, end)] if last - first >= _LONGEST_MS else []
    spacing = np.minimum(np.diff(stamps), _LONGEST_MS)
    before, after = (int(one) for one in (spacing[[0, -1]] if len(spacing) else (_LONGEST_MS, _LONGEST_MS)))
    oldest, newest = int(stamps[0]), int(stamps[-1])
    earlier = oldest - before * max(0, (oldest - first) // before)  # where the schedule began, carried back
    found = [Span(start, at(min(oldest, last)))] if earlier < min(oldest, last) else []
    for left, right, step in [*_holes(stamps), (newest, last, after)]:
        due = left + step * max(1, -((left - first) // step))  # the next on the schedule, within the interval
        if due < min(right, last):
            found.append(Span(at(max(left + _HOUR_MS, first)), at(min(right, last))))
    return found


def merge(spans: Iterable[Span], within: pd.Timedelta = pd.Timedelta(0)) -> list[Span]:  # noqa: B008
    """`spans` in time order; those that touch, overlap or lie no further apart than `within` are one."""
    merged: list[Span] = []
    for span in sorted(one for one in spans if one.first < one.last):
        if merged and span.first - merged[-1].last <= within:
            merged[-1] = Span(merged[-1].first, max(merged[-1].last, span.last))
        else:
            merged.append(span)
    return merged


def overlap(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """What lies both in one of `spans` and in one of `others`, in time order."""
    cut = merge(others)
    both = (Span(max(a.first, b.first), min(a.last, b.last)) for a in merge(spans) for b in cut)
    return merge(both)


def pieces(span: Span, longest: pd.Timedelta) -> Iterator[Span]:
    """`span` cut from its start into pieces no longer than `longest`."""
    first = span.first
    while first < span.last:
        yield Span(first, min(first + longest, span.last))
        first += longest


def ms(time: pd.Timestamp) -> int:
    """Milliseconds since 1970."""
    return int(time.value // 1_000_000)


def at(stamp: int | np.int64) -> pd.Timestamp:
    """The UTC time of milliseconds since 1970."""
    return pd.Timestamp(int(stamp), unit="ms", tz="UTC")


def _holes(stamps: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Neighbours between which a settlement lacks, and the time between settlements around them."""
    spacing = np.diff(stamps)
    odd = stamps[:-1] % np.maximum(spacing, 1) != 0
    day_before = np.searchsorted(stamps, stamps[:-1] - _DAY_MS)
    day_after = np.searchsorted(stamps, stamps[1:] + _DAY_MS, side="right") - 1
    for i in np.flatnonzero(spacing > spacing.min(initial=_LONGEST_MS)):
        wide, earlier, later = spacing[i], spacing[day_before[i] : i], spacing[i + 1 : day_after[i]]
        sides = [bool((side < wide).any()) for side in (earlier, later) if len(side)]
        if wide > _LONGEST_MS or (any(sides) and all(sides) and (len(sides) == 2 or odd[i])):
            step = min(earlier.min(initial=_LONGEST_MS), later.min(initial=_LONGEST_MS))
            yield int(stamps[i]), int(stamps[i + 1]), int(step) if step < wide else _HOUR_MS
