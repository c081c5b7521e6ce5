"""What a market's store holds, for `xrl market status`. Enters: store, journal, a moment. Leaves: data."""

from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from xrl.market.journal import Entry, Journal
from xrl.market.plan import lacking
from xrl.market.spans import HOUR, Span, merge
from xrl.market.store import Store
from xrl.market.tables import Kind, is_candles, table

#: The daily pull runs this long after midnight UTC (dags/market_data.py).
PULLED_AFTER_MIDNIGHT: Final = pd.Timedelta(minutes=10)


class KindStatus(NamedTuple):
    """One table of a symbol.

    Args:
        kind: of table.
        rows: that can be read.
        first: timestamp of the first row; None without rows.
        last: of the last one.
        gaps: spans between them in which rows must be and are not, and those that the last pull asked for in
            vain.
        damaged: files that will be pulled anew, whose rows do not count.
        unavailable: that the venue does not publish it, or since when it keeps it; None if it has all.
    """

    kind: Kind
    rows: int
    first: pd.Timestamp | None
    last: pd.Timestamp | None
    gaps: tuple[Span, ...]
    damaged: tuple[Path, ...]
    unavailable: str | None


class SymbolStatus(NamedTuple):
    """One symbol.

    Args:
        symbol: as we write it.
        kinds: candles first.
        duplicates: repeated rows removed by all pulls.
        corrected: stored rows that the venue corrected later.
        last_pull: the venue's time of it; None if never.
        last_validation: when rows were last judged.
        next_pull_due: None for a delisted symbol that is complete; `now` itself if the store is behind.
    """

    symbol: str
    kinds: tuple[KindStatus, ...]
    duplicates: int
    corrected: int
    last_pull: pd.Timestamp | None
    last_validation: pd.Timestamp | None
    next_pull_due: pd.Timestamp | None


def status(store: Store, journal: Journal, now: pd.Timestamp) -> list[SymbolStatus]:
    """Every symbol that is stored or was ever pulled, in alphabetical order."""
    symbols = sorted({*store.symbols(), *journal.symbols()})
    return [_symbol(store, symbol, journal.read(symbol), now) for symbol in symbols]


def next_due(
    closed: pd.Timestamp | None, ends_at: pd.Timestamp | None, now: pd.Timestamp
) -> pd.Timestamp | None:
    """When a daily pull is due next.

    Args:
        closed: when the newest stored bar closed; None without bars.
        ends_at: when the symbol was delisted; None while it trades.
        now: UTC.

    Returns:
        ten minutes after the next midnight; `now` if the day before lacks; None if nothing will come.
    """
    today = (now - PULLED_AFTER_MIDNIGHT).floor("D")
    if closed is not None and ends_at is not None and closed >= ends_at.floor("h"):
        return None
    if closed is None or closed < today:
        return now
    return today + pd.Timedelta(days=1) + PULLED_AFTER_MIDNIGHT


def _symbol(store: Store, symbol: str, entry: Entry, now: pd.Timestamp) -> SymbolStatus:
    kinds = sorted({*store.kinds(symbol), *entry.unavailable}, key=lambda kind: (not is_candles(kind), kind))
    tables = tuple(_kind(store, symbol, kind, entry) for kind in kinds)
    closed = [one.last + _step(one.kind) for one in tables if is_candles(one.kind) and one.last is not None]
    due = next_due(max(closed, default=None), entry.ends_at, now)
    return SymbolStatus(
        symbol=symbol,
        kinds=tables,
        duplicates=entry.duplicates,
        corrected=entry.corrected,
        last_pull=entry.last_pull,
        last_validation=entry.last_validation,
        next_pull_due=now if any(one.damaged for one in tables) else due,
    )


def _kind(store: Store, symbol: str, kind: Kind, entry: Entry) -> KindStatus:
    times, damaged = store.survey(symbol, kind)
    first, last = (times[0], times[-1]) if len(times) else (None, None)
    inside = lacking(kind, times, Span(first, last + _step(kind))) if len(times) else []
    gaps = merge([*inside, *entry.holes.get(kind, ())])
    return KindStatus(kind, len(times), first, last, tuple(gaps), tuple(damaged), entry.unavailable.get(kind))


def _step(kind: Kind) -> pd.Timedelta:
    return table(kind).step or HOUR
