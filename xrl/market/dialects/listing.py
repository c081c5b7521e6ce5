"""What a venue lists, and what to tell somebody who names what it does not list.

Enters: symbols as we write them, `BTCUSDT` (base and quote). Leaves: Listing, or a sentence of advice.
"""

import difflib
import logging
import re
from collections.abc import Callable, Collection
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import pandas as pd

from xrl.market.dialects.page import Ask

#: Well-known coins that went on one for one under another name, and when. Venues close the old perpetual and
#: open another: what was traded under the old name stays there, where it is served at all.
RENAMED: Final = MappingProxyType(
    {
        "TOMOUSDT": "VICUSDT",  # November 2023, Viction
        "RNDRUSDT": "RENDERUSDT",  # July 2024, Render
        "MATICUSDT": "POLUSDT",  # September 2024, Polygon
        "KLAYUSDT": "KAIAUSDT",  # October 2024, Kaia
        "FTMUSDT": "SUSDT",  # January 2025, Sonic
        "EOSUSDT": "AUSDT",  # May 2025, Vaulta
    }
)
#: Cheap coins are quoted a thousand or a million at a time: `1000PEPE` (Binance, Bybit), `SHIB1000` (Bybit),
#: `1MBABYDOGE` (Binance); OKX quotes the plain coin.
_MULTIPLE: Final = re.compile(r"^(?:1000000|10000|1000|1M)(?=[A-Z])|(?<=[A-Z])1000$")
QUOTE: Final = "USDT"
#: Listed so recently that a short history needs a word.
_NEW: Final = pd.Timedelta(days=30)


class Listing(NamedTuple):
    """One perpetual of a venue.

    Args:
        symbol: as we write it.
        venue_id: as the venue writes it, `BTC-USDT-SWAP`.
        listed_at: first bar that can exist; None where the venue does not say.
        ends_at: when it was delisted; None while it trades.
    """

    symbol: str
    venue_id: str
    state: Literal["trading", "halted", "delisted"]
    listed_at: pd.Timestamp | None
    ends_at: pd.Timestamp | None


class Lookup(NamedTuple):
    """A request for perpetuals that a venue's list leaves out, and how its answer reads."""

    ask: Ask
    read: Callable[[object], list[Listing]]


def moment(milliseconds: object) -> pd.Timestamp | None:
    """UTC time of a venue's stamp; None for what venues send in place of one: nothing, "", 0."""
    text = str(milliseconds or "0")
    return pd.Timestamp(int(text), unit="ms", tz="UTC") if text.isdecimal() and int(text) else None


def remark(listing: Listing, now: pd.Timestamp) -> tuple[int, str]:
    """Level and text of what somebody who pulls this perpetual should know; "" for nothing."""
    symbol, state, listed_at, ends_at = listing.symbol, listing.state, listing.listed_at, listing.ends_at
    if state == "delisted" and ends_at is not None:
        until = f"{ends_at:%Y-%m-%d %H:%M} UTC"
        return (
            logging.WARNING,
            f"{symbol} was delisted on {until}; its history up to then can still be pulled",
        )
    if listed_at is not None and listed_at > now:
        return (
            logging.WARNING,
            f"{symbol} will be listed on {listed_at:%Y-%m-%d %H:%M} UTC; it has no history yet",
        )
    if state != "trading":
        return logging.WARNING, f"{symbol} does not trade at the moment; its history can still be pulled"
    if listed_at is not None and listed_at > now - _NEW:
        return logging.INFO, f"{symbol} is new: listed on {listed_at:%Y-%m-%d %H:%M} UTC, no history before"
    return logging.NOTSET, ""


def advice(symbol: str, listed: Collection[str]) -> str:
    """What somebody who asked for the unlisted `symbol` may have meant."""
    if symbol.upper() != symbol and symbol.upper() in listed:
        return f"{symbol} is written {symbol.upper()}"
    successor = RENAMED.get(symbol)
    if successor is not None:
        here = "" if successor in listed else ", which is not listed there"
        return f"{symbol} is now {successor}{here}: the coin was renamed"
    scaled = sorted(name for name in listed if name != symbol and _coin(name) == _coin(symbol))
    if scaled:
        return f"{symbol} is quoted there as {scaled[0]}: prices are those of another number of coins"
    near = difflib.get_close_matches(symbol, sorted(listed), n=3, cutoff=0.6)
    if near:
        return f"{symbol} is unknown; the nearest names are {', '.join(near)}"
    some = sorted(listed)[:6]
    return f"{symbol} is unknown; it lists {len(listed)}, such as {', '.join(some)}"


def _coin(symbol: str) -> str:
    """`1000PEPEUSDT`, `PEPEUSDT` -> `PEPE`."""
    return _MULTIPLE.sub("", symbol.removesuffix(QUOTE))
