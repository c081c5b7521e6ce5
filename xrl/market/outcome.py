"""How a pull went for one symbol. Enters: what was stored, removed, missing, refused. Leaves: sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pandas as pd

from xrl.market.spans import Span
from xrl.market.tables import FUNDING, OPEN_INTEREST, TAKER_VOLUME, Kind, is_candles, table

_NOUNS: Final = MappingProxyType(
    {FUNDING: "funding rates", OPEN_INTEREST: "open-interest marks", TAKER_VOLUME: "taker volumes"}
)
_SPANS_SHOWN: Final = 3


@dataclass(frozen=True)
class Outcome:
    """What a pull did for one symbol.

    Args:
        symbol: as we write it.
        added: new rows by kind.
        corrected: stored rows whose values the venue has changed.
        duplicates: identical repeats that were removed.
        missing: by kind, spans of stamps that the order needs and the venue lacks.
        tolerated: kinds whose missing rows are a warning by `validation.severity`.
        holes: by kind, spans that the venue lacked before, elsewhere, and still lacks.
        unavailable: by kind, what the venue does not publish or no longer keeps.
        refused: messages of batches that validation refused.
        warnings: messages of rules that were broken and only warn.
        mended: damaged files that were moved to the quarantine, where they lie now.
        failures: why something could not be asked for or stored.
    """

    symbol: str
    added: Mapping[Kind, int]
    corrected: int = 0
    duplicates: int = 0
    missing: Mapping[Kind, Sequence[Span]] = field(default_factory=dict)
    tolerated: frozenset[Kind] = frozenset()
    holes: Mapping[Kind, Sequence[Span]] = field(default_factory=dict)
    unavailable: Mapping[Kind, str] = field(default_factory=dict)
    refused: Sequence[str] = ()
    warnings: Sequence[str] = ()
    mended: Sequence[Path] = ()
    failures: Sequence[str] = ()

    @property
    def complete(self) -> bool:
        """Whether all that the order needs and the venue can have is stored."""
        return not (self.failures or self.refused or set(self.missing) - self.tolerated)

    def sentences(self) -> list[str]:
        """What to tell: first what is new, then everything that is not as it should be."""
        rows = ", ".join(f"{count} {noun(kind)}" for kind, count in self.added.items())
        said = [f"{self.symbol}: {rows or 'no rows'} are new"]
        if self.duplicates:
            said.append(f"{self.duplicates} repeated row(s) were removed")
        if self.corrected:
            said.append(f"{self.corrected} stored row(s) were corrected by the venue")
        said += [f"{path.name} was damaged and is pulled anew; it lies in {path}" for path in self.mended]
        said += self.unavailable.values()
        said += [
            f"{described(kind, found)} {'are missing still' if kind in self.tolerated else 'are missing'}: "
            "the venue sent none; the next pull asks again"
            for kind, found in self.missing.items()
        ]
        said += [
            f"{described(kind, found)} outside this interval are missing still"
            for kind, found in self.holes.items()
        ]
        return [*said, *self.warnings, *self.refused, *self.failures]


def noun(kind: Kind) -> str:
    """What rows of `kind` are called."""
    if is_candles(kind):
        return "candles" if kind == "1h" else f"{kind} candles"
    return _NOUNS[kind]


def described(kind: Kind, found: Sequence[Span]) -> str:
    """How many rows of `kind` are meant and where, `3 candles (2024-05-20 05:00 to 07:00)`."""
    step = table(kind).step
    where = ", ".join(_where(kind, span) for span in found[:_SPANS_SHOWN])
    more = f" and {len(found) - _SPANS_SHOWN} more spans" if len(found) > _SPANS_SHOWN else ""
    count = "" if step is None else f"{sum(int((b - a) / step) for a, b in found)} "
    return f"{count}{noun(kind)} ({where}{more})"


def _where(kind: Kind, span: Span) -> str:
    last = span.last - (table(kind).step or pd.Timedelta(hours=1))
    if last <= span.first:
        return f"{span.first:%Y-%m-%d %H:%M}"
    return f"{span.first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
