"""Rows of a market table as two arrays, for work that frames are too slow for. Enters and leaves: frames."""

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


def to_rows(frame: pd.DataFrame) -> Rows:
    """Stamps and values of a frame in the columns of its kind."""
    return Rows(frame[c.TIMESTAMP].astype("int64").to_numpy(), frame.iloc[:, 1:].to_numpy(np.float64))


def to_frame(kind: Kind, rows: Rows) -> pd.DataFrame:
    """A frame in the columns and types of `kind`."""
    times = pd.DatetimeIndex(rows.stamps.astype("datetime64[ms]")).tz_localize("UTC")
    values = {name: rows.values[:, i] for i, name in enumerate(table(kind).columns[1:])}
    return pd.DataFrame({c.TIMESTAMP: times, **values})
