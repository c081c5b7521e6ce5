"""Numbers as venues write them, many at a time. Enters: arrays and pieces of JSON. Leaves: columns of text.

A venue writes decimals: `0.00001`, never `1e-05`, the shortest text that reads back as the same double. What
it does not know is `null`. Rows are put together by Arrow, without a step in Python for each of them.
"""

from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: An Arrow array of (n,) strings, null where unknown.
Column: TypeAlias = Any


def decimals(values: NDArray[np.float64] | pd.Series) -> Column:
    """Shortest decimal text of each value; null for NaN."""
    found = pc.cast(pa.array(np.asarray(values), from_pandas=True), pa.string())
    if not pc.any(pc.match_substring(found, "e")).as_py():
        return found
    return pa.array([decimal(text) for text in found.to_pylist()], pa.string())


def quoted(values: NDArray[np.float64] | pd.Series) -> Column:
    """As `decimals` between quotation marks; null for NaN."""
    return pc.binary_join_element_wise('"', decimals(values), '"', "")


def integers(values: NDArray[np.float64] | NDArray[np.int64] | pd.Series) -> Column:
    """Whole numbers; null for NaN."""
    return pc.cast(pc.cast(pa.array(np.asarray(values), from_pandas=True), pa.int64()), pa.string())


def decimal(text: str | None) -> str | None:
    """`1e-05` -> `0.00001`."""
    return np.format_float_positional(float(text), trim="0") if text is not None and "e" in text else text


def rows(*parts: str | Column) -> Column:
    """Text of each row: its `parts` one after the other, with a comma in front; unknown ones are `null`."""
    return pc.binary_join_element_wise(",", *parts, "", null_handling="replace", null_replacement="null")


def cuts(written: Column) -> tuple[bytes, NDArray[np.int32]]:
    """The rows as one text, and the n + 1 places at which a row begins or the last one ends."""
    if not len(written):
        return b"", np.zeros(1, np.int32)
    _, places, whole = written.buffers()
    return whole.to_pybytes(), np.frombuffer(places, np.int32, len(written) + 1)


def joined(written: Column) -> bytes:
    """The rows as the inside of a JSON list."""
    return cuts(written)[0][1:]
