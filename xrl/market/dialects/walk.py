"""How a span longer than a page is asked for, the same way at every venue.

Enters: a way to fetch the rows stamped within two moments, at most `limit` of them. Leaves: frames, window by
window in time order. A window holds `limit` rows at the usual spacing, so that it does not matter whether a
venue answers the oldest or the newest rows of a range that holds more (Binance the oldest, Bybit and OKX the
newest); what did not fit is asked for again. A short page therefore never ends a walk; an empty one does only
if nothing lies between it and the span's end either.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import pandas as pd

from xrl import columns as c
from xrl.market import tables
from xrl.market.tables import Kind

#: Rows stamped up to a second early still fall into their own window: venues' stamps jitter.
MARGIN_MS: Final = 1000

#: Rows stamped within [first, last] milliseconds, both included.
Fetch = Callable[[int, int], pd.DataFrame]


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


def walk(fetch: Fetch, paging: Paging, start_ms: int, end_ms: int) -> Iterator[pd.DataFrame]:
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
                rest = _stamps(fetch(first, last_ms))
                if rest.empty:
                    return
                known_ms = int(rest.max())
            pages = _window(fetch, paging, first, last)
        for page in pages:
            known_ms = max(known_ms, int(_stamps(page).max()))
            yield page


def _window(fetch: Fetch, paging: Paging, first: int, last: int) -> list[pd.DataFrame]:
    """Pages of a window in time order; asked for until they reach from end to end or bring nothing new."""
    pages: list[pd.DataFrame] = []
    while True:
        page = fetch(first, last)
        if page.empty:
            break
        pages.append(page)
        stamps = _stamps(page)
        inside = stamps[(stamps >= first) & (stamps <= last)]
        if inside.empty:
            break
        if paging.newest_first:
            last = int(inside.min()) - paging.least_ms + MARGIN_MS
        else:
            first = int(inside.max()) + paging.least_ms - MARGIN_MS
        full = len(page) >= paging.limit
        if last - first < (0 if full else paging.usual_ms - paging.least_ms):
            break
    return pages[::-1] if paging.newest_first else pages


def _stamps(page: pd.DataFrame) -> pd.Series:
    """Milliseconds since 1970."""
    return page[c.TIMESTAMP].astype("int64")
