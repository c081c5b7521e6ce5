"""Minutes of the synthetic worlds. Enters: world, symbol, interval, seed. Leaves: bars of one minute whose
sums are the hourly bars of `worlds`, bit for bit.

No source: the split is our own. An hour is split in the venue's smallest units (price ticks, thousandths of a
coin), in whole numbers, so that nothing is lost: closes follow a Brownian bridge from the hour's open to its
close, held between its low and high; the greatest high and the least low are the hour's; amounts are shared
out by cumulative rounding. Hours are drawn in blocks with generators of their own, so a minute depends on
nothing but its block: a longer world begins with exactly the shorter one.
"""

import zlib
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.sandbox import worlds

Array = NDArray[np.float64]

MINUTE: Final = pd.Timedelta(minutes=1)
_MINUTES: Final = 60
_BLOCK_HOURS: Final = 128
_BLOCK_ROWS: Final = _BLOCK_HOURS * _MINUTES
#: Of the hourly bars in `worlds`: amounts in coins, amounts in USDT.
_COIN_DECIMALS, _QUOTE_DECIMALS = 3, 4
_RESTLESSNESS = 0.75  # deviation of the bridge half-way, in half ranges of the hour
_WICK = 0.1  # typical length of a minute's wick, in half ranges of the hour
_BURSTS = 0.5  # deviation of the logarithm of a minute's share of the hour's volume


def minutes(world: str, symbol: str, start: pd.Timestamp, end: pd.Timestamp, seed: int) -> pd.DataFrame:
    """Bars of one minute with `start <= timestamp < end`, in columns.CANDLE.

    Args:
        world: `planted` or `random_walk`.
        symbol: one of `worlds.COINS`.
        start: first bar's open, UTC; nothing exists before worlds.WORLD_START.
        end: exclusive; may lie in the future.
        seed: of the world.

    Raises:
        ExchangeError: unknown world or symbol.
    """
    first, last = (max(0, -((worlds.WORLD_START - time) // MINUTE)) for time in (start, end))
    parts = []
    for number in range(first // _BLOCK_ROWS, -(-last // _BLOCK_ROWS)):
        before = number * _BLOCK_ROWS
        parts.append(_block(world, symbol, seed, number).iloc[max(0, first - before) : last - before])
    return pd.concat(parts or [_block(world, symbol, seed, 0).iloc[:0]], ignore_index=True)


@lru_cache(maxsize=64)
def _block(world: str, symbol: str, seed: int, number: int) -> pd.DataFrame:
    """The minutes of _BLOCK_HOURS hours."""
    start = worlds.WORLD_START + number * _BLOCK_HOURS * worlds.HOUR
    hours = worlds.bars(world, symbol, start, start + _BLOCK_HOURS * worlds.HOUR, seed)
    draw = np.random.default_rng((seed, zlib.crc32(symbol.encode()), zlib.crc32(b"minutes"), number))
    prices = _prices(draw, hours, worlds.COINS[symbol].decimals)
    amounts = _amounts(draw, hours, (prices[c.OPEN] + prices[c.CLOSE]) / 2)
    times = pd.date_range(start, periods=_BLOCK_ROWS, freq=MINUTE, unit="ms")
    values = {name: column.ravel() for name, column in {**prices, **amounts}.items()}
    return pd.DataFrame({c.TIMESTAMP: times, **values}, columns=list(c.CANDLE))


def _prices(draw: np.random.Generator, hours: pd.DataFrame, decimals: int) -> dict[str, Array]:
    """Open, high, low and close of each minute, (hours, 60)."""
    ticks = 10.0**decimals
    open_, high, low, close = (np.rint(hours[name].to_numpy()[:, None] * ticks) for name in c.OHLCV[:4])
    half = (high - low) / 2
    steps = draw.standard_normal((len(hours), _MINUTES)).cumsum(axis=1)
    passed = np.arange(1, _MINUTES + 1) / _MINUTES
    bridge = (steps - passed * steps[:, -1:]) / np.sqrt(_MINUTES) * 2 * _RESTLESSNESS
    away = (np.rint(open_ + passed * (close - open_) + half * bridge) - low) % np.maximum(4 * half, 1)
    closes = low + np.minimum(away, 4 * half - away)  # thrown back from low and high
    closes[:, -1:] = close
    opens = np.concatenate([open_, closes[:, :-1]], axis=1)
    up, down = np.rint(_WICK * half * np.abs(draw.standard_normal((2, *closes.shape))))
    highs = np.minimum(np.maximum(opens, closes) + up, high)
    lows = np.maximum(np.minimum(opens, closes) - down, low)
    np.put_along_axis(highs, highs.argmax(axis=1)[:, None], high, axis=1)
    np.put_along_axis(lows, lows.argmin(axis=1)[:, None], low, axis=1)
    return {name: column / ticks for name, column in zip(c.OHLCV, (opens, highs, lows, closes))}


def _amounts(draw: np.random.Generator, hours: pd.DataFrame, price: Array) -> dict[str, Array]:
    """Volumes and trades of each minute, (hours, 60). Takers' share is that of the hour."""

    def total(name: str, decimals: int) -> Array:
        amounts: Array = np.rint(hours[name].to_numpy()[:, None] * 10.0**decimals)
        return amounts

    weight = np.exp(_BURSTS * draw.standard_normal(price.shape))
    volume = _shared_out(total(c.VOLUME, _COIN_DECIMALS), weight)
    quote = _shared_out(total(c.QUOTE_VOLUME, _QUOTE_DECIMALS), volume * price)
    return {
        c.VOLUME: volume / 10.0**_COIN_DECIMALS,
        c.QUOTE_VOLUME: quote / 10.0**_QUOTE_DECIMALS,
        c.TRADES: _shared_out(total(c.TRADES, 0), weight),
        c.TAKER_BUY_VOLUME: _part_of(volume, total(c.TAKER_BUY_VOLUME, _COIN_DECIMALS))
        / 10.0**_COIN_DECIMALS,
        c.TAKER_BUY_QUOTE_VOLUME: _part_of(quote, total(c.TAKER_BUY_QUOTE_VOLUME, _QUOTE_DECIMALS))
        / 10.0**_QUOTE_DECIMALS,
    }


def _shared_out(total: Array, weight: Array) -> Array:
    """Whole numbers (n, 60) in proportion to `weight` (n, 60) whose sum is `total` (n, 1)."""
    until = np.floor(total * weight.cumsum(axis=1) / weight.sum(axis=1, keepdims=True))
    until[:, -1:] = total
    return np.diff(until, axis=1, prepend=0.0)


def _part_of(whole: Array, total: Array) -> Array:
    """Whole numbers (n, 60), none above `whole` (n, 60), whose sum is `total` (n, 1)."""
    share = total / np.maximum(whole.sum(axis=1, keepdims=True), 1)
    until = np.rint(whole.cumsum(axis=1) * share)
    until[:, -1:] = total
    return np.diff(until, axis=1, prepend=0.0)
