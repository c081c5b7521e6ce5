"""A piece of history from the venue; what is doubtful of it is asked for again.

Enters: a piece (xrl.market.plan). Leaves: its rows, repaired, and where the venue still lacks some.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.errors import ExchangeError
from xrl.market import spans
from xrl.market.exchange import Exchange
from xrl.market.plan import Piece, usual_step
from xrl.market.repair import Repaired, off_grid_ms, repair, revised
from xrl.market.spans import HOUR, Span
from xrl.market.tables import empty, table

#: Seconds before each further asking; the last one counts for all that follow.
REFILL_WAITS_S: Final = (0.1, 0.5, 2.0)
#: Doubtful rows are asked for with this many neighbours, so that an answer is a page and not a single row.
_NEIGHBOURS: Final = 12
#: Doubtful rows no further apart than this are asked for in one go.
_TOGETHER_ROWS: Final = 200
#: Figures that a venue may not have; the others belong to every row.
_OPTIONAL: Final = (*c.OPTIONAL_CANDLE, c.OPEN_INTEREST_VALUE)

Arrived = Callable[[str, int], None]


class Fetched(NamedTuple):
    """What came of a piece.

    Args:
        piece: what was asked for.
        frame: rows of its span, repaired; empty if it failed.
        duplicates: identical repeats that were removed.
        lacking: where rows must be and are not.
        failure: why the venue would not answer; None if it did.
    """

    piece: Piece
    frame: pd.DataFrame
    duplicates: int
    lacking: tuple[Span, ...]
    failure: ExchangeError | None


def fetch(
    exchange: Exchange, piece: Piece, refills: int, arrived: Arrived, pause: Callable[[float], object]
) -> Fetched:
    """The rows of `piece`, doubtful ones asked for up to `refills` times more.

    Args:
        exchange: the venue.
        piece: what to ask for.
        refills: how often rows that lack, contradict themselves or are incomplete are asked for again.
        arrived: told symbol and number of rows of each page that the piece asks for.
        pause: waits for some seconds before each further asking.

    Raises:
        ExchangeError: the venue is down or refuses.
    """
    wide = _widened(piece.span, piece) if piece.rows <= _TOGETHER_ROWS else piece.span
    got = _ask(exchange, piece, wide, arrived)
    for number in range(refills):
        doubts = _doubts(got, piece)
        if not doubts:
            break
        pause(REFILL_WAITS_S[min(number, len(REFILL_WAITS_S) - 1)])
        for span in doubts:
            got = revised(got, _ask(exchange, piece, _widened(span, piece), lambda *_: None), piece.kind)
    times = got.frame[c.TIMESTAMP]
    frame = got.frame[(times >= piece.span.first) & (times < piece.span.last)].reset_index(drop=True)
    return Fetched(piece, frame, got.duplicates, tuple(piece.lacking(frame[c.TIMESTAMP])), None)


def _ask(exchange: Exchange, piece: Piece, span: Span, arrived: Arrived) -> Repaired:
    pages = [empty(piece.kind)]
    for page in exchange.pages(piece.kind, piece.symbol, *span):
        pages.append(page)
        times = page[c.TIMESTAMP]
        arrived(piece.symbol, int(((times >= piece.span.first) & (times < piece.span.last)).sum()))
    whole = [page for page in pages if len(page)] or pages
    return repair(pd.concat(whole, ignore_index=True), piece.kind, *span)


def _doubts(got: Repaired, piece: Piece) -> list[Span]:
    """Spans within the piece to ask for again: rows that lack, contradict themselves, are incomplete or stand
    beside the grid."""
    step = table(piece.kind).step or HOUR
    stamps = spans.milliseconds(got.frame[c.TIMESTAMP])
    off = off_grid_ms(stamps, piece.kind)
    doubtful = stamps[(off != 0) | _incomplete(got.frame)]
    points = [*got.conflicts, *(spans.at(one) for one in doubtful)]
    rows = (Span(point.floor(step), point.floor(step) + step) for point in points)
    around = spans.merge([*piece.lacking(got.frame[c.TIMESTAMP]), *rows], _TOGETHER_ROWS * step)
    return spans.overlap(around, [piece.span])


def _incomplete(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows that lack a figure which they must have, or which other rows have, shape (n,)."""
    values = frame.iloc[:, 1:].to_numpy()
    absent = np.isnan(values)
    never = np.array([name in _OPTIONAL for name in frame.columns[1:]]) & absent.all(axis=0)
    found: NDArray[np.bool_] = (absent & ~never).any(axis=1)
    return found


def _widened(span: Span, piece: Piece) -> Span:
    margin = _NEIGHBOURS * usual_step(piece.kind)
    first, last = max(span.first - margin, piece.room.first), min(span.last + margin, piece.room.last)
    return Span(min(first, span.first), max(last, span.last))
