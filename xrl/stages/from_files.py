"""A folder of candle files as a finished snapshot with features and labels, without exchange or store.

Enters: `binance_perp_{SYMBOL}_1h.parquet` and `..._funding.parquet`, laid out as `sandbox.replay` reads them.
Leaves: the outputs of the stages snapshot, features and labels below another root.
"""

from pathlib import Path

import pandas as pd

from xrl import columns as c
from xrl.config import Config
from xrl.errors import DataError
from xrl.market.spans import missing
from xrl.market.tables import FUNDING, OPEN_INTEREST, TIMEFRAMES
from xrl.paths import Paths
from xrl.sandbox import replay
from xrl.stages import features, labels
from xrl.stages.aside import aside
from xrl.stages.snapshot import join

_BARS = "1h"


def run(
    config: Config, folder: Path, paths: Paths, start: pd.Timestamp | None, end: pd.Timestamp | None
) -> None:
    """Write the stages of `config.market.symbols` over [start, end) below `paths`.

    Args:
        config: what to build; its symbols name the files.
        folder: of the files.
        paths: where the stages go.
        start: first bar wanted; None: each symbol's own first.
        end: close of the last bar; None: the last that all symbols have.

    Raises:
        ExchangeError: a symbol has no file.
        DataError: hours are missing.
    """
    found = {symbol: _bars(folder.resolve(), symbol) for symbol in config.market.symbols}
    last = end or min(bars[c.TIMESTAMP].iloc[-1] for bars in found.values()) + TIMEFRAMES[_BARS]
    parts = []
    for symbol, bars in found.items():
        own = bars[(bars[c.TIMESTAMP] < last) & ((bars[c.TIMESTAMP] >= start) if start else True)]
        _check(symbol, own[c.TIMESTAMP], last, folder)
        parts.append(own.assign(**{c.SYMBOL: symbol})[[c.SYMBOL, *c.BAR]])
    with aside(paths.bars) as place:
        pd.concat(parts, ignore_index=True).to_parquet(place, index=False)
    features.run(config, paths)
    labels.run(config, paths)


def _bars(folder: Path, symbol: str) -> pd.DataFrame:
    """All bars of a symbol's files, columns.BAR."""
    return join(*(replay.rows(folder, symbol, kind) for kind in (_BARS, FUNDING, OPEN_INTEREST)))


def _check(symbol: str, time: pd.Series, end: pd.Timestamp, folder: Path) -> None:
    if time.empty:
        raise DataError(f"{symbol}: {folder} has no candle before {end}; widen --start and --end")
    gaps = missing(time, time.iloc[0], end, TIMEFRAMES[_BARS])
    if gaps:
        raise DataError(
            f"{symbol}: {folder} lacks {len(gaps)} spans of hours before {end}, the first from {gaps[0][0]}; "
            "outcomes are counted in bars, so fill the file or choose --start and --end around them"
        )
