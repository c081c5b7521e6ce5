"""What pulls remember of each symbol beside its rows: counts, times, holes to ask for again.

Enters: what a pull or a validation did. Leaves: `SYMBOL.json` below the market's journal, whole or absent. It
lies outside the store, on which DVC depends, and nothing is taken for true from it: rows tell what is there.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from xrl.market import disk
from xrl.market.spans import Span
from xrl.market.tables import Kind

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One symbol.

    Args:
        duplicates: identical rows that were removed, over all pulls.
        corrected: stored rows whose values the venue changed, over all pulls.
        holes: by kind, stamps that the venue lacked or whose file was damaged; every pull asks for them.
        unavailable: by kind, what the venue does not publish, or since when it keeps it.
        last_pull: the venue's time of it.
        last_validation: when rows were last judged.
        ends_at: when the symbol was delisted; None while it trades.
    """

    duplicates: int = 0
    corrected: int = 0
    holes: Mapping[Kind, tuple[Span, ...]] = field(default_factory=dict)
    unavailable: Mapping[Kind, str] = field(default_factory=dict)
    last_pull: pd.Timestamp | None = None
    last_validation: pd.Timestamp | None = None
    ends_at: pd.Timestamp | None = None


@dataclass(frozen=True)
class Journal:
    """One market's journal below `root` (`Paths.journal(name)`)."""

    root: Path

    def symbols(self) -> tuple[str, ...]:
        """Symbols that were ever pulled."""
        return tuple(sorted(path.stem for path in self.root.glob("[!.]*.json")))

    def read(self, symbol: str) -> Entry:
        """What is known of `symbol`; an empty entry for one that was never pulled."""
        path = self._path(symbol)
        try:
            return _entry(json.loads(path.read_text()))
        except FileNotFoundError:
            return Entry()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            _log.warning("%s does not read as a journal (%s) and begins anew; no row needs it", path, error)
            return Entry()

    def update(self, symbol: str, change: Callable[[Entry], Entry]) -> None:
        """Replace the entry by what `change` makes of it; two writers take turns."""
        self.root.mkdir(parents=True, exist_ok=True)
        with disk.locked(self.root) as folder:
            text = json.dumps(_json(change(self.read(symbol))), indent=1)
            disk.replace(self._path(symbol), text.encode() + b"\n")
            os.fsync(folder)

    def _path(self, symbol: str) -> Path:
        return self.root / f"{symbol}.json"


def _json(entry: Entry) -> dict[str, Any]:
    return {
        "duplicates": entry.duplicates,
        "corrected": entry.corrected,
        "holes": {kind: [[_text(a), _text(b)] for a, b in found] for kind, found in entry.holes.items()},
        "unavailable": dict(entry.unavailable),
        "last_pull": _text(entry.last_pull),
        "last_validation": _text(entry.last_validation),
        "ends_at": _text(entry.ends_at),
    }


def _entry(said: Mapping[str, Any]) -> Entry:
    holes = {kind: tuple(_span(*pair) for pair in found) for kind, found in said["holes"].items()}
    return Entry(
        duplicates=int(said["duplicates"]),
        corrected=int(said["corrected"]),
        holes=holes,
        unavailable=dict(said["unavailable"]),
        last_pull=_time(said["last_pull"]),
        last_validation=_time(said["last_validation"]),
        ends_at=_time(said["ends_at"]),
    )


def _span(first: str, last: str) -> Span:
    return Span(pd.Timestamp(first).tz_convert("UTC"), pd.Timestamp(last).tz_convert("UTC"))


def _text(time: pd.Timestamp | None) -> str | None:
    return None if time is None else str(time.isoformat())


def _time(text: str | None) -> pd.Timestamp | None:
    return None if text is None else pd.Timestamp(text).tz_convert("UTC")
