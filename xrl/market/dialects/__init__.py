"""How each venue is asked and what its answers mean; no connection, no ccxt.

A dialect is a module. All speak of the same tables in the same units: volumes are base coins, times UTC.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

import pandas as pd

from xrl.errors import ConfigError
from xrl.market.dialects import binance, bybit, okx
from xrl.market.dialects.listing import Listing, Lookup
from xrl.market.dialects.page import Ask
from xrl.market.dialects.walk import Paging
from xrl.market.rows import Rows
from xrl.market.tables import Kind


class Dialect(Protocol):
    """What every module of a venue has."""

    @property
    def TITLE(self) -> str:
        """The venue's name in messages."""

    @property
    def CLIENT(self) -> str:
        """ccxt's class."""

    @property
    def OPTIONS(self) -> Mapping[str, Any]:
        """ccxt's options."""

    @property
    def CLOCK(self) -> str:
        """ccxt's name of the endpoint of the venue's time."""

    @property
    def LIMITED(self) -> frozenset[str]:
        """Error codes that say: too many requests."""

    @property
    def BUSY(self) -> frozenset[str]:
        """Error codes that say: not now."""

    def offers(self, kind: Kind) -> bool:
        """Whether the venue publishes `kind`."""

    def kept(self, kind: Kind) -> pd.Timedelta | None:
        """How far back the venue answers; None: as far as there is history."""

    def paging(self, kind: Kind) -> Paging:
        """How rows of `kind` come in pages."""

    def ask(self, kind: Kind, venue_id: str, first_ms: int, last_ms: int) -> Ask:
        """The request for rows stamped within [first, last]."""

    def read(self, kind: Kind, answer: object) -> Rows:
        """The rows of an answer to it, oldest first if the venue sent them in its own order."""

    def clock_ms(self, answer: object) -> int:
        """The venue's time in the answer of CLOCK."""

    def listing(self, info: Mapping[str, Any]) -> Listing | None:
        """The perpetual that an entry of the venue's list describes; None for anything else."""

    def closed(self, symbol: str) -> Lookup | None:
        """How to find a delisted perpetual that the list leaves out; None where there is no way."""

    def error_code(self, answer: object) -> str | None:
        """The venue's own code of an error; None for an answer that is none."""


DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType({"binance": binance, "bybit": bybit, "okx": okx})


def dialect(venue: str) -> Dialect:
    """The dialect of `venue`.

    Raises:
        ConfigError: there is none.
    """
    if venue not in DIALECTS:
        raise ConfigError(f"`market.venue` must be one of {', '.join(DIALECTS)}; received {venue!r}")
    return DIALECTS[venue]
