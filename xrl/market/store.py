"""The market store: Parquet, one folder per symbol and kind, one file per month, each whole or absent.

Enters: frames of a kind (xrl.market.tables). Leaves: the same, merged and in time order. A file that is not
byte for byte what was written here under its name is never read as truth: `read` refuses it, `damaged` lists
it, `set_aside` makes room for the month to be pulled again. The same rows twice leave the same bytes.
"""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from uuid import uuid4

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.market import disk, monthfile
from xrl.market.monthfile import Damaged, Label
from xrl.market.rows import Rows, by_month, joined, merged, once, to_frame, to_rows, to_times
from xrl.market.tables import Kind, check_schema

_T = TypeVar("_T")

#: Other names are none of ours.
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])\.parquet")
_MONTHS: Final = "[0-9][0-9][0-9][0-9]-[0-9][0-9].parquet"


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
        return tuple(sorted({path.parents[1].name for path in self.root.glob(f"*/*/{_MONTHS}")}))

    def kinds(self, symbol: str) -> tuple[Kind, ...]:
        """Kinds of which anything of `symbol` is stored."""
        return tuple(sorted({path.parent.name for path in (self.root / symbol).glob(f"*/{_MONTHS}")}))

    def months(
        self, symbol: str, kind: Kind, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> list[Path]:
        """Files that can hold rows of `[start, end)`, in time order."""
        first = "" if start is None else _month(start)
        last = "9999" if end is None else _month(end - pd.Timedelta(milliseconds=1))
        folder = self.root / symbol / kind
        names = sorted(entry.name for entry in os.scandir(folder)) if folder.is_dir() else []
        return [folder / name for name in names if _MONTH.fullmatch(name) and first <= name[:7] <= last]

    def read(
        self, symbol: str, kind: Kind, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """Rows with `start <= timestamp < end` in time order; an empty frame where nothing is stored.

        Raises:
            DataError: a file is torn, cut, altered, or another symbol's or month's.
        """
        read = [_rows(path) for path in self.months(symbol, kind, start, end)]
        rows = joined(kind, read)
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
        stamps = _together(read)
        return to_times(stamps[slice(*np.searchsorted(stamps, _bounds(start, end)))])

    def newest(self, symbol: str, kind: Kind) -> pd.Timestamp | None:
        """The last timestamp; None where nothing is stored.

        Raises:
            DataError: as `read`, for the last month alone.
        """
        months = self.months(symbol, kind)
        if not months:
            return None
        return to_times(_decoded(months[-1], monthfile.decode_stamps)[-1:])[0]

    def write(self, symbol: str, kind: Kind, rows: pd.DataFrame) -> Written:
        """Merge `rows` into the stored months. The newest value of a timestamp wins; what is absent (NaN) is
        news of nothing and leaves a stored value in its place.

        Raises:
            DataError: `rows` are not of `kind`, a stored file that they would be merged into is damaged, or
                the disk refuses.
        """
        check_schema(rows, kind, f"{symbol}: rows for the store")
        if rows.empty:
            return Written(0, 0)
        new = once(to_rows(rows))
        if new.stamps[0] < 0:
            raise DataError(f"{symbol}: rows for the store without a time; {kind} needs one for each")
        folder = self.root / symbol / kind
        try:
            return _merge(folder, new)
        except OSError as error:
            raise DataError(
                f"{symbol}: {folder} cannot be written ({error}). What was stored is untouched; make room or "
                "correct the folder's rights, then pull again."
            ) from error

    def damaged(
        self, symbol: str, kind: Kind, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> list[Path]:
        """Files of months that `[start, end)` touches which are not what was written under their name."""
        return [path for path in self.months(symbol, kind, start, end) if _is_damaged(path)]

    def sweep(self, symbol: str, kind: Kind) -> None:
        """Remove what writers that were killed have left."""
        folder = self.root / symbol / kind
        if disk.parts(folder):
            with disk.locked(folder):
                _sweep(folder)

    def survey(self, symbol: str, kind: Kind) -> tuple[pd.DatetimeIndex, list[Path]]:
        """All timestamps that can be read, and the files that are damaged."""
        damaged = self.damaged(symbol, kind)
        sound = [path for path in self.months(symbol, kind) if path not in damaged]
        return to_times(_together([_decoded(path, monthfile.decode_stamps) for path in sound])), damaged

    def set_aside(self, path: Path, folder: Path) -> Path | None:
        """Move a damaged file of this store into `folder`; None if somebody has mended it meanwhile."""
        with disk.locked(path.parent):
            if not os.path.lexists(path) or not _is_damaged(path):
                return None
            folder.mkdir(parents=True, exist_ok=True)
            place = folder / f"{path.stem}-{uuid4().hex[:8]}.parquet"
            shutil.move(path, place)
            return place


def _merge(folder: Path, new: Rows) -> Written:
    """Merge rows, ascending, into the months of `folder`."""
    disk.make(folder)
    written = Written(0, 0)
    with disk.locked(folder) as descriptor:
        _sweep(folder)
        for month, part in by_month(new):
            added, corrected = _merge_month(folder / f"{month}.parquet", part)
            written = Written(written.added + added, written.corrected + corrected)
        os.fsync(descriptor)
    return written


def _merge_month(path: Path, new: Rows) -> Written:
    if not os.path.lexists(path):
        disk.replace(path, monthfile.encode(_label(path), new))
        return Written(len(new.stamps), 0)
    rows, added, corrected = merged(_rows(path), new)
    if added or corrected:
        disk.replace(path, monthfile.encode(_label(path), rows))
    return Written(added, corrected)


def _sweep(folder: Path) -> None:
    """To be called by the holder of the folder's lock, beside whom no writer lives."""
    for left in disk.parts(folder):
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
        return os.path.lexists(path)  # else another writer has just set it aside
    return False


def _label(path: Path) -> Label:
    return Label(path.parents[2].name, path.parents[1].name, path.parent.name, path.stem)


def _together(months: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *months])


def _bounds(start: pd.Timestamp | None, end: pd.Timestamp | None) -> NDArray[np.int64]:
    """`[start, end)` in milliseconds since 1970."""
    limits = np.iinfo(np.int64)
    low = limits.min if start is None else -(-start.value // 1_000_000)
    high = limits.max if end is None else -(-end.value // 1_000_000)
    return np.array([low, high], dtype=np.int64)


def _month(time: pd.Timestamp) -> str:
    return str(time.strftime("%Y-%m"))
