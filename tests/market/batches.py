"""Good batches of every kind, and the ways in which tests spoil them. Row ROW is the one that is spoiled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.config import ValidationParams, load_config
from xrl.market import tables
from xrl.market.derived import Batch
from xrl.sandbox import worlds

ROW = 30
START = pd.Timestamp("2024-03-01", tz="UTC")
PARAMS: ValidationParams = load_config(Path(__file__).parents[2] / "params.yaml").validation
Spoil = Callable[[pd.DataFrame], pd.DataFrame]


def candles(world: str = "planted", hours: int = 72, start: pd.Timestamp = START) -> pd.DataFrame:
    end = start + pd.Timedelta(hours=hours)
    return worlds.bars(world, "BTCUSDT", start, end, 7)[list(c.CANDLE)].reset_index(drop=True)


def funding(rows: int = 60, every_h: int = 8, start: pd.Timestamp = START) -> pd.DataFrame:
    times = pd.date_range(start, periods=rows, freq=f"{every_h}h", unit="ms")
    return pd.DataFrame({c.TIMESTAMP: times, c.FUNDING_RATE: 1e-4 * (1 + np.arange(rows) % 5)})


def open_interest(hours: int = 72, start: pd.Timestamp = START) -> pd.DataFrame:
    bars = worlds.bars("planted", "BTCUSDT", start, start + pd.Timedelta(hours=hours), 7)
    frame = bars[[c.TIMESTAMP, c.OPEN_INTEREST]].reset_index(drop=True)
    return frame.assign(**{c.OPEN_INTEREST_VALUE: bars[c.OPEN_INTEREST].array * bars[c.CLOSE].array})


def taker_volume(hours: int = 72, start: pd.Timestamp = START) -> pd.DataFrame:
    bars = candles(hours=hours, start=start)
    sold = bars[c.VOLUME] - bars[c.TAKER_BUY_VOLUME]
    return bars[[c.TIMESTAMP, c.TAKER_BUY_VOLUME]].assign(**{c.TAKER_SELL_VOLUME: sold})


GOOD: dict[tables.Kind, Callable[..., pd.DataFrame]] = {
    "1h": candles,
    tables.FUNDING: funding,
    tables.OPEN_INTEREST: open_interest,
    tables.TAKER_VOLUME: taker_volume,
}


def batch(kind: tables.Kind, symbol: str = "BTCUSDT", spoil: Spoil | None = None) -> Batch:
    """A batch from START on, after 96 accepted rows."""
    if kind == tables.FUNDING:
        past = funding(96, start=START - pd.Timedelta(hours=96 * 8))
    else:
        past = GOOD[kind](hours=96, start=START - pd.Timedelta(hours=96))
    frame = GOOD[kind]()
    return Batch(symbol, frame if spoil is None else spoil(frame), past)


def time_of(frame: pd.DataFrame, row: int) -> str:
    return str(frame[c.TIMESTAMP].iloc[row].isoformat())


def put(**values: float) -> Spoil:
    """Columns of row ROW set to other values."""

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(
            **{name: frame[name].where(frame.index != ROW, value) for name, value in values.items()}
        )

    return spoil


def times(since: int = ROW, until: int = ROW, **factors: float) -> Spoil:
    """Columns of rows since..until multiplied."""

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        hit = (frame.index >= since) & (frame.index <= until)
        return frame.assign(
            **{name: frame[name].where(~hit, frame[name] * by) for name, by in factors.items()}
        )

    return spoil


def then(*spoils: Spoil) -> Spoil:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        for one in spoils:
            frame = one(frame)
        return frame

    return spoil


def shifted(seconds: float, row: int = ROW) -> Spoil:
    """The time of one row moved."""

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        moved = frame[c.TIMESTAMP] + pd.Timedelta(seconds=seconds)
        return frame.assign(**{c.TIMESTAMP: frame[c.TIMESTAMP].where(frame.index != row, moved)})

    return spoil


def rows(*order: int | slice) -> Spoil:
    """The frame's rows in another order, some left out or twice."""

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        chosen = np.concatenate([np.atleast_1d(np.arange(len(frame))[one]) for one in order])
        return frame.iloc[chosen].reset_index(drop=True)

    return spoil


def frozen(count: int) -> Spoil:
    """Row ROW served `count` times in a row under new times."""

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        source = np.where((frame.index >= ROW) & (frame.index < ROW + count), ROW, frame.index)
        again = frame.iloc[source].reset_index(drop=True)
        return again.assign(**{c.TIMESTAMP: frame[c.TIMESTAMP]})

    return spoil


def silent(count: int) -> Spoil:
    """`count` bars from ROW on without a trade, at the close before."""

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        hit = (frame.index >= ROW) & (frame.index < ROW + count)
        still = frame[c.CLOSE].iloc[ROW - 1]
        prices = {name: frame[name].where(~hit, still) for name in (c.OPEN, c.HIGH, c.LOW, c.CLOSE)}
        amounts = {name: frame[name].where(~hit, 0.0) for name in (c.VOLUME, *c.OPTIONAL_CANDLE)}
        return frame.assign(**prices, **amounts)

    return spoil
