"""A folder of real market data as a world. Enters: Parquet files laid out as in `shared/market/README.md`.
Leaves: frames of the kinds of `market.tables`, every value as it stands in its file.

    binance_perp_{SYMBOL}_1h.parquet             required: timestamp, open, high, low, close, volume; where
                                                 known, quote_volume, trades, taker_buy_volume, ...
    binance_perp_{SYMBOL}_{TIMEFRAME}.parquet    the same in another timeframe
    binance_perp_{SYMBOL}_funding.parquet        timestamp, funding_rate
    binance_perp_{SYMBOL}_open_interest.parquet  timestamp, open_interest, open_interest_value
    binance_perp_{SYMBOL}_taker.parquet          timestamp, taker_buy_volume, taker_sell_volume
    listings.json                                {SYMBOL: {"listed_at": ..., "ends_at": ..., "state": ...}}

What no file holds is NaN or an empty frame, never 0.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
import pandas as pd
from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from xrl import columns as c
from xrl.errors import ConfigError, DataError, ExchangeError
from xrl.market import tables
from xrl.market.tables import Kind

_PREFIX: Final = "binance_perp_"
_FILE_NAMES: Final = {tables.TAKER_VOLUME: "taker"}
#: Columns that a file of candles may lack.
_OPTIONAL: Final = frozenset(c.OPTIONAL_CANDLE)


class Notice(BaseModel):
    """What `listings.json` says of one symbol; None: its first bar, never, and by the clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listed_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    state: Literal["trading", "halted", "delisted"] | None = None


_Notices = TypeAdapter(Annotated[dict[str, Notice], "of listings.json"])


def symbols(folder: Path) -> tuple[str, ...]:
    """Symbols with a file of hourly candles in `folder`, in alphabetical order."""
    names = (path.name for path in folder.glob(f"{_PREFIX}*_1h.parquet"))
    return tuple(sorted(name.removeprefix(_PREFIX).removesuffix("_1h.parquet") for name in names))


def notices(folder: Path) -> dict[str, Notice]:
    """What `listings.json` says; nothing where there is no such file.

    Raises:
        ConfigError: the file is not of that form or names a symbol without candles.
    """
    path = folder / "listings.json"
    if not path.is_file():
        return {}
    try:
        found = _Notices.validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigError(
            f'{path} must be {{SYMBOL: {{"listed_at": time, "ends_at": time, "state": "trading" | "halted" | '
            f'"delisted"}}}}, times as 2024-06-01T00:00:00Z; received {error.errors()[0]}'
        ) from error
    unknown = sorted(set(found) - set(symbols(folder)))
    if unknown:
        raise ConfigError(f"{path} names {unknown}, of which {folder} has no candles; correct one of them")
    return found


def source(folder: Path, symbol: str, timeframe: Kind) -> Kind | None:
    """The timeframe of the file that bars of `timeframe` are made of: its own, or else the longest that
    divides it; None where there is none."""
    step = tables.TIMEFRAMES[timeframe]
    return next(
        (
            name
            for name, finer in reversed(list(tables.TIMEFRAMES.items()))
            if finer <= step and step % finer == pd.Timedelta(0) and _path(folder, symbol, name).is_file()
        ),
        None,
    )


def rows(folder: Path, symbol: str, kind: Kind) -> pd.DataFrame:
    """All rows of one file, ascending, in the columns of `kind`; without rows where there is no such file.

    Raises:
        ExchangeError: not a symbol of the folder.
        DataError: the file lacks a column.
    """
    if not _path(folder, symbol, "1h").is_file():
        raise ExchangeError(f"{symbol!r} has no candles in {folder}; found {list(symbols(folder))}")
    path = _path(folder, symbol, kind)
    return _read(path, kind, path.stat().st_mtime_ns) if path.is_file() else tables.empty(kind)


@lru_cache(maxsize=256)
def _read(path: Path, kind: Kind, changed_ns: int) -> pd.DataFrame:
    """The file as it was at `changed_ns`: a replaced file is read again."""
    frame = pd.read_parquet(path)
    names = tables.table(kind).columns
    missing = set(names) - set(frame.columns) - (_OPTIONAL if tables.is_candles(kind) else frozenset())
    if missing:
        raise DataError(f"{path} lacks {sorted(missing)}; expected {list(names)}")
    dtypes = {name: c.TIME_DTYPE if name == c.TIMESTAMP else np.float64 for name in names}
    return frame.reindex(columns=list(names)).astype(dtypes).sort_values(c.TIMESTAMP, ignore_index=True)


def _path(folder: Path, symbol: str, kind: Kind) -> Path:
    return folder / f"{_PREFIX}{symbol}_{_FILE_NAMES.get(kind, kind)}.parquet"
