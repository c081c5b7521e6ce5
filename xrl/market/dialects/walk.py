"""How a span longer than a page is asked for, the same way at every venue.

Enters: a way to fetch the rows stamped within two moments, at most `limit` of them. Leaves: the rows, window
by window in time order. A window holds `limit` rows at the usual spacing, so that it does not matter whether
a venue answers the oldest or the newest rows of a range that holds more (Binance the oldest, Bybit and OKX
the newest); what did not fit is asked for again. A short page therefore never ends a walk; an empty one does
only if nothing lies between it and the span's end either.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np

from xrl.market import tables
from xrl.market.rows import Rows
from xrl.market.tables import Kind

#: Rows stamped up to a second early still fall into their own window: venues' stamps jitter.
MARGIN_MS: Final = 1000

#: Rows stamped within [first, last] milliseconds, both included.
Fetch = Callable[[int, int], Rows]


class Paging(NamedTuple):
    """Rows of one answer at most, the usual and the least time between two rows, and which end of a range
    with more rows the venue answers."""

    limit: int
    usual_ms: int
    least_ms: int
    newest_first: bool


def spacing_ms(kind: Kind) -> tuple[int, int]:
    """Usual and least milliseconds between two rows of `kind`. Funding is settled every eight hours at most
    venues most of the time, every hour or so in stress."""
    step = tables.table(kind).step
    if step is None:
        return 8 * 3_600_000, 60_000
    return int(step.total_seconds() * 1000), int(step.total_seconds() * 1000)


def walk(fetch: Fetch, paging: Paging, start_ms: int, end_ms: int) -> Iterator[Rows]:
    """Pages of rows stamped about [start, end)."""
    last_ms = end_ms - MARGIN_MS - 1
    known_ms = start_ms  # there are rows up to here
    for opens_ms in range(start_ms, end_ms, paging.limit * paging.usual_ms):
        first, last = (
            opens_ms - MARGIN_MS,
            min(opens_ms - MARGIN_MS + paging.limit * paging.usual_ms - 1, last_ms),
        )
        pages = _window(fetch, paging, first, last)
        if not pages:
            if last > known_ms:
                rest = fetch(first, last_ms).stamps
                if not len(rest):
                    return
                known_ms = int(rest.max())
            pages = _window(fetch, paging, first, last)
        for page in pages:
            known_ms = max(known_ms, int(page.stamps.max()))
            yield page


def _window(fetch: Fetch, paging: Paging, first: int, last: int) -> list[Rows]:
    """Pages of a window in time order; asked for until they reach from end to end or bring nothing new."""
    pages: list[Rows] = []
    while True:
        page = fetch(first, last)
        if not len(page.stamps):
            break
        pages.append(page)
        inside = page.stamps[(page.stamps >= first) & (page.stamps <= last)]
        if not len(inside):
            break
        if paging.newest_first:
            last = int(inside.min()) - paging.least_ms + MARGIN_MS
        else:
            first = int(inside.max()) + paging.least_ms - MARGIN_MS
        full = len(page.stamps) >= paging.limit
        if last - first < (0 if full else paging.usual_ms - paging.least_ms):
            break
    return pages[::-1] if paging.newest_first else pages


def gathered(pages: Iterable[Rows], at_least: int) -> Iterator[Rows]:
    """`pages` put together until there are `at_least` rows: frames of few rows cost more than the rows."""
    waiting: list[Rows] = []
    for page in pages:
        waiting.append(page)
        if sum(len(one.stamps) for one in waiting) >= at_least:
            yield _together(waiting)
            waiting = []
    if waiting:
        yield _together(waiting)


def _together(pages: list[Rows]) -> Rows:
    stamps, values = zip(*pages, strict=True)
    return Rows(np.concatenate(stamps), np.concatenate(values))
