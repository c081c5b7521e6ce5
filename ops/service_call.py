"""One question to the running service, as a client puts it: candles from the exchange, then POST."""

from datetime import datetime
from typing import Any, NamedTuple

import requests

from ops.errors import ServerError
from xrl.config import Settings

HOUR_MS = 3_600_000
#: Positions in a Binance kline.
KLINE = {"timestamp": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
KLINE_FLOWS = {"quote_volume": 7, "trades": 8, "taker_buy_volume": 9, "taker_buy_quote_volume": 10}


class Answers(NamedTuple):
    """What the service said about one symbol."""

    symbol: str
    bars: int
    prediction: dict[str, Any]
    action: dict[str, Any]
    predict_ms: float
    act_ms: float


def served_version(current: Settings) -> str | None:
    """Number of the version that the service answers from; None before the first one."""
    version = _call("POST", f"{current.service_url}/status", json={}).json()["version"]
    return None if version is None else str(version)


def ask(current: Settings, world: str, symbol: str, as_of: datetime) -> Answers:
    """Predict and act on the newest candles closed by `as_of`.

    Raises:
        ServerError: exchange or service refused, with what they said.
    """
    status = _call("POST", f"{current.service_url}/status", json={}).json()
    needed, base = int(status["required_bars"]), f"{current.sandbox_url}/{world}"
    others = [name for name in status["context"] if name != symbol]
    question = {
        "symbol": symbol,
        "candles": candles(base, symbol, as_of, needed),
        "context": {name: closes(base, name, as_of, status["context_bars"]) for name in others},
    }
    predicted = _call("POST", f"{current.service_url}/predict", json=question)
    acted = _call("POST", f"{current.service_url}/act", json={**question, "account": {}})
    return Answers(
        symbol,
        needed,
        predicted.json(),
        acted.json(),
        predicted.elapsed.total_seconds() * 1e3,
        acted.elapsed.total_seconds() * 1e3,
    )


def candles(base: str, symbol: str, as_of: datetime, bars: int) -> dict[str, list[float | None]]:
    """The newest `bars` candles closed by `as_of` with the funding settled in them, column by column.

    Open interest is left out: the exchange keeps a month of it, and `as_of` may lie further back.
    """
    end = int(as_of.timestamp() * 1000)
    rows = _klines(base, symbol, end - bars * HOUR_MS, end)
    query = {"symbol": symbol, "startTime": end - bars * HOUR_MS, "endTime": end - 1, "limit": 1000}
    settled = _call("GET", f"{base}/fapi/v1/fundingRate", params=query).json()
    rates = {int(item["fundingTime"]) // HOUR_MS * HOUR_MS: float(item["fundingRate"]) for item in settled}
    found: dict[str, list[float | None]] = {
        name: [float(row[position]) for row in rows] for name, position in KLINE.items()
    }
    for name, position in KLINE_FLOWS.items():
        values = [float(row[position]) for row in rows]
        if any(values):  # a venue or file without the column sends zeros
            found[name] = list(values)
    return {**found, "funding_rate": [rates.get(int(row[0])) for row in rows]}


def closes(base: str, symbol: str, as_of: datetime, bars: int) -> dict[str, list[float | None]]:
    """Opens and closes of the newest `bars` candles of another symbol, as a model reads its context."""
    end = int(as_of.timestamp() * 1000)
    rows = _klines(base, symbol, end - bars * HOUR_MS, end)
    return {name: [float(row[KLINE[name]]) for row in rows] for name in ("timestamp", "close")}


def _klines(base: str, symbol: str, first: int, end: int) -> list[list[Any]]:
    """Hourly candles that open in [first, end), milliseconds UTC."""
    rows: list[list[Any]] = []
    while first < end:
        query = {"symbol": symbol, "interval": "1h", "startTime": first, "endTime": end - 1, "limit": 1000}
        page = _call("GET", f"{base}/fapi/v1/klines", params=query).json()
        if not page:
            break
        rows += page
        first = int(page[-1][0]) + HOUR_MS
    return rows


def _call(method: str, url: str, **arguments: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # loopback: never through a proxy
        try:
            answer = session.request(method, url, timeout=30, **arguments)
        except requests.RequestException as error:
            raise ServerError(f"no answer from {url}: {error}. Is it up? `make status`") from error
    if not answer.ok:
        raise ServerError(f"{url} answered {answer.status_code}: {answer.text[:500]}")
    return answer
