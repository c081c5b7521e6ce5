"""Where symbols, rows, stamps, values and listings lie in the requests and answers of the three dialects.

Enters: path, query and JSON as ccxt's binanceusdm, bybit and okx exchange them with their venue. Leaves: the
same in one form, so that a fault is written once.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

Endpoint = Literal["klines", "funding", "open_interest", "taker_volume", "time", "instruments"]
Dialect = Literal["binance", "bybit", "okx"]
Row = Any  # a list of values or an object, as the venue sends it

HOUR_MS: Final = 3_600_000
#: Last parts of a path; the first match counts.
_PATHS: Final[tuple[tuple[str, Dialect, Endpoint], ...]] = (
    (r"/fapi/v1/klines", "binance", "klines"),
    (r"/fapi/v1/fundingRate", "binance", "funding"),
    (r"/futures/data/openInterestHist", "binance", "open_interest"),
    (r"/futures/data/takerlongshortRatio", "binance", "taker_volume"),
    (r"/fapi/v1/time", "binance", "time"),
    (r"/fapi/v1/exchangeInfo", "binance", "instruments"),
    (r"/v5/market/kline", "bybit", "klines"),
    (r"/v5/market/funding/history", "bybit", "funding"),
    (r"/v5/market/open-interest", "bybit", "open_interest"),
    (r"/v5/market/time", "bybit", "time"),
    (r"/v5/market/instruments-info", "bybit", "instruments"),
    (r"/api/v5/market/(history-)?candles", "okx", "klines"),
    (r"/api/v5/public/funding-rate-history", "okx", "funding"),
    (r"/api/v5/rubik/stat/.*open-interest.*", "okx", "open_interest"),
    (r"/api/v5/rubik/stat/.*taker-volume.*", "okx", "taker_volume"),
    (r"/api/v5/public/time", "okx", "time"),
    (r"/api/v5/public/instruments", "okx", "instruments"),
)
_STAMPS: Final = ("fundingTime", "fundingRateTimestamp", "timestamp", "ts")
_IDS: Final = ("symbol", "instId")
#: Positions in a candle that are no price and no volume: Binance's close time and last field, OKX's flag.
_NOT_VALUES: Final[Mapping[Dialect, tuple[int, ...]]] = {"binance": (0, 6, 11), "bybit": (0,), "okx": (0, 8)}


class Asked(NamedTuple):
    """What a request is about; `symbol` in our form (None: it names none); `step_ms` between two rows."""

    dialect: Dialect
    on: Endpoint
    symbol: str | None
    step_ms: int

    @property
    def span_ms(self) -> int:
        """From a row's stamp to the moment it is complete: rates are marks, and open interest is one except
        at OKX, which stamps it with the opening of its hour."""
        mark = self.on == "funding" or (self.on == "open_interest" and self.dialect != "okx")
        return 0 if mark else self.step_ms


def asked(path: str, query: Mapping[str, str]) -> Asked | None:
    """What `GET path?query` asks for; None for an endpoint without rows, time or listings."""
    for pattern, dialect, on in _PATHS:
        if re.search(pattern + "$", path):
            step = 8 * HOUR_MS if on == "funding" else HOUR_MS
            if on == "klines":
                step = _step_ms(query.get("interval") or query.get("bar") or "1h")
            return Asked(dialect, on, _asked_symbol(query), step)
    return None


def our_symbol(venue_id: str) -> str:
    """`BTC-USDT-SWAP` -> `BTCUSDT`."""
    return venue_id.removesuffix("-SWAP").replace("-", "")


def _asked_symbol(query: Mapping[str, str]) -> str | None:
    if "ccy" in query:
        return query["ccy"] + "USDT"
    named = query.get("symbol") or query.get("instId")
    return our_symbol(named) if named else None


def _step_ms(interval: str) -> int:
    """`1h`, `60`, `1H`, `D`, `1Dutc` -> milliseconds."""
    found = re.match(r"(\d*)([mhHdD]?)", interval)
    count, unit = found.groups() if found else ("1", "h")
    minutes = {"m": 1, "": 1, "h": 60, "d": 1440}[unit.lower()]
    return int(count or 1) * minutes * 60_000


def rows(at: Asked, answer: Any) -> list[Row] | None:
    """The rows or listings in an answer; None where it holds none (an error)."""
    for key in _rows_at(at):
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer if isinstance(answer, list) else None


def with_rows(at: Asked, answer: Any, value: Any) -> Any:
    """A copy of `answer` with `value` where its rows were."""

    def put(node: Any, keys: tuple[str, ...]) -> Any:
        return {**node, keys[0]: put(node[keys[0]], keys[1:])} if keys else value

    return put(answer, _rows_at(at))


def _rows_at(at: Asked) -> tuple[str, ...]:
    if at.dialect == "binance":
        return ("symbols",) if at.on == "instruments" else ()
    return ("result", "list") if at.dialect == "bybit" else ("data",)


def stamp_ms(row: Row) -> int:
    return int(row[_stamp_key(row)])


def restamped(row: Row, stamp: int) -> Row:
    """A copy of `row` stamped `stamp`, number or text as it was."""
    key = _stamp_key(row)
    copied = row.copy()
    copied[key] = type(row[key])(stamp)
    return copied


def _stamp_key(row: Row) -> Any:
    return 0 if isinstance(row, list) else next(key for key in _STAMPS if key in row)


def value_keys(at: Asked, row: Row) -> list[Any]:
    """Keys of the prices, volumes, rates of `row`."""
    if isinstance(row, list):
        apart = _NOT_VALUES[at.dialect] if at.on == "klines" else (0,)
        return [i for i in range(len(row)) if i not in apart]
    return [key for key in row if key not in (*_STAMPS, *_IDS) and as_number(row[key]) is not None]


def as_number(value: Any) -> float | None:
    """The number that a value or its text is; None for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def venue_id(listing: Mapping[str, Any]) -> str:
    return str(next(listing[key] for key in _IDS if key in listing))
