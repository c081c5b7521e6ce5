"""What each endpoint of the sandbox exchange answers. Enters: world and query. Leaves: JSON values.

Quantities that a world does not have are `null`, never 0. Source: Binance USD-M futures REST documentation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.errors import ConfigError
from xrl.sandbox import replay, worlds

MAX_KLINES: Final = 1500
MAX_FUNDING: Final = 1000
MAX_OPEN_INTEREST: Final = 500
#: The real venue answers open interest of the last 30 days only.
OPEN_INTEREST_SPAN: Final = pd.Timedelta(days=30)
HOUR_MS: Final = 3_600_000


class VenueError(Exception):
    """An answer in the venue's own form: code, message, HTTP status."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True)
class Venue:
    """What the server serves: the synthetic worlds of one seed and, with a folder, `replay`."""

    seed: int
    replay_dir: Path | None = None

    @property
    def worlds(self) -> tuple[str, ...]:
        return worlds.SYNTHETIC + (("replay",) if self.replay_dir is not None else ())

    def symbols(self, world: str) -> tuple[str, ...]:
        return (
            replay.symbols(self.replay_dir) if self.replay_dir and world == "replay" else tuple(worlds.COINS)
        )

    def bars(self, world: str, symbol: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        """Bars that open within [start_ms, end_ms)."""
        start, end = (pd.Timestamp(ms, unit="ms", tz="UTC") for ms in (max(start_ms, 0), max(end_ms, 0)))
        if self.replay_dir is None or world != "replay":
            return worlds.bars(world, symbol, start, end, self.seed)
        frame = replay.bars(self.replay_dir, symbol)
        return frame[(frame[c.TIMESTAMP] >= start) & (frame[c.TIMESTAMP] < end)]


def open_venue(seed: int, replay_dir: Path | None) -> Venue:
    """The venue of `xrl sandbox`.

    Raises:
        ConfigError: `replay_dir` is given and holds no candles.
    """
    if replay_dir is not None and not replay.symbols(replay_dir):
        raise ConfigError(
            f"the replay folder {replay_dir} holds no binance_perp_SYMBOL_1h.parquet; correct `--replay-dir` "
            "or XRL_REPLAY_DIR"
        )
    return Venue(seed, replay_dir)


Query = dict[str, str]


class Api:
    """One method per endpoint: (world, query) -> JSON value."""

    def __init__(self, venue: Venue, now_ms: Callable[[], int]) -> None:
        self._venue, self._now_ms = venue, now_ms

    def ping(self, world: str, query: Query) -> object:
        return {}

    def time(self, world: str, query: Query) -> object:
        return {"serverTime": self._now_ms()}

    def exchange_info(self, world: str, query: Query) -> object:
        listed = [_listing(symbol) for symbol in self._venue.symbols(world)]
        return {
            "timezone": "UTC",
            "serverTime": self._now_ms(),
            "futuresType": "U_MARGINED",
            "rateLimits": [],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": listed,
        }

    def klines(self, world: str, query: Query) -> object:
        symbol = self._symbol(world, query)
        if query.get("interval") != "1h":
            raise VenueError(-1120, "Invalid interval.")
        start, end, limit = self._page(query, 500, MAX_KLINES)
        now = self._now_ms()
        first = start if start is not None else min(end, now) // HOUR_MS * HOUR_MS - (limit - 1) * HOUR_MS
        frame = self._venue.bars(world, symbol, first, min(end + 1, now, first + (limit + 1) * HOUR_MS))
        return _klines(frame.head(limit), now)

    def funding_rate(self, world: str, query: Query) -> object:
        symbol = self._symbol(world, query)
        start, end, limit = self._page(query, 100, MAX_FUNDING)
        now = self._now_ms()
        first = start if start is not None else min(end, now) - limit * 8 * HOUR_MS
        frame = self._venue.bars(world, symbol, first // HOUR_MS * HOUR_MS, min(end, now) + 1)
        frame = frame[frame[c.FUNDING_RATE].notna()]
        opens = _milliseconds(frame[c.TIMESTAMP])
        stamps = opens + opens // HOUR_MS % 11  # settlements are stamped some milliseconds late
        rows = zip(stamps, frame[c.FUNDING_RATE], frame[c.OPEN], strict=True)
        settled = [
            {"symbol": symbol, "fundingTime": int(t), "fundingRate": _text(rate), "markPrice": _text(price)}
            for t, rate, price in rows
            if first <= t <= min(end, now)
        ]
        return settled[:limit] if start is not None else settled[-limit:]

    def open_interest(self, world: str, query: Query) -> object:
        symbol = self._symbol(world, query)
        if query.get("period") != "1h":
            raise VenueError(-1130, "Data sent for parameter 'period' is not valid.")
        start, end, limit = self._page(query, 30, MAX_OPEN_INTEREST)
        oldest = self._now_ms() - int(OPEN_INTEREST_SPAN.total_seconds() * 1000)
        if start is not None and start < oldest:
            raise VenueError(-1130, "parameter 'startTime' is invalid.")
        first = max(oldest, 0) if start is None else start
        # the mark stamped T is the state at T: the close of the bar that opened an hour before
        frame = self._venue.bars(world, symbol, first - HOUR_MS, min(end, self._now_ms()) - HOUR_MS + 1)
        frame = frame[frame[c.OPEN_INTEREST].notna()]
        frame = frame.head(limit) if start is not None else frame.tail(limit)
        stamps = _milliseconds(frame[c.TIMESTAMP]) + HOUR_MS
        return [
            {
                "symbol": symbol,
                "sumOpenInterest": _text(amount),
                "sumOpenInterestValue": _text(round(amount * price, 4)),
                "timestamp": int(t),
            }
            for t, amount, price in zip(stamps, frame[c.OPEN_INTEREST], frame[c.CLOSE], strict=True)
        ]

    def _symbol(self, world: str, query: Query) -> str:
        symbol = query.get("symbol")
        if not symbol:
            raise VenueError(
                -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
            )
        if symbol not in self._venue.symbols(world):
            raise VenueError(-1121, "Invalid symbol.")
        return symbol

    def _page(self, query: Query, default: int, most: int) -> tuple[int | None, int, int]:
        """`startTime` or None, `endTime` or the far future, `limit`."""
        values: dict[str, int] = {}
        for name in ("startTime", "endTime", "limit"):
            text = query.get(name)
            if text is not None and not text.isdecimal():
                raise VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal are digits.")
            if text is not None:
                values[name] = min(int(text), 4_102_444_800_000)  # 2100-01-01
        limit = values.get("limit", default)
        if not 1 <= limit <= most:
            raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
        start, end = values.get("startTime"), values.get("endTime", 4_102_444_800_000)
        if start is not None and start > end:
            raise VenueError(-1023, "Start time is greater than end time.")
        return start, end, limit


def _klines(frame: pd.DataFrame, now_ms: int) -> list[list[Any]]:
    """Positional rows; the bar still open at `now_ms` shows the part of its path that has happened."""
    opens = _milliseconds(frame[c.TIMESTAMP])
    names = (c.OPEN, c.HIGH, c.LOW, c.CLOSE, c.VOLUME)
    extras = (c.QUOTE_VOLUME, c.TRADES, c.TAKER_BUY_VOLUME, c.TAKER_BUY_QUOTE_VOLUME)
    values = frame[[*names, *extras]].to_numpy()
    return [
        _kline(int(t), _so_far(row, (now_ms - t) / HOUR_MS) if now_ms < t + HOUR_MS else row)
        for t, row in zip(opens, values, strict=True)
    ]


def _kline(open_ms: int, row: NDArray[np.float64]) -> list[Any]:
    prices = [_text(value) for value in row[:5]]
    quote, trades, taker, taker_quote = (None if np.isnan(value) else value for value in row[5:])
    return [
        open_ms,
        *prices,
        open_ms + HOUR_MS - 1,
        _text(quote),
        None if trades is None else int(trades),
        _text(taker),
        _text(taker_quote),
        "0",
    ]


def _so_far(row: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The bar after `share` of its hour: price on the straight line to its close, volumes in proportion."""
    part = row.copy()
    part[3] = row[0] + share * (row[3] - row[0])
    part[1], part[2] = max(row[0], part[3]), min(row[0], part[3])
    part[4:] = np.floor(row[4:] * share)
    return part


def _milliseconds(times: pd.Series) -> NDArray[np.int64]:
    stamps: NDArray[np.int64] = times.astype("int64").to_numpy()
    return stamps


def _text(value: float | None) -> str | None:
    """Shortest decimal text that reads back as the same double."""
    if value is None:
        return None
    text = repr(float(value))
    return np.format_float_positional(value, trim="0") if "e" in text else text


def _listing(symbol: str) -> dict[str, Any]:
    """One entry of exchangeInfo, complete enough for ccxt's `load_markets`."""
    decimals = worlds.COINS[symbol].decimals if symbol in worlds.COINS else 6
    tick = f"{10.0**-decimals:.{decimals}f}"
    lot = {"minQty": "0.001", "maxQty": "1000000000", "stepSize": "0.001"}
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": int(worlds.WORLD_START.timestamp() * 1000),
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": decimals,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC"],
    }
