"""Bybit v5, linear perpetuals: https://bybit-exchange.github.io/docs/v5/market/kline

Rows come newest first, and of a range with more rows than `limit` the newest. Volumes and open interest are
base coins ("USDT or USDC contract: unit is base coin"), turnover is the quote currency. Bybit publishes no
trades per candle, no taker volume and no value of open interest.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from xrl.market import tables
from xrl.market.dialects import page
from xrl.market.dialects.listing import QUOTE, Listing, Lookup, moment
from xrl.market.dialects.page import Ask
from xrl.market.dialects.walk import Paging, spacing_ms
from xrl.market.rows import Rows
from xrl.market.tables import Kind

TITLE: Final = "Bybit linear"
CLIENT: Final = "bybit"
OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({"fetchMarkets": {"types": ["linear"]}})
CLOCK: Final = "publicGetV5MarketTime"
#: Too many visits; exceeded the IP limit. Timed out, server error.
LIMITED: Final = frozenset({"10006", "10018", "10429"})
BUSY: Final = frozenset({"10000", "10016"})

_LIMITS: Final = MappingProxyType({tables.FUNDING: 200, tables.OPEN_INTEREST: 200})
_INTERVALS: Final = MappingProxyType(
    {name: f"{int(step.total_seconds()) // 60}" for name, step in tables.TIMEFRAMES.items()} | {"1d": "D"}
)
_KLINE: Final = (0, 1, 2, 3, 4, 5, 6, None, None, None)


def offers(kind: Kind) -> bool:
    return tables.is_candles(kind) or kind in (tables.FUNDING, tables.OPEN_INTEREST)


def kept(kind: Kind) -> pd.Timedelta | None:
    """Everything since a symbol's launch."""
    return None


def paging(kind: Kind) -> Paging:
    return Paging(_LIMITS.get(kind, 1000), *spacing_ms(kind), newest_first=True)


def ask(kind: Kind, venue_id: str, first_ms: int, last_ms: int) -> Ask:
    query: dict[str, str | int] = {"category": "linear", "symbol": venue_id, "limit": paging(kind).limit}
    if tables.is_candles(kind):
        span: dict[str, str | int] = {"start": first_ms, "end": last_ms, "interval": _INTERVALS[kind]}
        return Ask("publicGetV5MarketKline", {**query, **span})
    # "Passing only startTime returns an error": both are sent everywhere
    query |= {"startTime": first_ms, "endTime": last_ms}
    if kind == tables.FUNDING:
        return Ask("publicGetV5MarketFundingHistory", query)
    return Ask("publicGetV5MarketOpenInterest", {**query, "intervalTime": "1h"})


def read(kind: Kind, answer: object) -> Rows:
    rows = page.rows_in(answer, "result", "list")[::-1]
    if tables.is_candles(kind):
        return page.table(kind, rows, _KLINE)
    if kind == tables.FUNDING:
        return page.table(kind, page.pick(rows, "fundingRateTimestamp", "fundingRate"), (0, 1))
    return page.table(kind, page.pick(rows, "timestamp", "openInterest"), (0, 1, None))


def clock_ms(answer: object) -> int:
    return page.stamp_in(answer, "time")


def listing(info: Mapping[str, Any]) -> Listing | None:
    """None for what is no perpetual settled in USDT."""
    perpetual = info.get("contractType") == "LinearPerpetual"
    if not perpetual or info.get("settleCoin") != QUOTE or info.get("quoteCoin") != QUOTE:
        return None
    status, ends_at = info.get("status"), moment(info.get("deliveryTime"))
    delisted = status in ("Closed", "Delivering", "Settling") and ends_at is not None
    return Listing(
        symbol=f"{info['baseCoin']}{QUOTE}",
        venue_id=str(info["symbol"]),
        state="trading" if status == "Trading" else "delisted" if delisted else "halted",
        listed_at=moment(info.get("launchTime")),
        ends_at=ends_at if delisted else None,
    )


def closed(symbol: str) -> Lookup | None:
    """Only what trades is listed unless another status is asked for."""
    query: dict[str, str | int] = {"category": "linear", "symbol": symbol, "status": "Closed"}
    return Lookup(Ask("publicGetV5MarketInstrumentsInfo", query), _listings)


def error_code(answer: object) -> str | None:
    code = str(answer.get("retCode", "0")) if isinstance(answer, dict) else "0"
    return None if code == "0" else code


def _listings(answer: object) -> list[Listing]:
    return [found for info in page.rows_in(answer, "result", "list") if (found := listing(info))]
