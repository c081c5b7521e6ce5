"""What a pull asks for, told from the rows that are stored. Enters: a store, an interval. Leaves: pieces.

Beside what the interval lacks, the newest stored rows are asked for again when it reaches past them: venues
correct recent rows. Holes of before and months whose file was damaged are asked for wherever they lie.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import pandas as pd

from xrl.market import spans
from xrl.market.derived import CONTEXT_ROWS
from xrl.market.spans import HOUR, LONGEST_SCHEDULE, Span
from xrl.market.store import Store
from xrl.market.tables import FUNDING, Kind, table

#: Rows asked for in one go; a multiple of the venues' pages.
PIECE_ROWS: Final = 6000
#: Missing rows with no more good rows than this between them are asked for in one go.
_BRIDGE_ROWS: Final = 200
#: A venue can date a listing later than its first rows (BTCUSDT at Binance: by 17 days), so what is before is
#: asked for once; nobody misses it.
_BEFORE_LISTING: Final = pd.Timedelta(days=30)
#: Settlements can begin later than trading: BTCUSDT at Binance by 39 hours.
_FUNDING_BEGINS: Final = pd.Timedelta(days=1)
#: Settlements this far around a span tell its schedule.
_AROUND: Final = pd.Timedelta(days=2)
#: From before the first venue to after the last.
_NEVER: Final = Span(pd.Timestamp("2001-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC"))


class History(NamedTuple):
    """What can be had of a symbol's kind, UTC.

    Args:
        listed_at: first bar that can exist; None where the venue does not say.
        ends_at: when it was delisted; None while it trades.
        kept_since: oldest moment that the venue still answers for; None: all.
        closed_until: what becomes known later is not asked for.
    """

    listed_at: pd.Timestamp | None
    ends_at: pd.Timestamp | None
    kept_since: pd.Timestamp | None
    closed_until: pd.Timestamp


class Piece(NamedTuple):
    """Stamps to fetch of a symbol's kind.

    Args:
        symbol: as we write it.
        kind: of table.
        span: stamps to keep.
        room: stamps around `span` that may be asked for.
        must: where rows have to be, as far as it lies in `span`.
        stored: stamps in the store, of `span` and around it.
        begins: first stamp of trading.
    """

    symbol: str
    kind: Kind
    span: Span
    room: Span
    must: tuple[Span, ...]
    stored: pd.DatetimeIndex
    begins: pd.Timestamp

    @property
    def rows(self) -> int:
        """About as many as its span has."""
        return max(1, int((self.span.last - self.span.first) / usual_step(self.kind)))

    def lacking(self, fetched: pd.Series) -> list[Span]:
        """Where a row must be and is neither stored nor among the `fetched` stamps."""
        there = self.stored.append(pd.DatetimeIndex(fetched))
        parts = spans.overlap([self.span], self.must)
        return [gap for part in parts for gap in lacking(self.kind, there, part, self.begins)]


class Plan(NamedTuple):
    """What to fetch of a kind; where the order needs rows; where it lacks some that are too old to be had."""

    pieces: tuple[Piece, ...]
    due: tuple[Span, ...]
    too_old: tuple[Span, ...]


def plan(
    store: Store, symbol: str, kind: Kind, order: Span, holes: Sequence[Span], history: History, overlap: int
) -> Plan:
    """Pieces of `kind` to fetch.

    Args:
        store: of the market.
        symbol: as we write it.
        kind: of table.
        order: interval `[start, end)`.
        holes: stamps that are asked for again whatever the order.
        history: what can be had.
        overlap: newest stored rows to ask for again; of funding, hours.

    Raises:
        DataError: a file that matters here is damaged.
    """
    step, newest = table(kind).step or HOUR, store.newest(symbol, kind)
    due = spans.due(kind, order.first, min(order.last, history.closed_until, history.ends_at or order.last))
    life, kept = _life(kind, history), _kept(kind, history)
    traded = spans.overlap([due], [life])
    wanted = [
        gap
        for part in spans.overlap([*traded, *holes], [kept])
        for gap in _unstored(kind, _there(store, symbol, kind, part), part)
    ]
    if traded and newest is None:
        wanted.append(Span(max(due.first, life.first - _BEFORE_LISTING), min(due.last, life.first)))
    elif traded and newest is not None and newest + step < due.last:
        newest_rows = store.times(symbol, kind, newest - (overlap - 1) * step, newest + step)
        wanted += [Span(newest_rows[0], newest + step)] if len(newest_rows) else []
    asked = spans.overlap(spans.merge(wanted, _BRIDGE_ROWS * step), [kept])
    must = tuple(spans.overlap(spans.overlap([due, *holes], [life]), [kept]))
    whole = Piece(symbol, kind, kept, kept, must, pd.DatetimeIndex([]), life.first)
    past = spans.overlap(spans.overlap([due, *holes], [life]), [Span(_NEVER.first, kept.first)])
    return Plan(
        tuple(piece for span in asked for piece in _cut(store, whole._replace(span=span))),
        tuple(spans.overlap(traded, [kept])),
        tuple(
            gap for part in past for gap in lacking(kind, _there(store, symbol, kind, part), part, life.first)
        ),
    )


def _life(kind: Kind, history: History) -> Span:
    """Stamps at which a row of the symbol must have been."""
    step, first, last = table(kind).step or HOUR, _NEVER.first, _NEVER.last
    if history.listed_at is not None:
        listed = history.listed_at.ceil(step)
        first = spans.due(kind, listed, listed).first
    if history.ends_at is not None:
        last = max(first, history.ends_at.ceil(step))
    return Span(first, last)


def _kept(kind: Kind, history: History) -> Span:
    """All stamps that the venue answers for and whose rows are final."""
    last = spans.due(kind, history.closed_until, history.closed_until).last
    first = _NEVER.first if history.kept_since is None else history.kept_since
    return Span(first.ceil(table(kind).step or HOUR), last)


def _there(store: Store, symbol: str, kind: Kind, part: Span) -> pd.DatetimeIndex:
    """Stored stamps of `part`; of funding, those around it too."""
    around = _AROUND if kind == FUNDING else 0 * _AROUND
    return store.times(symbol, kind, part.first - around, part.last + around)


def _unstored(kind: Kind, there: pd.DatetimeIndex, part: Span) -> list[Span]:
    """What to ask for of `part`, in which rows must be."""
    gaps = lacking(kind, there, part)
    if kind == FUNDING:  # the schedule may have narrowed before the first and after the last settlement
        inside = there[(there >= part.first) & (there < part.last)]
        first, last = (inside[0], inside[-1] + HOUR) if len(inside) else (part.last, part.last)
        gaps = [Span(part.first, first), *gaps, Span(last, part.last)]
    return gaps


def _cut(store: Store, whole: Piece) -> Iterator[Piece]:
    """`whole` in pieces of PIECE_ROWS, each with what is stored of it and around it."""
    symbol, kind, span = whole.symbol, whole.kind, whole.span
    context = CONTEXT_ROWS * usual_step(kind)  # validation looks at it, so its files must be sound too
    there = store.times(symbol, kind, span.first - context, span.last + context)
    for part in spans.pieces(span, PIECE_ROWS * usual_step(kind)):
        near = (there >= part.first - _AROUND) & (there < part.last + _AROUND)
        yield whole._replace(span=part, stored=there[near])


def lacking(
    kind: Kind, there: pd.DatetimeIndex, span: Span, begins: pd.Timestamp | None = None
) -> list[Span]:
    """Stamps of `span` at which a row of `kind` must be and is not.

    Args:
        kind: of table.
        there: stamps that are there; of funding, those around the span too.
        span: on the grid of the kind.
        begins: first stamp of trading. A longer time from there to the first settlement is none of its gaps.
    """
    step = table(kind).step
    if step is not None:
        return spans.missing(there, *span, step)
    gaps = spans.funding_gaps(there, *span)
    unbegun = gaps and gaps[0].first == begins and gaps[0].last < span.last
    return gaps[1:] if unbegun and gaps[0].last - gaps[0].first > _FUNDING_BEGINS else gaps


def usual_step(kind: Kind) -> pd.Timedelta:
    """Time between two rows; of funding, the longest."""
    return table(kind).step or LONGEST_SCHEDULE
