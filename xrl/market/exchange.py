"""The venue behind ccxt: Binance USD-M perpetuals, live or sandbox. The only place of ccxt and of retries.

Enters: symbol and interval, UTC. Leaves: frames in columns.CANDLE, FUNDING, OPEN_INTEREST_TABLE of everything
that has closed by the venue's own clock. The raw kline call is used because ccxt's unified candles drop the
taker columns. Paging runs forward: ccxt's own counts back from now and loses old intervals.
"""

import logging
import re
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, cast

import ccxt
import pandas as pd

from xrl import columns as c
from xrl.errors import ExchangeError

_log = logging.getLogger(__name__)

HOUR_MS: Final = 3_600_000
_KLINE_PAGE, _FUNDING_PAGE, _OPEN_INTEREST_PAGE = 1500, 1000, 500
#: The venue keeps open interest for 30 days; the hour spares a request that ages on its way.
_OPEN_INTEREST_KEPT_MS = 30 * 24 * HOUR_MS - HOUR_MS
#: Positions of columns.CANDLE in a raw kline (6 is the close time).
_KLINE_POSITIONS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 10)
_WAITS_S = (0.5, 1.0, 2.0, 4.0)

Rows = list[Any]
Progress = Callable[[int], None]


class Exchange:
    """A client of one venue. Use as a context manager: it holds a connection.

    Args:
        base_url: root under which `/fapi/v1/...` answers, e.g. `http://127.0.0.1:4310/planted`; None for the
            live venue.
        waits_s: seconds before each retry of a request that met a rate limit or an outage.
    """

    def __init__(self, base_url: str | None = None, waits_s: tuple[float, ...] = _WAITS_S) -> None:
        self._where = base_url or "Binance USD-M (live)"
        self._waits_s = waits_s
        self._client = ccxt.binanceusdm({"enableRateLimit": base_url is None, "timeout": 20_000})
        self._client.requests_trust_env = base_url is None  # a proxy is for the outside world only
        if base_url is not None:
            api = self._client.urls["api"]
            self._client.urls["api"] = {k: re.sub(r"^https://[^/]+", base_url, url) for k, url in api.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._client.session is not None:
            self._client.session.close()

    def now(self) -> pd.Timestamp:
        """The venue's clock, UTC."""
        return pd.Timestamp(self._now_ms(), unit="ms", tz="UTC")

    def check_symbols(self, symbols: tuple[str, ...]) -> None:
        """Raise ExchangeError naming every symbol that the venue does not list as a perpetual."""
        self._call(lambda: self._client.load_markets())
        swaps = {market["id"] for market in self._client.markets.values() if market["swap"]}
        unknown = [symbol for symbol in symbols if symbol not in swaps]
        if unknown:
            listed = ", ".join(sorted(swaps)[:12]) + (", ..." if len(swaps) > 12 else "")
            raise ExchangeError(
                f"{self._where} lists no perpetual {', '.join(unknown)}; expected the venue's ids such as "
                f"{listed}. Correct `--symbols` or `market.symbols` in params.yaml."
            )

    def candles(
        self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, progress: Progress | None = None
    ) -> pd.DataFrame:
        """Closed hourly candles with `start <= timestamp < end`, in the venue's order, columns.CANDLE.

        What the venue sends as null is NaN. Duplicates and disorder are left for validation to find.

        Raises:
            ExchangeError: the venue is down, refuses, or answers something unusable.
        """
        now_ms = self._now_ms()
        rows = self._pages(
            lambda since: self._client.fapiPublicGetKlines(
                {"symbol": symbol, "interval": "1h", "startTime": since, "endTime": _ms(end) - 1,
                 "limit": _KLINE_PAGE}
            ),
            lambda row: int(row[0]), _ms(start), _ms(end) - 1, _KLINE_PAGE, progress,
        )  # fmt: skip
        closed = [row for row in rows if int(row[6]) < now_ms]
        values = [[row[i] for i in _KLINE_POSITIONS] for row in closed]
        return _table(values, c.CANDLE)

    def funding(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Rates settled within `[start, end)`, columns.FUNDING, stamped to the minute (the venue's stamps
        jitter by milliseconds).

        Raises:
            ExchangeError: as `candles`.
        """
        rows = self._pages(
            lambda since: self._client.fapiPublicGetFundingRate(
                {"symbol": symbol, "startTime": since, "endTime": _ms(end) - 1, "limit": _FUNDING_PAGE}
            ),
            lambda row: int(row["fundingTime"]), _ms(start), _ms(end) - 1, _FUNDING_PAGE,
        )  # fmt: skip
        frame = _table([[int(row["fundingTime"]), row["fundingRate"]] for row in rows], c.FUNDING)
        rounded = frame[c.TIMESTAMP].dt.round("min").astype(c.TIME_DTYPE)
        return frame.assign(**{c.TIMESTAMP: rounded})

    def open_interest(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Hourly open interest stamped within `[start, end]`, columns.OPEN_INTEREST_TABLE; empty where the
        interval is older than what the venue keeps.

        Raises:
            ExchangeError: as `candles`.
        """
        since, until = max(_ms(start), self._now_ms() - _OPEN_INTEREST_KEPT_MS), _ms(end)
        rows: Rows = []
        if since <= until:
            rows = self._pages(
                lambda first: self._client.fapiDataGetOpenInterestHist(
                    {"symbol": symbol, "period": "1h", "startTime": first,
                     "endTime": min(until, first + _OPEN_INTEREST_PAGE * HOUR_MS - 1),
                     "limit": _OPEN_INTEREST_PAGE}
                ),
                lambda row: int(row["timestamp"]), since, until, _OPEN_INTEREST_PAGE,
            )  # fmt: skip
        values = [[int(r["timestamp"]), r["sumOpenInterest"], r["sumOpenInterestValue"]] for r in rows]
        return _table(values, c.OPEN_INTEREST_TABLE)

    def _now_ms(self) -> int:
        answer = self._call(lambda: self._client.fapiPublicGetTime())
        return int(answer["serverTime"])

    def _pages(
        self,
        fetch: Callable[[int], object],
        stamp: Callable[[Any], int],
        start_ms: int,
        end_ms: int,
        page: int,
        progress: Progress | None = None,
    ) -> Rows:
        """All rows stamped within [start_ms, end_ms], asked for page by page in time order."""
        rows: Rows = []
        since = start_ms
        while since <= end_ms:
            answer = self._call(lambda since=since: fetch(since))  # type: ignore[misc]
            if not isinstance(answer, list):
                raise ExchangeError(f"{self._where} sent {str(answer)[:200]!r} where a list of rows was due")
            rows += answer
            if progress is not None:
                progress(len(answer))
            if len(answer) < page:
                break
            since = max(stamp(row) for row in answer) + 1
        return rows

    def _call(self, request: Callable[[], object]) -> Any:
        """Answer of `request`, retried after rate limits and outages."""
        for wait_s in self._waits_s:
            try:
                return self._attempt(request)
            except ccxt.NetworkError as error:
                pause_s = wait_s * (10 if isinstance(error, ccxt.RateLimitExceeded) else 1)
                _log.warning("%s did not answer (%s); again in %.1f s", self._where, error, pause_s)
                time.sleep(pause_s)
        try:
            return self._attempt(request)
        except ccxt.NetworkError as error:
            raise ExchangeError(self._outage(error)) from error

    def _attempt(self, request: Callable[[], object]) -> object:
        try:
            return request()
        except ccxt.NetworkError:
            raise
        except ccxt.BaseError as error:
            raise ExchangeError(f"{self._where} refused: {error}") from error

    def _outage(self, error: ccxt.NetworkError) -> str:
        hint = (
            "check the connection and the venue's status page, then run the same pull again"
            if self._where.startswith("Binance")
            else "start the sandbox exchange with `make up` or `xrl sandbox`, or correct XRL_SANDBOX_PORT"
        )
        return f"{self._where} did not answer {len(self._waits_s) + 1} times ({error}); {hint}."


def _ms(time: pd.Timestamp) -> int:
    return int(time.timestamp() * 1000)


def _table(rows: Rows, names: tuple[str, ...]) -> pd.DataFrame:
    """Rows whose first value is milliseconds since 1970, as a frame of times and float64."""
    try:
        values = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        times = pd.to_datetime(pd.Series(values.pop(c.TIMESTAMP), dtype="int64"), unit="ms", utc=True)
        numbers = {
            name: pd.Series(column, dtype="object").astype("float64") for name, column in values.items()
        }
    except (IndexError, TypeError, ValueError) as error:
        raise ExchangeError(f"the venue sent rows that do not read as {names}: {error}") from error
    frame = pd.DataFrame({c.TIMESTAMP: times.astype(c.TIME_DTYPE), **numbers})
    return cast(pd.DataFrame, frame[list(names)])
