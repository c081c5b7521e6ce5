"""Files that are whole or not there, whoever writes and whenever killed. Enters: bytes. Leaves: files."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold `folder` alone among processes and threads, as a descriptor of it; the lock goes with its holder
    and leaves no file."""
    with _opened(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor


def make(folder: Path) -> None:
    """Create `folder`; the two folders above, which name it, reach the disk too."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        for parent in (folder.parent, folder.parents[1]):
            with _opened(parent) as descriptor:
                os.fsync(descriptor)


def replace(path: Path, data: bytes) -> None:
    """Write aside, flush to the disk, then rename: a reader meets the old file or the new one."""
    aside = path.with_name(f".{path.stem}.{os.getpid()}-{uuid4().hex[:8]}.part")
    try:
        with aside.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)  # after a failure, a full disk for one, nothing is left


def parts(folder: Path) -> list[Path]:
    """What writers have not finished; whoever holds the folder's lock knows them dead."""
    return list(folder.glob(".*.part"))


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
