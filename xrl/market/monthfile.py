"""One month of one table as the bytes of a Parquet file that knows when it has been touched.

Enters: rows; bytes. Leaves: bytes; the rows, or the reason why those bytes are not what was written.

The file's own metadata hold market, symbol, kind, month, unit of each column, schema version, and the sha256
of the whole file with the digest's own 64 characters written as zeros: torn, cut, flipped and rewritten bytes
all show. Pages carry Parquet's checksums for other readers. The same rows give the same bytes.
"""

import hashlib
import io
import json
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xrl import columns as c
from xrl.market.rows import Rows
from xrl.market.tables import Kind, table

SCHEMA_VERSION: Final = "2"
_BLANK: Final = b"0" * 64
#: How Parquet writes the entry ("sha256", 64 characters): field 1, length 6, key, field 2, length 64.
_ENTRY: Final = b"\x18\x06sha256\x18\x40"


class Label(NamedTuple):
    """What a file says it is."""

    market: str
    symbol: str
    kind: Kind
    month: str  # 2024-01


class Damaged(Exception):
    """These bytes are not the file that was written under this name."""


def encode(label: Label, rows: Rows) -> bytes:
    """The file of `rows`, ascending, all of its month."""
    units = json.dumps(table(label.kind).units)
    metadata = {**label._asdict(), "schema_version": SCHEMA_VERSION, "units": units, "sha256": _BLANK}
    arrays = [pa.array(rows.stamps, pa.timestamp("ms", tz="UTC")), *map(pa.array, rows.values.T)]
    written = pa.Table.from_arrays(arrays, names=list(table(label.kind).columns))
    stream = io.BytesIO()
    with pq.ParquetWriter(
        stream, written.schema, compression="zstd", use_dictionary=False, write_statistics=False,
        write_page_checksum=True, store_schema=False,
    ) as writer:  # fmt: skip
        writer.write_table(written)
        writer.add_key_value_metadata(metadata)
    data = stream.getvalue()
    at = data.rindex(_ENTRY) + len(_ENTRY)
    return data[:at] + _digest(data, at) + data[at + len(_BLANK) :]


def decode(label: Label, data: bytes) -> Rows:
    """The rows that `encode` made `data` of.

    Raises:
        Damaged: says what is wrong with the bytes.
    """
    read = _opened(label, data, list(table(label.kind).columns))
    stamps = _stamps(read)
    values = np.empty((read.num_columns - 1, len(stamps)))
    for place, column in zip(values, read.columns[1:]):
        place[:] = column.to_numpy()
    return Rows(stamps, values.T)


def decode_stamps(label: Label, data: bytes) -> NDArray[np.int64]:
    """The stamps alone of the rows that `encode` made `data` of.

    Raises:
        Damaged: as `decode`.
    """
    return _stamps(_opened(label, data, [c.TIMESTAMP]))


def _opened(label: Label, data: bytes, names: list[str]) -> pa.Table:
    at = data.rfind(_ENTRY) + len(_ENTRY)
    if at < len(_ENTRY):
        raise Damaged("cut short, or not written by this store")
    if data[at : at + len(_BLANK)] != _digest(data, at):
        raise Damaged("its bytes are not those that were written")
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        _check_label(label, file.metadata.metadata or {})
        return file.read(columns=names, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise Damaged(f"not readable as Parquet: {error}") from error


def _check_label(label: Label, found: dict[bytes, bytes]) -> None:
    expected = {**label._asdict(), "schema_version": SCHEMA_VERSION}
    said = {name: found.get(name.encode(), b"?").decode(errors="replace") for name in expected}
    if said != expected:
        raise Damaged(f"it is the file of {' '.join(said.values())} (market, symbol, kind, month, version)")


def _stamps(read: pa.Table) -> NDArray[np.int64]:
    stamps: NDArray[np.int64] = read.column(0).to_numpy().astype("datetime64[ms]").astype(np.int64)
    return stamps


def _digest(data: bytes, at: int) -> bytes:
    """sha256 in hex of `data` with zeros in place of the digest that stands at `at`."""
    digest = hashlib.sha256(data[:at])
    digest.update(_BLANK)
    digest.update(data[at + len(_BLANK) :])
    return digest.hexdigest().encode()
