"""The ledger of recipes that were tried: one line for every registered bundle, chained (`xrl.chain`).

Enters: the ledger's path, registrations. Leaves: lines. It lies beside the market store, not in the tracking
store, and each version in the registry bears the hash of its line: neither can lose a recipe that the other
does not miss. What is gone from both, or was never registered, nobody can count.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from xrl import chain
from xrl.chain import Link
from xrl.errors import DataError

#: Tag of a version: the hash of its line.
TAG: Final = "ledger"


@dataclass(frozen=True)
class Registered:
    """One registered bundle."""

    registered_at: str  # ISO 8601, UTC
    model: str
    recipe: str  # hash of parameters and code
    digest: str  # of the bundle
    run: str  # in the tracking store
    adopted: str | None = None  # why the line was written afterwards; None: by `xrl register`


class Line(NamedTuple):
    """A line of the ledger, and its hash."""

    entry: Registered
    hash: str


def read(path: Path) -> tuple[Line, ...]:
    """All lines, oldest first; none where there is no ledger.

    Raises:
        DataError: the ledger is damaged.
    """
    return _lines(path, chain.read(path))


def enter(path: Path, entry: Registered) -> Line:
    """Add `entry`, on disk when this returns.

    Raises:
        DataError: the ledger is damaged.
    """

    def tell(before: tuple[Link, ...]) -> Mapping[str, Any]:
        _lines(path, before)
        return asdict(entry)

    return Line(entry, chain.append(path, tell).hash)


def _lines(path: Path, links: tuple[Link, ...]) -> tuple[Line, ...]:
    names = {field.name for field in fields(Registered)}
    for number, link in enumerate(links, start=1):
        if link.told.keys() != names:
            raise DataError(f"{path}, line {number}: it is no line of the ledger of recipes; who wrote it?")
    return tuple(Line(Registered(**link.told), link.hash) for link in links)
