"""Rows of a market table as two arrays, for work that frames are too slow for. Enters and leaves: frames."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.market.tables import Kind, table


class Rows(NamedTuple):
    """Milliseconds since 1970, shape (n,), and the columns behind the timestamp, shape (n, columns)."""

    stamps: NDArray[np.int64]
    values: NDArray[np.float64]


class Merged(NamedTuple):
    """All rows, how many are new, and how many known ones have got other values."""

    rows: Rows
    added: int
    corrected: int


def to_rows(frame: pd.DataFrame) -> Rows:
    """Stamps and values of a frame in the columns of its kind."""
    return Rows(frame[c.TIMESTAMP].astype("int64").to_numpy(), frame.iloc[:, 1:].to_numpy(np.float64))


def to_frame(kind: Kind, rows: Rows) -> pd.DataFrame:
    """A frame in the columns and types of `kind`."""
    values = {name: rows.values[:, i] for i, name in enumerate(table(kind).columns[1:])}
    return pd.DataFrame({c.TIMESTAMP: to_times(rows.stamps), **values})


def to_times(stamps: NDArray[np.int64]) -> pd.DatetimeIndex:
    """UTC times of milliseconds since 1970."""
    return pd.DatetimeIndex(stamps.astype("datetime64[ms]")).tz_localize("UTC")


def joined(kind: Kind, parts: Sequence[Rows]) -> Rows:
    """`parts` one behind the other."""
    none = Rows(np.empty(0, np.int64), np.empty((0, len(table(kind).columns) - 1)))
    return Rows(*(np.concatenate(arrays) for arrays in zip(none, *parts)))


def once(rows: Rows) -> Rows:
    """In time order; of several rows of one time, the last."""
    order = np.argsort(rows.stamps, kind="stable")
    stamps = rows.stamps[order]
    last = order[np.append(stamps[1:] != stamps[:-1], True)]
    return Rows(rows.stamps[last], rows.values[last])


def by_month(rows: Rows) -> Iterator[tuple[str, Rows]]:
    """Rows of each month, `2024-01` first; `rows` ascend and are some."""
    months = rows.stamps.astype("datetime64[ms]").astype("datetime64[M]")
    starts = np.flatnonzero(np.append(True, months[1:] != months[:-1]))
    for start, end in zip(starts, [*starts[1:], len(months)]):
        yield str(months[start]), Rows(rows.stamps[start:end], rows.values[start:end])


def merged(old: Rows, new: Rows) -> Merged:
    """Both, ascending, as each is. The new value of a time counts, except where it is absent (NaN)."""
    places = np.searchsorted(old.stamps, new.stamps)
    known = places < len(old.stamps)
    known[known] = old.stamps[places[known]] == new.stamps[known]
    before, after = old.values[places[known]], new.values[known]
    after = np.where(np.isnan(after), before, after)
    corrected = ((before != after) & ~np.isnan(after)).any(axis=1)
    values = old.values.copy()
    values[places[known]] = after
    stamps = np.concatenate([old.stamps, new.stamps[~known]])
    order = np.argsort(stamps, kind="stable")
    rows = Rows(stamps[order], np.concatenate([values, new.values[~known]])[order])
    return Merged(rows, int((~known).sum()), int(corrected.sum()))
