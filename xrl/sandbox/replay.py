"""A folder of real candles and funding as a world. Enters: `binance_perp_{SYMBOL}_1h.parquet` and
`binance_perp_{SYMBOL}_funding.parquet` (laid out as in `shared/market/README.md`). Leaves: columns.BAR.

What the files do not hold (taker volume, trades, open interest) is NaN, never 0.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.errors import DataError, ExchangeError


def symbols(folder: Path) -> tuple[str, ...]:
    """Symbols with a candle file in `folder`, in alphabetical order."""
    names = (path.name for path in folder.glob("binance_perp_*_1h.parquet"))
    return tuple(sorted(name.removeprefix("binance_perp_").removesuffix("_1h.parquet") for name in names))


@lru_cache(maxsize=32)
def bars(folder: Path, symbol: str) -> pd.DataFrame:
    """All bars of one symbol in columns.BAR, in time order.

    Raises:
        ExchangeError: no candle file of that symbol.
        DataError: a file lacks a column.
    """
    path = folder / f"binance_perp_{symbol}_1h.parquet"
    if not path.is_file():
        raise ExchangeError(f"{symbol!r} has no file {path.name} in {folder}; found {list(symbols(folder))}")
    candles = pd.read_parquet(path)
    missing = {c.TIMESTAMP, *c.OHLCV} - set(candles.columns)
    if missing:
        raise DataError(f"{path} lacks {sorted(missing)}; expected {[c.TIMESTAMP, *c.OHLCV]}")
    frame = candles.reindex(columns=list(c.CANDLE)).astype({c.TIMESTAMP: c.TIME_DTYPE})
    frame = frame.astype(dict.fromkeys(c.CANDLE[1:], "float64"))
    frame = frame.sort_values(c.TIMESTAMP, ignore_index=True)
    return frame.assign(
        **{c.FUNDING_RATE: _funding(folder, symbol, frame[c.TIMESTAMP]), c.OPEN_INTEREST: np.nan}
    )


def _funding(folder: Path, symbol: str, opens: pd.Series) -> pd.Series:
    """Sum of the rates settled within each bar, NaN where none was."""
    path = folder / f"binance_perp_{symbol}_funding.parquet"
    if not path.is_file():
        return pd.Series(np.nan, index=opens.index)
    funding = pd.read_parquet(path)
    by_bar = funding.groupby(funding[c.TIMESTAMP].dt.floor("h"))[c.FUNDING_RATE].sum()
    return opens.map(by_bar)
