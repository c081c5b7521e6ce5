"""Stage `snapshot`: the market store up to `as_of`, frozen as this run's input.

Enters: candles, funding and open interest of the store. Leaves: bars.parquet (symbol + columns.BAR, symbols
in the order of params, times ascending, last `days` days closed by `as_of`) and report.json.
"""

import logging
from typing import Any, Final

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.config import Config, SnapshotParams
from xrl.errors import DataError
from xrl.market import spans
from xrl.market.spans import HOUR
from xrl.market.store import Store
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json

_log = logging.getLogger(__name__)

#: An open-interest mark older than this at a bar's close says nothing about it.
OPEN_INTEREST_STALE: Final = pd.Timedelta(days=1)


def run(config: Config, paths: Paths) -> None:
    """Read the store, check it, join it and write the snapshot.

    Raises:
        DataError: no data, fewer than `min_days`, a gap, or a torn file; says what to run.
    """
    name, params = config.market.name, config.snapshot
    store = Store(paths.market(name))
    end = pd.Timestamp(params.as_of).tz_convert("UTC").floor("h")
    start = end - pd.Timedelta(days=params.days)
    frames, report = [], {}
    for symbol in config.market.symbols:
        candles = store.read(symbol, "1h", start, end)
        check_history(symbol, candles[c.TIMESTAMP], start, end, params)
        bars = join(candles, store.read(symbol, "funding", start, end), store.read(symbol, "open_interest"))
        bars.insert(0, c.SYMBOL, symbol)
        frames.append(bars)
        time = bars[c.TIMESTAMP]
        report[symbol] = {
            "rows": len(bars), "first": time.iloc[0].isoformat(), "last": time.iloc[-1].isoformat(),
            "coverage": {column: round(float(bars[column].notna().mean()), 4) for column in c.BAR[6:]},
        }  # fmt: skip
        _log.info("%s %s: %d bars from %s to %s", name, symbol, len(bars), time.iloc[0], time.iloc[-1])
    _write(paths, pd.concat(frames, ignore_index=True), {"as_of": end.isoformat(), "symbols": report})


def check_history(
    symbol: str, stored: pd.Series, start: pd.Timestamp, end: pd.Timestamp, params: SnapshotParams
) -> None:
    """Refuse a history that a model cannot be trained on; warn about a short one.

    Args:
        symbol: whose history.
        stored: timestamps of candles within `[start, end)`, ascending.
        start: wanted first bar.
        end: exclusive; the last bar must close there.
        params: `min_days` and `warn_days`.

    Raises:
        DataError: nothing stored, a missing hour after the first candle, or less than `min_days`.
    """
    pull = f"run `xrl pull --symbol {symbol} --start {_date(start)} --end {_date(end)}`"
    if stored.empty:
        raise DataError(f"{symbol}: no candles from {start} to {end} in the store; {pull}")
    gaps = spans.missing(stored, stored.iloc[0], end, HOUR)
    if gaps:
        hours = sum(int((last - first) / HOUR) for first, last in gaps)
        raise DataError(
            f"{symbol}: rule 'one bar an hour until as_of' broken by {hours} missing bar(s), first at "
            f"{gaps[0][0].isoformat()}; {pull}"
        )
    days = (end - stored.iloc[0]) / pd.Timedelta(days=1)
    if days < params.min_days:
        raise DataError(
            f"{symbol}: {days:.1f} days of candles before {end}; `snapshot.min_days` asks for "
            f"{params.min_days}. Lengthen `snapshot.days` (now {params.days}) and {pull}"
        )
    if days < params.warn_days:
        _log.warning("%s: only %.1f days of candles; at least %d are advised", symbol, days, params.warn_days)


def join(candles: pd.DataFrame, funding: pd.DataFrame, open_interest: pd.DataFrame) -> pd.DataFrame:
    """Candles with what was settled within each bar and last known at its close, columns.BAR.

    Args:
        candles: columns.CANDLE, ascending.
        funding: columns.FUNDING; rates settled in `[open, close)` of a bar are summed, NaN where none.
        open_interest: columns.OPEN_INTEREST_TABLE, ascending; the last mark at or before the close and not
            older than a day, NaN else.
    """
    by_bar = funding.groupby(funding[c.TIMESTAMP].dt.floor("h"))[c.FUNDING_RATE].sum()
    settled = candles[c.TIMESTAMP].map(by_bar).astype("float64")
    marks = open_interest.rename(columns={c.TIMESTAMP: "close_time"})[["close_time", c.OPEN_INTEREST]]
    closes = pd.DataFrame({"close_time": (candles[c.TIMESTAMP] + HOUR).astype(c.TIME_DTYPE)})
    known = pd.merge_asof(closes, marks, on="close_time", tolerance=OPEN_INTEREST_STALE)
    joined = candles.assign(
        **{c.FUNDING_RATE: settled, c.OPEN_INTEREST: known[c.OPEN_INTEREST].to_numpy(np.float64)}
    )
    return joined[list(c.BAR)]


def _write(paths: Paths, bars: pd.DataFrame, report: dict[str, Any]) -> None:
    with aside(paths.bars) as place:
        bars.to_parquet(place, index=False, compression="zstd")
    write_json(paths.snapshot_report, report)


def _date(time: pd.Timestamp) -> str:
    return str(time.strftime("%Y-%m-%d" if time == time.normalize() else "%Y-%m-%dT%H:%M:%SZ"))
