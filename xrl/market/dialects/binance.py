"""Binance USD-M futures: https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data

Rows come oldest first. Volumes, open interest and taker volumes are base coins. The raw kline call is used
because ccxt's unified candles drop the taker columns.
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

TITLE: Final = "Binance USD-M"
CLIENT: Final = "binanceusdm"
OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({"fetchMarkets": {"types": ["linear"]}})
CLOCK: Final = "fapiPublicGetTime"
#: -1003 too many requests; disconnected, timed out, overloaded.
LIMITED: Final = frozenset({"-1003"})
BUSY: Final = frozenset({"-1000", "-1001", "-1007", "-1008"})

#: A perpetual has this delivery date, in 2100, until it is delisted.
_NEVER_MS: Final = 4_133_404_800_000
_LIMITS: Final = MappingProxyType({tables.FUNDING: 1000, tables.OPEN_INTEREST: 500, tables.TAKER_VOLUME: 500})
_STATISTICS: Final = MappingProxyType(
    {
        tables.OPEN_INTEREST: "fapiDataGetOpenInterestHist",
        tables.TAKER_VOLUME: "fapiDataGetTakerlongshortRatio",
    }
)
#: "Only the data of the latest 1 month is available" (openInterestHist), "latest 30 days" (taker volume).
_KEPT: Final = pd.Timedelta(days=30)
#: Statistics have a limit of their own, "IP rate limit 1000 requests/5min", of which ccxt does not know.
_STATISTICS_SPACING_S: Final = 0.3
_KLINE: Final = (0, 1, 2, 3, 4, 5, 7, 8, 9, 10)  # 6 is the close time


def offers(kind: Kind) -> bool:
    return tables.is_candles(kind) or kind in tables.SERIES


def kept(kind: Kind) -> pd.Timedelta | None:
    return _KEPT if kind in _STATISTICS else None


def paging(kind: Kind) -> Paging:
    return Paging(_LIMITS.get(kind, 1500), *spacing_ms(kind), newest_first=False)


def ask(kind: Kind, venue_id: str, first_ms: int, last_ms: int) -> Ask:
    query: dict[str, str | int] = {
        "symbol": venue_id,
        "startTime": first_ms,
        "endTime": last_ms,
        "limit": paging(kind).limit,
    }
    if tables.is_candles(kind):
        return Ask("fapiPublicGetKlines", {**query, "interval": kind})
    if kind == tables.FUNDING:
        return Ask("fapiPublicGetFundingRate", query)
    return Ask(_STATISTICS[kind], {**query, "period": "1h"}, _STATISTICS_SPACING_S)


def read(kind: Kind, answer: object) -> Rows:
    rows = page.rows_in(answer)
    if tables.is_candles(kind):
        return page.table(kind, rows, _KLINE)
    if kind == tables.FUNDING:
        return page.table(kind, page.pick(rows, "fundingTime", "fundingRate"), (0, 1))
    if kind == tables.OPEN_INTEREST:
        picked = page.pick(rows, "timestamp", "sumOpenInterest", "sumOpenInterestValue")
        return page.table(kind, picked, (0, 1, 2))
    # stamped with the opening of its hour, as klines are
    return page.table(kind, page.pick(rows, "timestamp", "buyVol", "sellVol"), (0, 1, 2))


def clock_ms(answer: object) -> int:
    return page.stamp_in(answer, "serverTime")


def listing(info: Mapping[str, Any]) -> Listing | None:
    """None for what is no perpetual settled in USDT."""
    perpetual = str(info.get("contractType", "")).startswith("PERPETUAL")
    if not perpetual or info.get("marginAsset") != QUOTE or info.get("quoteAsset") != QUOTE:
        return None
    status, ends_at = info.get("status"), moment(info.get("deliveryDate"))
    over = status in ("SETTLING", "CLOSE", "DELIVERING", "DELIVERED", "PRE_SETTLE", "PRE_DELIVERING")
    delisted = over and info.get("deliveryDate") != _NEVER_MS
    return Listing(
        symbol=f"{info['baseAsset']}{QUOTE}",
        venue_id=str(info["symbol"]),
        state="trading" if status == "TRADING" else "delisted" if delisted else "halted",
        listed_at=moment(info.get("onboardDate")),
        ends_at=ends_at if delisted else None,
    )


def closed(symbol: str) -> Lookup | None:
    """A delisted perpetual stays in exchangeInfo for a while; there is no other list of them."""
    return None


def error_code(answer: object) -> str | None:
    if isinstance(answer, dict) and "code" in answer and "msg" in answer:
        return str(answer["code"])
    return None
