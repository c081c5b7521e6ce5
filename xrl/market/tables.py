"""The kinds of table that a market has: columns, units, spacing. A kind is a timeframe or one of SERIES.

Enters: a kind's name. Leaves: its declaration, an empty frame of it, or the refusal of another frame.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import pandas as pd

from xrl import columns as c
from xrl.errors import DataError

#: `1h`, ...: candles of that timeframe; else one of SERIES.
Kind = str

#: Bar lengths that all three venues have.
TIMEFRAMES: Final[Mapping[str, pd.Timedelta]] = MappingProxyType(
    {
        name: pd.Timedelta(minutes=minutes)
        for name, minutes in (
            ("1m", 1), ("3m", 3), ("5m", 5), ("15m", 15), ("30m", 30), ("1h", 60), ("2h", 120), ("4h", 240),
            ("6h", 360), ("12h", 720), ("1d", 1440),
        )
    }
)  # fmt: skip
FUNDING: Final = "funding"
OPEN_INTEREST: Final = "open_interest"
TAKER_VOLUME: Final = "taker_volume"
SERIES: Final = (FUNDING, OPEN_INTEREST, TAKER_VOLUME)

_UNITS: Final = MappingProxyType(
    {
        c.TIMESTAMP: "UTC, milliseconds; the open of a bar or hour, the settlement, the moment of a mark",
        **dict.fromkeys((c.OPEN, c.HIGH, c.LOW, c.CLOSE), "quote currency per base coin"),
        **dict.fromkeys((c.VOLUME, c.TAKER_BUY_VOLUME, c.TAKER_SELL_VOLUME, c.OPEN_INTEREST), "base coins"),
        **dict.fromkeys((c.QUOTE_VOLUME, c.TAKER_BUY_QUOTE_VOLUME, c.OPEN_INTEREST_VALUE), "quote currency"),
        c.TRADES: "count",
        c.FUNDING_RATE: "fraction of notional that a long pays at this settlement",
    }
)


class Table(NamedTuple):
    """Columns in order, and the time between two rows (None: funding, whose schedule the venue changes)."""

    columns: tuple[str, ...]
    step: pd.Timedelta | None

    @property
    def units(self) -> dict[str, str]:
        """Unit of each column."""
        return {name: _UNITS[name] for name in self.columns}


def is_candles(kind: Kind) -> bool:
    return kind in TIMEFRAMES


def table(kind: Kind) -> Table:
    """Declaration of `kind`.

    Raises:
        DataError: no such kind.
    """
    hour = TIMEFRAMES["1h"]
    if kind in TIMEFRAMES:
        return Table(c.CANDLE, TIMEFRAMES[kind])
    if kind == FUNDING:
        return Table(c.FUNDING, None)
    if kind == OPEN_INTEREST:
        return Table(c.OPEN_INTEREST_TABLE, hour)
    if kind == TAKER_VOLUME:
        return Table(c.TAKER_VOLUME_TABLE, hour)
    raise DataError(f"no kind of table {kind!r}; expected one of {(*TIMEFRAMES, *SERIES)}")


def empty(kind: Kind) -> pd.DataFrame:
    """A frame of `kind` without rows."""
    return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in _dtypes(kind).items()})


def check_schema(frame: pd.DataFrame, kind: Kind, what: str) -> None:
    """Refuse a frame whose columns, their order or types are not those of `kind`.

    Raises:
        DataError: says `what` it is, what was expected and received.
    """
    received = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    if list(received.items()) != list(_dtypes(kind).items()):
        raise DataError(f"{what} must have columns {_dtypes(kind)}; received {received}")


def _dtypes(kind: Kind) -> dict[str, str]:
    return {name: c.TIME_DTYPE if name == c.TIMESTAMP else "float64" for name in table(kind).columns}
