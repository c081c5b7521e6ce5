"""OKX perpetual swaps: https://www.okx.com/docs-v5/en/

Rows come newest first, and of a range with more rows than `limit` the newest; both bounds of a range are
exclusive. A candle's `vol` counts contracts, `volCcy` base coins (contracts times `ctVal`), `volCcyQuote` the
quote currency; its `confirm` is "0" while it is open. Statistics are asked for in coins.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from xrl.market import tables
from xrl.market.dialects import page
from xrl.market.dialects.listing import QUOTE, Listing, Lookup, moment
from xrl.market.dialects.page import Ask, Malformed
from xrl.market.dialects.walk import Paging, spacing_ms
from xrl.market.rows import Rows
from xrl.market.tables import Kind

TITLE: Final = "OKX swap"
CLIENT: Final = "okx"
OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({"fetchMarkets": {"types": ["swap"]}})
CLOCK: Final = "publicGetPublicTime"
#: Too many requests. Upgrading, timed out, busy, system error.
LIMITED: Final = frozenset({"50011"})
BUSY: Final = frozenset({"50001", "50004", "50013", "50026"})

#: history-candles answers 300 at most; funding-rate-history and the statistics 100.
_CANDLES: Final = 300
_OTHERS: Final = 100
#: From six hours up the plain codes open on Hong Kong time.
_BARS: Final = MappingProxyType(
    {name: name if name.endswith("m") else name.upper() for name in tables.TIMEFRAMES}
    | {"6h": "6Hutc", "12h": "12Hutc", "1d": "1Dutc"}
)
#: "This endpoint can retrieve data from the last 3 months"; "the latest 1,440 data entries".
_KEPT: Final = MappingProxyType(
    {
        tables.FUNDING: pd.Timedelta(days=90),
        tables.OPEN_INTEREST: pd.Timedelta(hours=1440),
        tables.TAKER_VOLUME: pd.Timedelta(hours=1440),
    }
)
_CANDLE: Final = (0, 1, 2, 3, 4, 6, 7, None, None, None)
_CONFIRM: Final = 8
#: A row of open interest carries the opening of an hour and follows the market until that hour is over: it is
#: the mark of the hour's end.
_HOUR_MS: Final = 3_600_000


def offers(kind: Kind) -> bool:
    return tables.is_candles(kind) or kind in tables.SERIES


def kept(kind: Kind) -> pd.Timedelta | None:
    return _KEPT.get(kind)


def paging(kind: Kind) -> Paging:
    limit = _CANDLES if tables.is_candles(kind) else _OTHERS
    return Paging(limit, *spacing_ms(kind), newest_first=True)


def ask(kind: Kind, venue_id: str, first_ms: int, last_ms: int) -> Ask:
    query: dict[str, str | int] = {"instId": venue_id, "limit": paging(kind).limit}
    if tables.is_candles(kind) or kind == tables.FUNDING:
        query |= {"before": first_ms - 1, "after": last_ms + 1}  # newer than, older than
        if kind == tables.FUNDING:
            return Ask("publicGetPublicFundingRateHistory", query)
        return Ask("publicGetMarketHistoryCandles", {**query, "bar": _BARS[kind]})
    if kind == tables.OPEN_INTEREST:
        span = {"begin": first_ms - _HOUR_MS - 1, "end": last_ms - _HOUR_MS + 1}
        return Ask("publicGetRubikStatContractsOpenInterestHistory", {**query, **span, "period": "1H"})
    query |= {
        "begin": first_ms - 1,
        "end": last_ms + 1,
        "period": "1H",
        "unit": "0",
    }  # 0: coins, 1: contracts
    return Ask("publicGetRubikStatTakerVolumeContract", query)


def read(kind: Kind, answer: object) -> Rows:
    rows = page.rows_in(answer, "data")[::-1]
    if tables.is_candles(kind):
        return page.table(kind, _confirmed(rows), _CANDLE)
    if kind == tables.FUNDING:  # `fundingRate` was the forecast, `realizedRate` is what was paid
        return page.table(kind, page.pick(rows, "fundingTime", "realizedRate"), (0, 1))
    if kind == tables.OPEN_INTEREST:  # contracts, coins, dollars: not the quote currency
        opened = page.table(kind, rows, (0, 2, None))
        return opened._replace(stamps=opened.stamps + _HOUR_MS)
    return page.table(kind, rows, (0, 2, 1))  # sold, then bought; stamped with the opening of its hour


def clock_ms(answer: object) -> int:
    rows = page.rows_in(answer, "data")
    return page.stamp_in(rows[0] if rows else None, "ts")


def listing(info: Mapping[str, Any]) -> Listing | None:
    """None for what is no perpetual settled in USDT, and for placeholders of what will be listed."""
    base, _, quote = str(info.get("uly") or info.get("instFamily") or "").partition("-")
    if info.get("instType") != "SWAP" or info.get("settleCcy") != QUOTE or quote != QUOTE:
        return None
    state, ends_at = info.get("state"), moment(info.get("expTime"))
    delisted = state == "expired"
    return Listing(
        symbol=f"{base}{QUOTE}",
        venue_id=str(info["instId"]),
        state="trading" if state == "live" else "delisted" if delisted else "halted",
        listed_at=moment(info.get("contTdSwTime")) or moment(info.get("listTime")),
        ends_at=ends_at if delisted else None,
    )


def closed(symbol: str) -> Lookup | None:
    """A delisted swap leaves the list and takes its history with it."""
    return None


def error_code(answer: object) -> str | None:
    code = str(answer.get("code", "0")) if isinstance(answer, dict) else "0"
    return None if code == "0" else code


def _confirmed(rows: list[Any]) -> list[Any]:
    """Without the bar that the venue itself calls unfinished."""
    try:
        return [row for row in rows if row[_CONFIRM] != "0"]
    except (IndexError, KeyError, TypeError) as error:
        raise Malformed(f"candles without their state: {str(rows[:1])[:120]}") from error
