"""The log of opened holdouts: one JSON line each, never rewritten, chained by hashes.

Enters: the log's path, an opening. Leaves: openings. Each line holds the hash of the line before and its own,
so a line that was changed, left out or moved is found. Lines cut off the end, and a log begun anew, leave no
gap in the chain: keep the newest hash elsewhere (it is printed) if that must be ruled out.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from xrl.errors import DataError

_FIRST: Final = "0" * 64


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


def read(path: Path) -> tuple[tuple[Opening, ...], str]:
    """All openings, oldest first, and the newest hash.

    Raises:
        DataError: a line is no opening, or does not follow from the one before.
    """
    if not path.is_file():
        return (), _FIRST
    found, newest = [], _FIRST
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        record = _record(line)
        if record is None or record["previous"] != newest or record["hash"] != _hash(record):
            raise DataError(
                f"{path}, line {number}: it was changed, or a line before it is missing, so nobody knows how "
                "often the holdout was opened. Bring the log back from a backup; nothing opens without it."
            )
        newest = record["hash"]
        found.append(Opening(**{field.name: record[field.name] for field in fields(Opening)}))
    return tuple(found), newest


class Entry(NamedTuple):
    """An opening as it was logged: the hash of its line, and who saw some of the same days before."""

    hash: str
    earlier: tuple[Opening, ...]


def append(path: Path, opening: Opening) -> Entry:
    """Add `opening` at the end, on disk when this returns.

    Raises:
        DataError: the log is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        before, newest = read(path)
        record = {**asdict(opening), "previous": newest}
        record["hash"] = _hash(record)
        log.write(_canonical(record) + "\n")
        log.flush()
        os.fsync(log.fileno())
    return Entry(str(record["hash"]), tuple(old for old in before if _overlap(old, opening)))


def _overlap(old: Opening, new: Opening) -> bool:
    """Whether both show some of the same days of the same market, whatever the recipe."""
    return (
        old.market == new.market and _time(old.start) < _time(new.end) and _time(new.start) < _time(old.end)
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    names = {field.name for field in fields(Opening)} | {"previous", "hash"}
    return record if isinstance(record, dict) and set(record) == names else None


def _hash(record: Mapping[str, Any]) -> str:
    told = {name: value for name, value in record.items() if name != "hash"}
    return hashlib.sha256(_canonical(told).encode()).hexdigest()


def _canonical(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"))
