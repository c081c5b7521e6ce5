"""One page of a venue's rows as numbers.

Enters: rows as JSON gives them: lists of numbers and of texts that hold numbers. Leaves: Rows in the columns
of `tables.table(kind)`, in the order received; null and "" are NaN.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xrl.market import tables
from xrl.market.rows import Rows
from xrl.market.tables import Kind

#: Stamps are milliseconds between 2001 and 2286; seconds, indices and nonsense fall outside.
_STAMPS: Final = (1e12, 1e13)


class Malformed(Exception):
    """An answer that is not what the endpoint documents: worth asking again."""


class Ask(NamedTuple):
    """A request: ccxt's name of the endpoint, its query, and how long the next one should wait beyond what
    ccxt reckons."""

    method: str
    query: Mapping[str, str | int]
    spacing_s: float = 0.0


def table(kind: Kind, rows: Sequence[Sequence[Any]], fields: Sequence[int | None]) -> Rows:
    """`rows` in the columns of `kind`.

    Args:
        kind: whose columns.
        rows: as received, all of one length.
        fields: position in a row of each column of the kind; None where the venue has no such quantity: NaN.

    Raises:
        Malformed: rows of unequal length, a value that is no number, a stamp that is none.
    """
    names = tables.table(kind).columns
    values = np.full((len(names), len(rows)), np.nan)
    if not rows:
        return Rows(values[0].astype(np.int64), values[1:].T)
    try:
        received = list(zip(*rows, strict=True))
        for column, field in zip(values, fields, strict=True):
            if field is not None:
                column[:] = _numbers(received[field])
    except (IndexError, TypeError, ValueError, OverflowError) as error:
        raise Malformed(f"rows that do not read as {names}: {error}") from error
    stamps = values[0]
    if not ((stamps > _STAMPS[0]) & (stamps < _STAMPS[1])).all():
        raise Malformed(f"stamps that are no milliseconds: {stamps[:3].tolist()}, ...")
    return Rows(stamps.astype(np.int64), values[1:].T)  # (n,), (n, columns)


def pick(rows: Iterable[Mapping[str, Any]], *names: str) -> list[list[Any]]:
    """The named values of each object.

    Raises:
        Malformed: an object lacks one, or is none.
    """
    try:
        return [[row[name] for name in names] for row in rows]
    except (KeyError, TypeError, IndexError) as error:
        raise Malformed(f"rows that lack one of {names}: {error!r}") from error


def rows_in(answer: object, *keys: str) -> list[Any]:
    """The list below `keys` of an answer.

    Raises:
        Malformed: there is none.
    """
    node: Any = answer
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, list):
        raise Malformed(f"{str(answer)[:120]!r} where a list of rows was due")
    return node


def stamp_in(answer: object, key: str) -> int:
    """The venue's clock in milliseconds, below `key` of its answer.

    Raises:
        Malformed: there is none.
    """
    text = str(answer.get(key)) if isinstance(answer, dict) else ""
    if not text.isdecimal() or not _STAMPS[0] < int(text) < _STAMPS[1]:
        raise Malformed(f"{str(answer)[:120]!r} where the venue's clock was due")
    return int(text)


def _numbers(values: tuple[Any, ...]) -> NDArray[np.float64]:
    """The doubles that texts or numbers stand for, to the last bit; thrice as fast as numpy reads them."""
    try:
        read: NDArray[np.float64] = pa.array(values).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException:  # a column of texts and numbers, or with ""
        read = np.array([None if value == "" else value for value in values], dtype=np.float64)
    return read
