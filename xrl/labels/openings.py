"""The logs of opened holdouts: one chained log a market (`xrl.chain`), all in one folder.

Enters: a log's path, an opening. Leaves: openings. Days count as seen where an earlier opening showed some of
them of the same market, or showed the very same bars under any market's name.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from xrl import chain
from xrl.chain import Link
from xrl.errors import ConfigError, DataError


@dataclass(frozen=True)
class Opening:
    """One opening; times ISO 8601, UTC."""

    opened_at: str
    market: str
    start: str  # of the holdout
    end: str
    bars: int  # of all symbols
    data: str  # SHA-256 of its bars
    kind: str  # of the labels
    recipe: str  # hash of parameters and code
    commit: str | None  # None outside a checkout
    reason: str
    again: bool = False  # some of its days had been seen before

    def sentence(self) -> str:
        """Who opened what, and why, in one line."""
        return (
            f"{self.opened_at} {self.market} {self.start}..{self.end}, recipe {self.recipe[:12]}, commit "
            f"{(self.commit or 'none')[:12]}{', AGAIN' if self.again else ''}: {self.reason}"
        )


class Days(NamedTuple):
    """Days of a market; times ISO 8601, UTC."""

    market: str
    start: str
    end: str
    data: str | None  # SHA-256 of their bars, where they are a holdout


class Entry(NamedTuple):
    """An opening as it was logged, the hash of its line, and who saw some of the same days before."""

    opening: Opening
    hash: str
    earlier: tuple[Opening, ...]


def read(path: Path) -> tuple[tuple[Opening, ...], str]:
    """All openings of one log, oldest first, and the newest hash.

    Raises:
        DataError: the log is damaged, or a line is no opening.
    """
    links = chain.read(path)
    return _openings(path, links), links[-1].hash if links else chain.FIRST


def append(path: Path, opening: Opening, again: bool = False) -> Entry:
    """Add `opening` at the end, on disk when this returns.

    Args:
        path: log of the opening's market.
        opening: what is to be opened.
        again: whether days that were seen before may be opened once more; it is logged as such.

    Raises:
        ConfigError: such days, and `again` is not said.
        DataError: a log in the folder is damaged.
    """
    earlier: list[Opening] = []
    logged: list[Opening] = []

    def tell(before: tuple[Link, ...]) -> Mapping[str, Any]:
        _openings(path, before)
        days = Days(opening.market, opening.start, opening.end, opening.data)
        earlier.extend(seen_before(path.parent, days))
        if earlier and not again:
            raise ConfigError(_refusal(earlier))
        logged.append(replace(opening, again=bool(earlier)))
        return asdict(logged[0])

    link = chain.append(path, tell)
    return Entry(logged[0], link.hash, tuple(earlier))


def seen_before(folder: Path, days: Days) -> tuple[Opening, ...]:
    """Every logged opening that showed some of `days`, whatever its recipe; `folder` holds the logs.

    Raises:
        DataError: a log in the folder is damaged.
    """
    known = [old for log in sorted(folder.glob("*.jsonl")) for old in read(log)[0]]
    return tuple(old for old in known if old.data == days.data or _overlap(old, days))


def _openings(path: Path, links: tuple[Link, ...]) -> tuple[Opening, ...]:
    names = {field.name for field in fields(Opening)}
    for number, link in enumerate(links, start=1):
        if not names - {"again"} <= link.told.keys() <= names:
            raise DataError(f"{path}, line {number}: it is no opening of a holdout; who wrote it?")
    return tuple(Opening(**link.told) for link in links)


def _refusal(earlier: list[Opening]) -> str:
    shown = "; ".join(old.sentence() for old in earlier)
    return (
        f"days of this holdout were opened before ({len(earlier)}): {shown}. What they say of a model that "
        "was changed since is no test of the unseen: hold out later days. To see them once more, say "
        "`--again`; it is logged as such."
    )


def _overlap(old: Opening, new: Days) -> bool:
    """Whether both show some of the same days of the same market."""
    return (
        old.market == new.market and _time(old.start) < _time(new.end) and _time(new.start) < _time(old.end)
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
