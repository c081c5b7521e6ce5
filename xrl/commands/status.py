"""The table of `xrl market status`. Enters: what is stored. Leaves: text in the terminal."""

import sys
from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from xrl.market.outcome import described
from xrl.market.status import KindStatus, SymbolStatus


def report(market: str, found: Sequence[SymbolStatus]) -> None:
    """One line a table of each symbol; gaps, damage and what cannot be had below."""
    lines = Table(title=f"market {market}, times UTC", title_justify="left")
    for name in ("symbol", "table", "first", "last"):
        lines.add_column(name, no_wrap=True)
    for name in ("rows", "gaps", "removed", "corrected"):
        lines.add_column(name, justify="right")
    for name in ("validated", "next pull"):
        lines.add_column(name, no_wrap=True)
    notes = []
    for symbol in found:
        for place, kind in enumerate(symbol.kinds):
            lines.add_row(*_about(symbol, place == 0), *_table(kind), *_pulls(symbol, place == 0))
            notes += _notes(symbol.symbol, kind)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(lines)
    for note in notes:
        console.print(note, markup=False, highlight=False)


def _about(symbol: SymbolStatus, first: bool) -> tuple[str]:
    return (symbol.symbol if first else "",)


def _table(kind: KindStatus) -> tuple[str, ...]:
    return kind.kind, _time(kind.first), _time(kind.last), f"{kind.rows:,}", str(len(kind.gaps))


def _pulls(symbol: SymbolStatus, first: bool) -> tuple[str, ...]:
    """What is known of the symbol as a whole, on its first line."""
    if not first:
        return ()
    due = "none: delisted" if symbol.next_pull_due is None else _time(symbol.next_pull_due)
    return str(symbol.duplicates), str(symbol.corrected), _time(symbol.last_validation), due


def _notes(symbol: str, kind: KindStatus) -> list[str]:
    said = [f"{symbol}: {described(kind.kind, kind.gaps)} are missing"] if kind.gaps else []
    said += [f"{symbol}: {path} is damaged; the next pull fetches its month again" for path in kind.damaged]
    return said + ([kind.unavailable] if kind.unavailable else [])


def _time(time: pd.Timestamp | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M}"
