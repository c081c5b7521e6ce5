"""A venue behind ccxt: Binance USD-M, Bybit linear or OKX swap, live or sandbox. The only place of ccxt and
of retries.

Enters: kind, symbol and interval, UTC. Leaves: frames in the columns of `tables.table(kind)`, as the venue
sent their rows. What is asked and how answers read is the dialect's; here are connections, the rate limit,
and what to do when a request fails.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, TypeVar

import ccxt
import pandas as pd

from xrl.errors import ExchangeError
from xrl.market import dialects, troubles
from xrl.market.dialects.listing import Listing, advice, remark
from xrl.market.dialects.page import Ask, Malformed
from xrl.market.dialects.walk import gathered, walk
from xrl.market.limiter import Limiter
from xrl.market.rows import Rows, to_frame
from xrl.market.tables import Kind

__all__ = ["Exchange", "Listing"]

_log = logging.getLogger(__name__)

_WAITS_S: Final = (0.5, 1.0, 2.0, 4.0)
#: A pause that a venue orders is kept up to this long; a longer one is an error that says when it ends.
_PATIENCE_S: Final = 120.0
#: Spares requests at the edge of what a venue keeps, which age on their way.
_KEPT_MARGIN: Final = pd.Timedelta(hours=1)
_NOTHING: Final = troubles.Failed(None, {}, "", None)
#: Small pages are put together to about this many rows.
_FRAME_ROWS: Final = 1000

T = TypeVar("T")


class Exchange:
    """A client of one venue; worker threads share it. Use as a context manager: it holds connections.

    Args:
        venue: `binance`, `bybit` or `okx`.
        base_url: where its API is instead, e.g. `http://127.0.0.1:4310/planted`; None for the live venue.
        timeout_s: silence after which a request is given up.
        waits_s: seconds before each retry.
        limited: keep to the venue's rate limit; None: the live venue's only.
        clock: our own clock, seconds since 1970.
        key: of an account, for the live venue only; nothing here needs one.
        secret: its secret.
        limiter: the budget of requests; None for one of its own.

    Raises:
        ConfigError: an unknown venue.
    """

    def __init__(
        self,
        venue: str = "binance",
        base_url: str | None = None,
        *,
        timeout_s: float = 20.0,
        waits_s: tuple[float, ...] = _WAITS_S,
        limited: bool | None = None,
        clock: Callable[[], float] = time.time,
        key: str | None = None,
        secret: str | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self.venue = venue
        self._dialect = dialects.dialect(venue)
        self._live = base_url is None
        self._where = f"{self._dialect.TITLE} ({base_url or 'live'})"
        self._waits_s, self._clock = waits_s, clock
        self._limiter = limiter or Limiter()
        settings = {
            "timeout": int(timeout_s * 1000),
            "options": dict(self._dialect.OPTIONS),
            "requests_trust_env": self._live,  # a proxy is for the outside world only
            **({"apiKey": key, "secret": secret} if self._live and key and secret else {}),
        }
        limited = self._live if limited is None else limited
        self._connect: Callable[[], _Line] = lambda: _Line(
            self._dialect.CLIENT, settings, base_url, self._limiter, limited
        )
        self._idle: list[_Line] = []
        self._lines: list[_Line] = []
        self._lock, self._list_lock = threading.Lock(), threading.Lock()
        self._listed: Mapping[str, Listing] | None = None
        self._unlisted: dict[str, Listing | None] = {}

    def __repr__(self) -> str:
        return f"Exchange({self._where})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a thread that waits for its turn meets an ExchangeError."""
        self._limiter.close()
        with self._lock:
            for line in self._lines:
                line.client.close()

    def now(self) -> pd.Timestamp:
        """The earlier of the venue's clock and ours: a bar that either calls open may still change."""
        answered = self._call(lambda line: self._dialect.clock_ms(line.ask(Ask(self._dialect.CLOCK, {}))))
        return pd.Timestamp(min(answered, int(self._clock() * 1000)), unit="ms", tz="UTC")

    def listings(self) -> Mapping[str, Listing]:
        """Every perpetual settled in USDT that the venue lists, by symbol; asked for once.

        Raises:
            ExchangeError: the venue is down or refuses.
        """
        with self._list_lock:
            if self._listed is None:
                self._listed = self._call(self._list)
            return self._listed

    def check_symbols(self, symbols: Iterable[str]) -> dict[str, Listing]:
        """The listing of each symbol; a log line for one that is halted, delisted or new.

        Raises:
            ExchangeError: names every symbol that the venue does not have, and what may have been meant.
        """
        found = {symbol: self._listing(symbol) for symbol in symbols}
        unknown = [symbol for symbol, listing in found.items() if listing is None]
        if unknown:
            others = " or ".join(name for name in dialects.DIALECTS if name != self.venue)
            hints = "; ".join(advice(symbol, self.listings()) for symbol in unknown)
            raise ExchangeError(
                f"{self._where} lists no perpetual {', '.join(unknown)}: {hints}. Correct `--symbols` or "
                f"`market.symbols` in params.yaml, or name another venue in `market.venue` ({others})."
            )
        listed = {symbol: listing for symbol, listing in found.items() if listing is not None}
        now = self.now()
        for listing in listed.values():
            level, text = remark(listing, now)
            if text:
                _log.log(level, "%s at %s", text, self._where)
        return listed

    def offers(self, kind: Kind) -> bool:
        """Whether the venue publishes `kind`."""
        return self._dialect.offers(kind)

    def kept_since(self, kind: Kind) -> pd.Timestamp | None:
        """The oldest moment of `kind` that the venue still answers for; None: all history."""
        kept = self._dialect.kept(kind)
        return None if kept is None else self.now() - kept + _KEPT_MARGIN

    def pages(
        self, kind: Kind, symbol: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> Iterator[pd.DataFrame]:
        """Rows stamped about `[start, end)` in frames of the kind's columns, in time order.

        Repeats, disorder, jitter, holes and rows outside the interval are passed on as sent; what the venue
        sends as null, or never publishes, is NaN; what it no longer keeps is not asked for.

        Raises:
            ExchangeError: the venue does not publish `kind` or does not know `symbol`, is down, refuses, or
                answers something unusable.
        """
        if not self.offers(kind):
            raise ExchangeError(f"{self._where} does not publish {kind}; leave it out or name another venue")
        listing = self._listing(symbol) or self.check_symbols((symbol,))[symbol]
        kept = self.kept_since(kind)

        def fetch(first_ms: int, last_ms: int) -> Rows:
            ask = self._dialect.ask(kind, listing.venue_id, first_ms, last_ms)
            return self._call(lambda line: self._dialect.read(kind, line.ask(ask)))

        since = start if kept is None else max(start, kept)
        pages = walk(fetch, self._dialect.paging(kind), _ms(since), _ms(end))
        return (to_frame(kind, rows) for rows in gathered(pages, _FRAME_ROWS))

    def _listing(self, symbol: str) -> Listing | None:
        """From the list, or from where the venue keeps what it has delisted."""
        listed = self.listings().get(symbol)
        lookup = self._dialect.closed(symbol)
        if listed is not None or lookup is None:
            return listed
        if symbol not in self._unlisted:
            found = self._call(lambda line: lookup.read(line.ask(lookup.ask)))
            self._unlisted[symbol] = next((one for one in found if one.symbol == symbol), None)
        return self._unlisted[symbol]

    def _list(self, line: "_Line") -> Mapping[str, Listing]:
        try:
            entries = [self._dialect.listing(market["info"]) for market in line.markets()]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise Malformed(f"a list of instruments that does not read as one: {error!r}") from error
        found = {one.symbol: one for one in entries if one is not None}
        if not found:
            raise Malformed("a list of instruments without a perpetual settled in USDT")
        return MappingProxyType(found)

    def _call(self, request: Callable[["_Line"], T]) -> T:
        """What `request` reads from an answer; asked again after rate limits, outages and broken answers."""
        waits = iter(self._waits_s)
        while True:
            self._heed_ban()
            with self._line() as line:
                try:
                    return request(line)
                except (ccxt.BaseError, Malformed) as error:
                    cause, failed = error, line.failed(self._dialect.error_code)
            trouble = troubles.judge(failed, self._dialect.LIMITED, self._dialect.BUSY, self._clock())
            said, wait_s = _short(cause), next(waits, None)
            if trouble.remedy in ("refused", "blocked"):
                raise ExchangeError(self._refusal(trouble.remedy == "blocked", said)) from cause
            if trouble.remedy == "pause":
                unnamed_s = 10 * (wait_s or 0.0)
                self._limiter.pause(unnamed_s if trouble.pause_s is None else trouble.pause_s)
                self._heed_ban(said)
            if wait_s is None:
                raise ExchangeError(self._outage(said)) from cause
            _log.warning("%s: %s; asking again", self._where, said)
            self._limiter.rest(wait_s)

    @contextmanager
    def _line(self) -> Iterator["_Line"]:
        """A connection that no other thread has meanwhile."""
        with self._lock:
            line = self._idle.pop() if self._idle else None
            if line is None:
                line = self._connect()
                self._lines.append(line)
        try:
            yield line
        finally:
            with self._lock:
                self._idle.append(line)

    def _heed_ban(self, said: str = "it answered earlier requests so") -> None:
        pause_s = self._limiter.paused_for()
        if pause_s > _PATIENCE_S:
            ends = pd.Timestamp(int(self._clock() + pause_s), unit="s", tz="UTC")
            raise ExchangeError(
                f"{self._where} bans this address for too many requests until {ends:%Y-%m-%d %H:%M:%S} UTC "
                f"({said}). Run the same pull again after that; what is stored stays."
            )

    def _refusal(self, blocked: bool, said: str) -> str:
        if not (blocked and self._live):
            return (
                f"{self._where} refused: {said}. The venue's documentation says what its code means; if "
                "the symbol or the venue is in maintenance, run the same pull again later."
            )
        others = " or ".join(name for name in dialects.DIALECTS if name != self.venue)
        return (
            f"{self._where} does not serve this address: a regional block of the venue, or its firewall "
            f"({said}). Name another venue in `market.venue` ({others}), or run where the venue may be used."
        )

    def _outage(self, said: str) -> str:
        hint = (
            "check the connection and the venue's status page, then run the same pull again"
            if self._live
            else "if the sandbox exchange does not run (`make status`), start it with `make up` or "
            "`xrl sandbox`, or correct XRL_SANDBOX_PORT; `DELETE /_faults` ends faults"
        )
        return f"{self._where} gave no usable answer {len(self._waits_s) + 1} times ({said}); {hint}."


class _Line:
    """One ccxt client with a session of its own. ccxt is not thread-safe: one request at a time."""

    def __init__(
        self, client: str, settings: Mapping[str, Any], base_url: str | None, limiter: Limiter, limited: bool
    ) -> None:
        self.client = getattr(ccxt, client)({**settings, "enableRateLimit": True})
        if base_url is not None:
            api = self.client.urls["api"]
            moved = {name: re.sub(r"^https://[^/]+", lambda _: base_url, url) for name, url in api.items()}
            self.client.urls["api"] = moved
        self._limiter, self._limited, self._spacing_s = limiter, limited, 0.0
        self._answer = _NOTHING
        self.client.throttle = self._throttle
        self.client.on_rest_response = self._note

    def ask(self, ask: Ask) -> object:
        """The answer to one request, decoded.

        Raises:
            ccxt.BaseError: whatever went wrong.
        """
        self._spacing_s = ask.spacing_s
        return getattr(self.client, ask.method)(dict(ask.query))

    def markets(self) -> list[Any]:
        """What the venue lists, as ccxt reads it."""
        self._spacing_s = 0.0
        return list(self.client.fetch_markets())

    def failed(self, error_code: Callable[[object], str | None]) -> troubles.Failed:
        """What came back on the last request, as far as anything did."""
        try:
            code = error_code(json.loads(self._answer.body))
        except ValueError:
            code = None
        return self._answer._replace(code=code)

    def _throttle(self, cost: float | None = None) -> None:
        """Called by ccxt before every request with its own cost of that request, in its own unit."""
        self._answer = _NOTHING
        units = 1.0 if cost is None else float(cost)
        cost_s = max(self.client.rateLimit * units / 1000, self._spacing_s)
        self._limiter.wait(cost_s if self._limited else 0.0)

    def _note(
        self,
        status: int,
        reason: str,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: str,
        *_: object,
    ) -> str:
        """Called by ccxt with every answer before it looks at it; its own errors lack status and headers."""
        self._answer = troubles.Failed(status, headers, body, None)
        return body.strip()


def _ms(time: pd.Timestamp) -> int:
    return int(time.value // 1_000_000)


def _short(error: Exception) -> str:
    """One line of an error; ccxt's hold whole answers, and name a broken connection only in their cause."""
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ is not None else ""
    text = " ".join(str(error).split())
    return f"{text[:300]}{'...' if len(text) > 300 else ''}{cause}"
