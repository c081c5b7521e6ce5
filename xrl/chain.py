"""A log that is only ever added to: one JSON object a line, each chained to the line before by its hash.

Enters: the log's path, plain values. Leaves: the same values and the hash of each line. A line that was
changed, left out or moved breaks the chain. Lines cut off the end, and a log begun anew, do not: who relies
on a log keeps some of its hashes elsewhere.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from xrl.errors import DataError

#: What the first line follows.
FIRST: Final = "0" * 64


class Link(NamedTuple):
    """One line: what it tells, and its hash."""

    told: Mapping[str, Any]
    hash: str


def read(path: Path) -> tuple[Link, ...]:
    """All lines, oldest first; none where there is no log. A line that is being written is not there yet.

    Raises:
        DataError: a line cannot be read, or does not follow from the one before.
    """
    text = path.read_text() if path.is_file() else ""
    return _links(path, text[: text.rfind("\n") + 1])


def _links(path: Path, text: str) -> tuple[Link, ...]:
    found: list[Link] = []
    for number, line in enumerate(text.splitlines(), start=1):
        record = _record(line)
        newest = found[-1].hash if found else FIRST
        if record is None or record["previous"] != newest or record["hash"] != _hash(record):
            raise DataError(
                f"{path}, line {number}: it was changed, or a line before it is missing, so the log proves "
                "nothing any more and nothing is added to it. Bring it back from a backup."
            )
        told = {name: value for name, value in record.items() if name not in ("previous", "hash")}
        found.append(Link(told, str(record["hash"])))
    return tuple(found)


def append(path: Path, tell: Callable[[tuple[Link, ...]], Mapping[str, Any]]) -> Link:
    """Add a line at the end, on disk when this returns.

    Args:
        path: of the log; its folder is made.
        tell: what the new line says, given all lines before it. Nobody else writes to a log of the folder
            meanwhile. What it raises leaves the log as it was, or unmade.

    Raises:
        DataError: the log is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = _links(path, path.read_text() if path.is_file() else "")
        told = dict(tell(before))
        record = {**told, "previous": before[-1].hash if before else FIRST}
        record["hash"] = _hash(record)
        with path.open("a") as log:
            log.write(_canonical(record) + "\n")
            log.flush()
            os.fsync(log.fileno())
    return Link(told, record["hash"])


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and {"previous", "hash"} <= record.keys() else None


def _hash(record: Mapping[str, Any]) -> str:
    told = {name: value for name, value in record.items() if name != "hash"}
    return hashlib.sha256(_canonical(told).encode()).hexdigest()


def _canonical(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"))
