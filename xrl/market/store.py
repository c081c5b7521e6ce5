"""The market store: Parquet, one folder per symbol and kind, one file per month, each whole or absent.

Enters: frames of a kind (xrl.market.tables). Leaves: the same, merged and in time order. A file that is not
byte for byte what was written here under its name is never read as truth: `read` refuses it, `damaged` lists
it, `set_aside` makes room for the month to be pulled again. The same rows twice leave the same bytes.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.market import monthfile
from xrl.market.monthfile import Damaged, Label
from xrl.market.rows import Rows, to_frame, to_rows
from xrl.market.tables import Kind, check_schema, table

_T = TypeVar("_T")


class Written(NamedTuple):
    """New timestamps, and stored ones whose values changed."""

    added: int
    corrected: int


@dataclass(frozen=True)
class Store:
    """One market's history below `root` (`Paths.market(name)`)."""

    root: Path

    def symbols(self) -> tuple[str, ...]:
        """Symbols of which anything is stored."""
        return tuple(sorted({path.parents[1].name for path in self.root.glob("*/*/*.parquet")}))

    def kinds(self, symbol: str) -> tuple[Kind, ...]:
        """Kinds of which anything of `symbol` is stored."""
        return tuple(sorted({path.parent.name for path in (self.root / symbol).glob("*/*.parquet")}))

    def months(
        self, symbol: str, kind: Kind, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> list[Path]:
        """Files that can hold rows of `[start, end)`, in time order."""
        first = "" if start is None else _month(start)
        last = "9999" if end is None else _month(end - pd.Timedelta(milliseconds=1))
        paths = sorted((self.root / symbol / kind).glob("*.parquet"))
        return [path for path in paths if first <= path.stem <= last]

    def read(
        self, symbol: str, kind: Kind, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """Rows with `start <= timestamp < end` in time order; an empty frame where nothing is stored.

        Raises:
            DataError: a file is torn, cut, altered, or another symbol's or month's.
        """
        read = [_rows(path) for path in self.months(symbol, kind, start, end)]
        rows = _joined(kind, read)
        inside = slice(*np.searchsorted(rows.stamps, _bounds(start, end)))
        return to_frame(kind, Rows(rows.stamps[inside], rows.values[inside]))

    def times(
        self, symbol: str, kind: Kind, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> pd.DatetimeIndex:
        """The timestamps that `read` would give, for a third of the work.

        Raises:
            DataError: as `read`.
        """
        read = [_decoded(path, monthfile.decode_stamps) for path in self.months(symbol, kind, start, end)]
        times = _index(read)
        return times[slice(*np.searchsorted(times.asi8, _bounds(start, end)))]

    def newest(self, symbol: str, kind: Kind) -> pd.Timestamp | None:
        """The last timestamp; None where nothing is stored.

        Raises:
            DataError: as `read`, for the last month alone.
        """
        months = self.months(symbol, kind)
        if not months:
            return None
        return pd.Timestamp(int(_decoded(months[-1], monthfile.decode_stamps)[-1]), unit="ms", tz="UTC")

    def write(self, symbol: str, kind: Kind, rows: pd.DataFrame) -> Written:
        """Merge `rows` into the stored months. The newest value of a timestamp wins; what is absent (NaN) is
        news of nothing and leaves a stored value in its place.

        Raises:
            DataError: `rows` are not of `kind`, or a stored file that they would be merged into is damaged.
        """
        check_schema(rows, kind, f"{symbol}: rows for the store")
        if rows.empty:
            return Written(0, 0)
        new = _once(to_rows(rows))
        if new.stamps[0] < 0:
            raise DataError(f"{symbol}: rows for the store without a time; {kind} needs one for each")
        folder = self.root / symbol / kind
        _make(folder)
        written = Written(0, 0)
        with _locked(folder) as descriptor:
            _remove_parts(folder)
            for month, part in _by_month(new):
                added, corrected = _merge_month(folder / f"{month}.parquet", part)
                written = Written(written.added + added, written.corrected + corrected)
            os.fsync(descriptor)
        return written

    def damaged(
        self, symbol: str, kind: Kind, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> list[Path]:
        """Files of months that `[start, end)` touches which are not what was written under their name."""
        return [path for path in self.months(symbol, kind, start, end) if _is_damaged(path)]

    def sweep(self, symbol: str, kind: Kind) -> None:
        """Remove what writers that were killed have left."""
        folder = self.root / symbol / kind
        if any(folder.glob("*.part")):
            with _locked(folder):
                _remove_parts(folder)

    def survey(self, symbol: str, kind: Kind) -> tuple[pd.DatetimeIndex, list[Path]]:
        """All timestamps that can be read, and the files that are damaged."""
        damaged = self.damaged(symbol, kind)
        sound = [path for path in self.months(symbol, kind) if path not in damaged]
        return _index([_decoded(path, monthfile.decode_stamps) for path in sound]), damaged

    def set_aside(self, path: Path, folder: Path) -> Path | None:
        """Move a damaged file of this store into `folder`; None if somebody has mended it meanwhile."""
        with _locked(path.parent):
            if not path.exists() or not _is_damaged(path):
                return None
            folder.mkdir(parents=True, exist_ok=True)
            place = folder / f"{path.stem}-{uuid.uuid4().hex[:8]}.parquet"
            shutil.move(path, place)
            return place


def _merge_month(path: Path, new: Rows) -> Written:
    if not path.exists():
        _replace(path, new)
        return Written(len(new.stamps), 0)
    old = _rows(path)
    places = np.searchsorted(old.stamps, new.stamps)
    known = places < len(old.stamps)
    known[known] = old.stamps[places[known]] == new.stamps[known]
    before, after = old.values[places[known]], new.values[known]
    after = np.where(np.isnan(after), before, after)
    corrected = int(((before != after) & ~np.isnan(after)).any(axis=1).sum())
    added = int((~known).sum())
    if added or corrected:
        values = old.values.copy()
        values[places[known]] = after
        stamps = np.concatenate([old.stamps, new.stamps[~known]])
        order = np.argsort(stamps, kind="stable")
        _replace(path, Rows(stamps[order], np.concatenate([values, new.values[~known]])[order]))
    return Written(added, corrected)


def _replace(path: Path, rows: Rows) -> None:
    """Write aside, flush to the disk, then rename: a reader meets the old file or the new one."""
    aside = path.with_name(f"{path.stem}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
    with aside.open("wb") as stream:
        stream.write(monthfile.encode(_label(path), rows))
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)


def _remove_parts(folder: Path) -> None:
    """Whoever holds the folder's lock is its only writer, so these are of dead ones."""
    for left in folder.glob("*.part"):
        left.unlink(missing_ok=True)


def _rows(path: Path) -> Rows:
    return _decoded(path, monthfile.decode)


def _decoded(path: Path, decode: Callable[[Label, bytes], _T]) -> _T:
    symbol = path.parents[1].name
    try:
        return decode(_label(path), path.read_bytes())
    except (Damaged, OSError) as error:
        raise DataError(
            f"{symbol}: {path} is damaged: {error}. Nothing of it is used. Pull its month again with "
            f"`xrl pull`, which puts the file aside."
        ) from error


def _is_damaged(path: Path) -> bool:
    try:
        _rows(path)
    except DataError:
        return path.exists()  # else another writer has just set it aside
    return False


def _label(path: Path) -> Label:
    return Label(path.parents[1].name, path.parent.name, path.stem)


def _joined(kind: Kind, months: list[Rows]) -> Rows:
    width = len(table(kind).columns) - 1
    stamps = [np.empty(0, np.int64), *(month.stamps for month in months)]
    return Rows(np.concatenate(stamps), np.concatenate([np.empty((0, width)), *(m.values for m in months)]))


def _index(months: list[NDArray[np.int64]]) -> pd.DatetimeIndex:
    stamps = np.concatenate([np.empty(0, np.int64), *months])
    return pd.DatetimeIndex(stamps.astype("datetime64[ms]")).tz_localize("UTC")


def _once(rows: Rows) -> Rows:
    """In time order; of several rows of one time, the last."""
    order = np.argsort(rows.stamps, kind="stable")
    stamps = rows.stamps[order]
    last = order[np.append(stamps[1:] != stamps[:-1], True)]
    return Rows(rows.stamps[last], rows.values[last])


def _by_month(rows: Rows) -> Iterator[tuple[str, Rows]]:
    months = rows.stamps.astype("datetime64[ms]").astype("datetime64[M]")
    starts = np.flatnonzero(np.append(True, months[1:] != months[:-1]))
    for start, end in zip(starts, [*starts[1:], len(months)]):
        yield str(months[start]), Rows(rows.stamps[start:end], rows.values[start:end])


def _bounds(start: pd.Timestamp | None, end: pd.Timestamp | None) -> NDArray[np.int64]:
    """`[start, end)` in milliseconds since 1970."""
    limits = np.iinfo(np.int64)
    low = limits.min if start is None else -(-start.value // 1_000_000)
    high = limits.max if end is None else -(-end.value // 1_000_000)
    return np.array([low, high], dtype=np.int64)


def _month(time: pd.Timestamp) -> str:
    return str(time.strftime("%Y-%m"))


def _make(folder: Path) -> None:
    """Create `folder`; what names it reaches the disk too."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        for parent in (folder.parent, folder.parents[1]):
            with _opened(parent) as descriptor:
                os.fsync(descriptor)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the folder alone among processes and threads; the lock goes with its holder and leaves no file."""
    with _opened(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
