"""Where fetched rows become stored ones: joined, judged in one run for all symbols, written or refused.

Enters: what came of the pieces of one kind. Leaves: rows in the store, bad ones in the quarantine, a tally.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.config import ValidationParams
from xrl.errors import DataError
from xrl.market import spans
from xrl.market.derived import CONTEXT_ROWS, Batch
from xrl.market.fetch import Fetched
from xrl.market.plan import usual_step
from xrl.market.quarantine import Verdict
from xrl.market.rows import to_rows
from xrl.market.spans import Span
from xrl.market.store import Store
from xrl.market.tables import FUNDING, Kind, empty
from xrl.market.watch import Watch, spending

#: Files that reach the disk at once.
_WRITERS: Final = 4


@dataclass
class Tally:
    """What has happened to one symbol so far; see Outcome.

    Args:
        due: by kind, where rows must be for this pull to be complete.
        lacking: by kind, spans that the venue lacks.
        limits: by kind, what the venue does not publish, or since when it keeps it.
        unsettled: by kind, spans that were refused or not answered.
        validated: whether any rows were judged.
    """

    added: dict[Kind, int] = field(default_factory=dict)
    corrected: int = 0
    duplicates: int = 0
    due: dict[Kind, list[Span]] = field(default_factory=dict)
    lacking: dict[Kind, list[Span]] = field(default_factory=dict)
    unsettled: dict[Kind, list[Span]] = field(default_factory=dict)
    unavailable: dict[Kind, str] = field(default_factory=dict)
    limits: dict[Kind, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    mended: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    validated: bool = False

    def fail(self, why: str) -> None:
        """Note why something could not be asked for or stored; the same reason once."""
        if why not in self.failures:
            self.failures.append(why)


@dataclass(frozen=True)
class Intake:
    """The way into `store`; tallies are kept by symbol."""

    store: Store
    quarantine: Path
    rules: ValidationParams
    tallies: Mapping[str, Tally]
    watch: Watch

    def take(self, kind: Kind, fetched: Sequence[Fetched]) -> None:
        """Judge and store what was fetched of `kind`, pieces of a symbol side by side and in time order."""
        joined = {
            symbol: self._joined(kind, symbol, list(parts))
            for symbol, parts in groupby(fetched, lambda one: one.piece.symbol)
        }
        with spending(self.watch, "store"):
            batches = [batch for symbol, frame in joined.items() for batch in self._news(kind, symbol, frame)]
        verdicts = self._judged(kind, batches)
        for symbol, verdict in verdicts.items():
            asked = [one.piece.span for one in fetched if one.piece.symbol == symbol]
            self._note(kind, symbol, verdict, asked)
        accepted = [batch for batch in batches if verdicts[batch.symbol].accepted]
        with spending(self.watch, "store"), ThreadPoolExecutor(_WRITERS) as writers:
            stretches = [list(found) for _, found in groupby(accepted, lambda one: one.symbol)]
            list(writers.map(partial(self._store, kind), stretches))

    def _joined(self, kind: Kind, symbol: str, parts: Sequence[Fetched]) -> pd.DataFrame:
        tally = self.tallies[symbol]
        for part in parts:
            tally.duplicates += part.duplicates
            tally.lacking.setdefault(kind, []).extend(part.lacking)
            if part.failure is not None:
                tally.unsettled.setdefault(kind, []).append(part.piece.span)
                tally.fail(f"{symbol} {kind}: {part.failure}")
        frames = [part.frame for part in parts if len(part.frame)]
        return pd.concat(frames, ignore_index=True) if frames else empty(kind)

    def _news(self, kind: Kind, symbol: str, frame: pd.DataFrame) -> list[Batch]:
        """What is to be judged: `frame` from its first row on that is not stored as it is, between holes."""
        if frame.empty:
            return []
        times = frame[c.TIMESTAMP]
        since = times.iloc[0] - CONTEXT_ROWS * usual_step(kind)
        try:
            stored = self.store.read(symbol, kind, since, times.iloc[-1] + pd.Timedelta(milliseconds=1))
        except DataError as error:
            self.tallies[symbol].fail(str(error))
            return []
        known = stored[stored[c.TIMESTAMP] >= times.iloc[0]].reset_index(drop=True)
        news = frame.iloc[_leading_repeats(frame, known) :]
        if news.empty:
            return []
        before = stored[stored[c.TIMESTAMP] < news[c.TIMESTAMP].iloc[0]]
        # the newest stored row is judged once more: only its successor shows a spike
        judged = pd.concat([before.tail(1), news]) if len(before) else news
        return _stretches(kind, symbol, judged, before.iloc[:-1].tail(CONTEXT_ROWS))

    def _judged(self, kind: Kind, batches: Sequence[Batch]) -> dict[str, Verdict]:
        if not batches:
            return {}
        with spending(self.watch, "import"):
            from xrl.market.expectations import validate  # takes seconds; not before there are rows
        with spending(self.watch, "validate"):
            return validate(kind, batches, self.rules, self.quarantine)

    def _note(self, kind: Kind, symbol: str, verdict: Verdict, asked: Sequence[Span]) -> None:
        tally = self.tallies[symbol]
        tally.validated = True
        if not verdict.accepted:
            tally.refused.append(verdict.message(symbol, kind))
            tally.unsettled.setdefault(kind, []).extend(asked)
        elif verdict.failures:
            tally.warnings.append(verdict.message(symbol, kind))

    def _store(self, kind: Kind, stretches: Sequence[Batch]) -> None:
        """Write the stretches of one symbol."""
        symbol = stretches[0].symbol
        tally = self.tallies[symbol]
        try:
            written = self.store.write(symbol, kind, pd.concat([one.frame for one in stretches]))
        except DataError as error:
            tally.fail(str(error))
            return
        tally.added[kind] = tally.added.get(kind, 0) + written.added
        tally.corrected += written.corrected


def _leading_repeats(frame: pd.DataFrame, known: pd.DataFrame) -> int:
    """How many first rows of `frame` are, in the same order, the first of `known`."""
    count = min(len(frame), len(known))
    ours, theirs = to_rows(frame.head(count)), to_rows(known.head(count))
    same = (ours.values == theirs.values) | np.isnan(ours.values)  # what is absent is no news
    repeats = (ours.stamps == theirs.stamps) & same.all(axis=1)
    return int(np.argmin(np.append(repeats, False)))


def _stretches(kind: Kind, symbol: str, frame: pd.DataFrame, before: pd.DataFrame) -> list[Batch]:
    """`frame` cut where rows lack, each part with what comes before it: holes are no fault of the rows."""
    stamps = spans.milliseconds(frame[c.TIMESTAMP])
    step = int(usual_step(kind) // pd.Timedelta(milliseconds=1))
    apart = np.diff(stamps)
    holes = apart > step if kind == FUNDING else (apart > step) & (apart % step == 0)
    cuts = [0, *(np.flatnonzero(holes) + 1), len(frame)]
    batches = []
    for first, last in pairwise(cuts):
        past = frame.iloc[max(0, first - CONTEXT_ROWS) : first]
        context = past if len(past) == CONTEXT_ROWS or before.empty else pd.concat([before, past])
        stretch = frame.iloc[first:last].reset_index(drop=True)
        batches.append(Batch(symbol, stretch, context.tail(CONTEXT_ROWS).reset_index(drop=True)))
    return batches
