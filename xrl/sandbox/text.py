"""Numbers as venues write them, many at a time. Enters: arrays and pieces of JSON. Leaves: columns of text.

A venue writes decimals: `0.00001`, never `1e-05`, the shortest text that reads back as the same double. What
it does not know is `null`. Rows are put together by Arrow, without a step in Python for each of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: An Arrow array of (n,) strings, null where unknown.
Column: TypeAlias = Any


def quoted(*columns: NDArray[np.float64] | pd.Series) -> list[Column]:
    """Shortest decimal text of each value between quotation marks; null for NaN. Every column is (n,)."""
    values = np.concatenate(columns)  # one call of Arrow for all of them
    found = pc.cast(pa.array(values, from_pandas=True), pa.string())
    if pc.any(pc.match_substring(found, "e")).as_py():
        found = pa.array([_decimal(text) for text in found.to_pylist()], pa.string())
    texts, n = in_quotes(found), len(columns[0])
    return [texts.slice(i * n, n) for i in range(len(columns))]


def integers(values: NDArray[np.float64] | NDArray[np.int64] | pd.Series) -> Column:
    """Whole numbers; null for NaN."""
    return pc.cast(pc.cast(pa.array(np.asarray(values), from_pandas=True), pa.int64()), pa.string())


def in_quotes(column: Column) -> Column:
    return pc.binary_join_element_wise('"', column, '"', "")


def lists(*values: str | Column) -> Column:
    """Each row as a JSON list, a comma in front; a text is the same JSON in every row, unknown is `null`."""
    parts = [part for value in values for part in (",", value)]
    return _rows(["[", *parts[1:], "]"])


def objects(values: Mapping[str, str | Column]) -> Column:
    """Each row as a JSON object, a comma in front; values as in `lists`."""
    parts = [part for name, value in values.items() for part in (f',"{name}":', value)]
    return _rows(["{", parts[0][1:], *parts[1:], "}"])


def cuts(written: Column) -> tuple[bytes, NDArray[np.int32]]:
    """The rows as one text, and the n + 1 places at which a row begins or the last one ends."""
    if not len(written):
        return b"", np.zeros(1, np.int32)
    _, places, whole = written.buffers()
    return whole.to_pybytes(), np.frombuffer(places, np.int32, len(written) + 1)


def joined(written: Column) -> bytes:
    """The rows as the inside of a JSON list."""
    return cuts(written)[0][1:]


def _rows(parts: Sequence[str | Column]) -> Column:
    return pc.binary_join_element_wise(",", *parts, "", null_handling="replace", null_replacement="null")


def _decimal(text: str | None) -> str | None:
    """`1e-05` -> `0.00001`."""
    return np.format_float_positional(float(text), trim="0") if text is not None and "e" in text else text
