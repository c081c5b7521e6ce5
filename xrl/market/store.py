"""The market store: Parquet, one folder per symbol and kind, one file per month, each whole or absent.

Enters: frames in columns.CANDLE, FUNDING or OPEN_INTEREST_TABLE. Leaves: the same, merged and in time order.
Writing the same rows twice leaves the same bytes.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xrl import columns as c
from xrl.errors import DataError

Kind = Literal["1h", "funding", "open_interest"]
KINDS: Final[tuple[Kind, ...]] = ("1h", "funding", "open_interest")
TABLES: Final = MappingProxyType(
    {"1h": c.CANDLE, "funding": c.FUNDING, "open_interest": c.OPEN_INTEREST_TABLE}
)


@dataclass(frozen=True)
class Store:
    """One market's history below `root` (`Paths.market(name)`)."""

    root: Path

    def symbols(self) -> tuple[str, ...]:
        """Symbols with at least one month of candles."""
        return tuple(sorted({path.parents[1].name for path in self.root.glob("*/1h/*.parquet")}))

    def read(
        self,
        symbol: str,
        kind: Kind,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Rows with `start <= timestamp < end` in time order; an empty frame where nothing is stored.

        Raises:
            DataError: a file is torn or has other columns or types than its kind.
        """
        months = sorted((self.root / symbol / kind).glob("*.parquet"))
        chosen = [
            month
            for month in months
            if (start is None or month.stem >= _month(start)) and (end is None or month.stem <= _month(end))
        ]
        if not chosen:
            return _empty(kind)
        frame = pd.concat([_read_month(path, symbol, kind) for path in chosen], ignore_index=True)
        time = frame[c.TIMESTAMP]
        inside = (time >= (time.min() if start is None else start)) & (
            time < end if end is not None else True
        )
        return frame[inside].reset_index(drop=True)

    def write(self, symbol: str, kind: Kind, rows: pd.DataFrame) -> int:
        """Merge `rows` into the stored months, newest value of a timestamp wins; returns the new timestamps.

        Raises:
            DataError: `rows` does not have the kind's columns and types, or a stored file is torn.
        """
        _check_schema(rows, kind, f"{symbol}: rows for the store")
        folder = self.root / symbol / kind
        folder.mkdir(parents=True, exist_ok=True)
        added = 0
        with _locked(folder):
            for month, part in rows.groupby(rows[c.TIMESTAMP].dt.strftime("%Y-%m")):
                path = folder / f"{month}.parquet"
                old = _read_month(path, symbol, kind) if path.exists() else _empty(kind)
                both = pd.concat([old, part], ignore_index=True) if len(old) else part
                merged = both.drop_duplicates(c.TIMESTAMP, keep="last").sort_values(c.TIMESTAMP)
                merged = merged.reset_index(drop=True)
                if not merged.equals(old):
                    _write_month(path, merged)
                added += len(merged) - len(old)
        return added


def _write_month(path: Path, frame: pd.DataFrame) -> None:
    """Write aside, flush to the disk, then rename: a reader meets the old file or the new one."""
    aside = path.with_suffix(".part")
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with aside.open("wb") as stream:
        pq.write_table(table, stream, compression="zstd")
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)


def _read_month(path: Path, symbol: str, kind: Kind) -> pd.DataFrame:
    try:
        frame = pq.read_table(path, partitioning=None).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{symbol}: {path} is torn or not Parquet ({error}). Delete that file and pull its month again."
        ) from error
    _check_schema(frame, kind, f"{symbol}: {path}")
    return frame


def _check_schema(frame: pd.DataFrame, kind: Kind, what: str) -> None:
    expected = {name: c.TIME_DTYPE if name == c.TIMESTAMP else "float64" for name in TABLES[kind]}
    received = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    if list(received.items()) != list(expected.items()):
        raise DataError(
            f"{what} must have columns {expected}; received {received}. Delete it and pull again."
        )


def _empty(kind: Kind) -> pd.DataFrame:
    types = {name: c.TIME_DTYPE if name == c.TIMESTAMP else "float64" for name in TABLES[kind]}
    return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in types.items()})


def _month(time: pd.Timestamp) -> str:
    return str(time.strftime("%Y-%m"))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder alone among processes; the lock goes with the process and leaves no file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
