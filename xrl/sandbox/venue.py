"""What the sandbox exchange knows, in no dialect: its worlds, listings, bars, funding and statistics.

Enters: world, symbol, interval. Leaves: frames of the kinds of `market.tables`. Nothing here depends on the
clock but `listings` and `unclosed`; a dialect shows what its venue would show at a moment.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.errors import ConfigError, ExchangeError
from xrl.market import tables
from xrl.market.resample import combine, resample
from xrl.market.tables import Kind
from xrl.sandbox import finer, replay, worlds

REPLAY: Final = "replay"
HOUR_MS: Final = 3_600_000
#: End of time for queries: 2100-01-01.
FOREVER_MS: Final = 4_102_444_800_000
_REPLAY_DECIMALS: Final = 6


class Listing(NamedTuple):
    """A perpetual: when it was listed, when it ends (None: not known to end), price decimals."""

    symbol: str
    listed_ms: int
    ends_ms: int | None
    state: Literal["trading", "halted", "delisted"] | None  # None: by the clock
    decimals: int

    @property
    def base(self) -> str:
        return self.symbol.removesuffix("USDT")

    def state_at(self, now_ms: int) -> Literal["trading", "halted", "delisted"]:
        if self.state is not None:
            return self.state
        return "trading" if self.ends_ms is None or now_ms < self.ends_ms else "delisted"


@dataclass(frozen=True)
class Venue:
    """What the server serves: the synthetic worlds of one seed and, with a folder, `replay`."""

    seed: int
    replay_dir: Path | None = None

    @property
    def worlds(self) -> tuple[str, ...]:
        return worlds.SYNTHETIC + ((REPLAY,) if self.replay_dir is not None else ())

    def listings(self, world: str) -> MappingProxyType[str, Listing]:
        """Every perpetual that the world ever lists, by symbol."""
        return self._replayed if world == REPLAY else self._synthetic

    def listing(self, world: str, symbol: str) -> Listing:
        """The listing of one symbol.

        Raises:
            ExchangeError: the world never lists it.
        """
        listed = self.listings(world)
        if symbol not in listed:
            raise ExchangeError(f"{symbol!r} is not listed in {world}; listed are {sorted(listed)}")
        return listed[symbol]

    def bars(self, world: str, symbol: str, timeframe: Kind, start_ms: int, end_ms: int) -> pd.DataFrame:
        """Whole bars that open within [start_ms, end_ms), columns.CANDLE, ascending.

        Raises:
            ExchangeError: unknown world or symbol, or a replay without a file to make such bars of.
        """
        step = milliseconds(timeframe)
        source = self._source(world, symbol, timeframe)
        # a bar that opens at the end's last moment needs its finer bars, too
        last = -(-end_ms // step) * step if source != timeframe else end_ms
        made_of = self._stored(world, symbol, source, start_ms, last)
        frame = made_of if source == timeframe else resample(made_of, timeframe, source)
        return _between(frame, start_ms, end_ms)

    def unclosed(self, world: str, symbol: str, timeframe: Kind, now_ms: int) -> pd.DataFrame:
        """The bar that is open at `now_ms` as it stands then, columns.CANDLE, one row or none: made of the
        finest bars known; the last of those shows the part of its way that lies behind."""
        step = milliseconds(timeframe)
        finest = "1m" if world != REPLAY else self._source(world, symbol, timeframe)
        part = self._stored(world, symbol, finest, now_ms - now_ms % step, now_ms)
        if part.empty:
            return part
        share = (now_ms - int(part[c.TIMESTAMP].iloc[-1].timestamp() * 1000)) / milliseconds(finest)
        if share < 1:
            decimals = self.listing(world, symbol).decimals
            part = pd.concat([part.iloc[:-1], _so_far(part.iloc[-1:], share, decimals)])
        return combine(part, np.array([0]), step)

    def series(self, world: str, symbol: str, kind: Kind, start_ms: int, end_ms: int) -> pd.DataFrame:
        """Rows of `kind` (one of tables.SERIES) stamped within [start_ms, end_ms), ascending; those that the
        world does not know are absent.

        Raises:
            ExchangeError: unknown world or symbol.
        """
        ends_ms = self.listing(world, symbol).ends_ms
        end_ms = end_ms if ends_ms is None else min(end_ms, ends_ms + 1)
        if self.replay_dir is not None and world == REPLAY:
            return _between(replay.rows(self.replay_dir, symbol, kind), start_ms, end_ms)
        late = HOUR_MS if kind == tables.OPEN_INTEREST else 0  # a mark is the state at the close of its bar
        frame = self._hours(world, symbol, start_ms - late, end_ms - late)
        if kind == tables.OPEN_INTEREST:
            value = np.round(frame[c.OPEN_INTEREST] * frame[c.CLOSE], 4)
            times = (frame[c.TIMESTAMP] + worlds.HOUR).astype(c.TIME_DTYPE)
            frame = frame.assign(**{c.OPEN_INTEREST_VALUE: value, c.TIMESTAMP: times})
        if kind == tables.TAKER_VOLUME:
            sold = np.round(frame[c.VOLUME] - frame[c.TAKER_BUY_VOLUME], 3)
            frame = frame.assign(**{c.TAKER_SELL_VOLUME: sold})
        return frame[list(tables.table(kind).columns)].dropna().reset_index(drop=True)

    @cached_property
    def _synthetic(self) -> MappingProxyType[str, Listing]:
        start = int(worlds.WORLD_START.timestamp() * 1000)
        return MappingProxyType(
            {
                symbol: Listing(symbol, start, None, None, coin.decimals)
                for symbol, coin in worlds.COINS.items()
            }
        )

    @cached_property
    def _replayed(self) -> MappingProxyType[str, Listing]:
        if self.replay_dir is None:
            raise ExchangeError("this sandbox replays no folder; give one with `--replay-dir`")
        said, found = replay.notices(self.replay_dir), {}
        for symbol in replay.symbols(self.replay_dir):
            notice = said.get(symbol, replay.Notice())
            first = notice.listed_at or replay.rows(self.replay_dir, symbol, "1h")[c.TIMESTAMP].min()
            ends = None if notice.ends_at is None else int(notice.ends_at.timestamp() * 1000)
            listed = int(first.timestamp() * 1000)
            found[symbol] = Listing(symbol, listed, ends, notice.state, _REPLAY_DECIMALS)
        return MappingProxyType(found)

    def _source(self, world: str, symbol: str, timeframe: Kind) -> Kind:
        """The timeframe of the stored bars that bars of `timeframe` are made of."""
        if self.replay_dir is None or world != REPLAY:
            return "1h" if milliseconds(timeframe) >= HOUR_MS else "1m"
        found = replay.source(self.replay_dir, symbol, timeframe)
        if found is None:
            raise ExchangeError(f"the replay has no file to make {timeframe} bars of {symbol} of")
        return found

    def _stored(self, world: str, symbol: str, timeframe: Kind, start_ms: int, end_ms: int) -> pd.DataFrame:
        """Bars that open within [start_ms, end_ms) while the symbol is listed, as drawn or as in the file."""
        listing = self.listing(world, symbol)
        start_ms, end_ms = max(start_ms, listing.listed_ms), min(end_ms, listing.ends_ms or FOREVER_MS)
        if self.replay_dir is not None and world == REPLAY:
            return _between(replay.rows(self.replay_dir, symbol, timeframe), start_ms, end_ms)
        if timeframe == "1m":
            return finer.minutes(world, symbol, _time(start_ms), _time(max(start_ms, end_ms)), self.seed)
        return self._hours(world, symbol, start_ms, end_ms)[list(c.CANDLE)]

    def _hours(self, world: str, symbol: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        return worlds.bars(world, symbol, _time(max(start_ms, 0)), _time(max(end_ms, 0)), self.seed)


def open_venue(seed: int, replay_dir: Path | None) -> Venue:
    """The venue of `xrl sandbox`.

    Raises:
        ConfigError: `replay_dir` is given and holds no candles, or listings that cannot be used.
    """
    venue = Venue(seed, replay_dir)
    if replay_dir is not None and not venue.listings(REPLAY):
        raise ConfigError(
            f"the replay folder {replay_dir} holds no binance_perp_SYMBOL_1h.parquet; correct `--replay-dir` "
            "or XRL_REPLAY_DIR"
        )
    return venue


def milliseconds(timeframe: Kind) -> int:
    return int(tables.TIMEFRAMES[timeframe].total_seconds() * 1000)


def stamps(times: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Milliseconds since 1970 of a column of columns.TIME_DTYPE, (n,)."""
    found: np.ndarray[tuple[int], np.dtype[np.int64]] = times.astype("int64").to_numpy()
    return found


def _between(frame: pd.DataFrame, start_ms: int, end_ms: int) -> pd.DataFrame:
    first, last = np.searchsorted(stamps(frame[c.TIMESTAMP]), [start_ms, end_ms])
    return frame.iloc[first:last].reset_index(drop=True)


def _so_far(bar: pd.DataFrame, share: float, decimals: int) -> pd.DataFrame:
    """The bar after `share` of its time: price on the straight line to its close, amounts in proportion."""
    open_, close = bar[c.OPEN], (bar[c.OPEN] + share * (bar[c.CLOSE] - bar[c.OPEN])).round(decimals)
    amounts = {name: np.floor(bar[name] * share * 1000) / 1000 for name in (c.VOLUME, *c.OPTIONAL_CANDLE)}
    amounts[c.TRADES] = np.floor(amounts[c.TRADES])
    extremes = {c.HIGH: np.maximum(open_, close), c.LOW: np.minimum(open_, close)}
    return bar.assign(**{c.CLOSE: close, **extremes, **amounts})


def _time(ms: int) -> pd.Timestamp:
    return pd.Timestamp(ms, unit="ms", tz="UTC")
