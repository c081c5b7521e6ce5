"""What a pull has before it: listings, damaged files put aside, pieces to fetch of every symbol and kind.

Enters: a venue, an order, a store, the journal. Leaves: pieces by kind; what cannot be had is in the tallies.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from xrl.errors import DataError, ExchangeError
from xrl.market import spans
from xrl.market.exchange import Exchange, Listing
from xrl.market.intake import Tally
from xrl.market.journal import Entry, Journal
from xrl.market.outcome import described, noun
from xrl.market.plan import History, Piece, Plan, plan
from xrl.market.spans import Span
from xrl.market.store import Store
from xrl.market.tables import SERIES, Kind, is_candles

_log = logging.getLogger(__name__)


class Order(NamedTuple):
    """What to pull: `[start, end)`, UTC, on the grid of the timeframe."""

    symbols: tuple[str, ...]
    timeframe: Kind
    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class Places:
    """Where a market lies: `Store(paths.market(name))`, `paths.quarantine(name)`, `paths.journal(name)`."""

    store: Store
    quarantine: Path
    journal: Path


@dataclass(frozen=True)
class Agenda:
    """Everything that one pull has to do.

    Args:
        exchange: the venue.
        places: where rows, refused rows and the journal lie.
        order: symbols, timeframe, interval.
        overlap: newest stored rows to ask for again.
        tallies: by symbol.
    """

    exchange: Exchange
    places: Places
    order: Order
    overlap: int
    tallies: Mapping[str, Tally]
    listed: dict[str, Listing] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def journal(self) -> Journal:
        return Journal(self.places.journal)

    def open(self) -> None:
        """Look the symbols up, at the venue and in the journal.

        Raises:
            ExchangeError: the venue is down, or has none of the symbols.
        """
        listed = self.exchange.listings()
        known = [symbol for symbol in self.order.symbols if symbol in listed]
        self.listed.update(self.exchange.check_symbols(known))
        for symbol in self.order.symbols:
            if symbol not in self.listed:
                self._look_up(symbol)
        self.entries.update({symbol: self.journal.read(symbol) for symbol in self.listed})

    def pieces(self, closed_until: pd.Timestamp) -> dict[Kind, list[Piece]]:
        """Pieces by kind, the series first; one symbol's side by side.

        Args:
            closed_until: what becomes known later is not final yet.
        """
        found: dict[Kind, list[Piece]] = {}
        for kind in (*SERIES, self.order.timeframe):
            offered = self.exchange.offers(kind)
            kept_since = self.exchange.kept_since(kind) if offered else None
            for symbol, listing in self.listed.items():
                if offered:
                    history = History(listing.listed_at, listing.ends_at, kept_since, closed_until)
                    found.setdefault(kind, []).extend(self._pieces(symbol, kind, history))
                else:
                    tally = self.tallies[symbol]
                    tally.limits[kind] = f"{symbol} {kind}: {self.exchange.venue} does not publish it"
                    tally.unavailable[kind] = tally.limits[kind]
        return found

    def _look_up(self, symbol: str) -> None:
        """A symbol that is not listed; a mistake with one stops none of the others."""
        try:
            self.listed.update(self.exchange.check_symbols((symbol,)))
        except ExchangeError as error:
            if len(self.order.symbols) == 1:
                raise
            self.tallies[symbol].fail(str(error))

    def _pieces(self, symbol: str, kind: Kind, history: History) -> tuple[Piece, ...]:
        tally = self.tallies[symbol]
        try:
            found = self._plan(symbol, kind, history)
        except DataError as error:
            tally.fail(str(error))
            return ()
        tally.added[kind] = 0
        tally.due.setdefault(kind, []).extend(found.due)
        if is_candles(kind) and not found.due:
            tally.unavailable[kind] = (
                f"{symbol}: nothing of this interval is there: {self._why_none(history)}"
            )
        if history.kept_since is not None:
            since = f"{self.exchange.venue} keeps them since {history.kept_since:%Y-%m-%d %H:%M} only"
            tally.limits[kind] = f"{symbol} {noun(kind)}: {since}"
            if found.too_old:
                said = described(kind, found.too_old)
                tally.unavailable[kind] = f"{symbol}: {said} cannot be had: {since}"
        return found.pieces

    def _why_none(self, history: History) -> str:
        """Why no bar of the order's interval can be there."""
        if history.listed_at is not None and self.order.end <= history.listed_at:
            return f"it was listed on {history.listed_at:%Y-%m-%d %H:%M} UTC"
        if history.ends_at is not None and self.order.start >= history.ends_at:
            return f"it was delisted on {history.ends_at:%Y-%m-%d %H:%M} UTC"
        return f"bars have closed for good until {history.closed_until:%Y-%m-%d %H:%M} UTC"

    def _plan(self, symbol: str, kind: Kind, history: History) -> Plan:
        """The plan of a symbol's kind; damaged files go out of the way first."""
        store, order = self.places.store, Span(self.order.start, self.order.end)
        holes = self.entries[symbol].holes.get(kind, ())
        store.sweep(symbol, kind)
        try:
            return plan(store, symbol, kind, order, holes, history, self.overlap)
        except DataError:
            months = self._set_aside(symbol, kind)
            self.tallies[symbol].due[kind] = months
            return plan(store, symbol, kind, order, [*holes, *months], history, self.overlap)

    def _set_aside(self, symbol: str, kind: Kind) -> list[Span]:
        """Move damaged files to the quarantine; their months, which the journal knows before they go."""
        damaged = self.places.store.damaged(symbol, kind)
        months = [_month(path) for path in damaged]

        def noted(entry: Entry) -> Entry:
            holes = spans.merge([*entry.holes.get(kind, ()), *months])
            return replace(entry, holes={**entry.holes, kind: tuple(holes)})

        self.journal.update(symbol, noted)
        self.entries[symbol] = self.journal.read(symbol)
        for path in damaged:
            place = self.places.store.set_aside(path, self.places.quarantine / symbol / kind / "damaged")
            if place is not None:
                _log.warning("%s is damaged; it lies in %s now and its month is pulled anew", path, place)
                self.tallies[symbol].mended.append(place)
        return months


def _month(path: Path) -> Span:
    first = pd.Timestamp(f"{path.stem}-01", tz="UTC")
    return Span(first, first + pd.DateOffset(months=1))
