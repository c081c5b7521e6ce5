"""Bybit's linear perpetuals as ccxt's `bybit` asks them: newest rows first, volumes in coins, no taker
volume.

Enters: a question. Leaves: JSON in Bybit's envelope; errors come with status 200 and a `retCode`. Source:
Bybit v5 REST documentation (market). Where it is silent: of a window with more candles than `limit`, both
ends given, the newest are sent; a limit above the most is cut to it; open interest is kept by the hour alone.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

from xrl import columns as c
from xrl.market import tables
from xrl.market.tables import Kind
from xrl.sandbox import instruments, text
from xrl.sandbox.dialect import Question, Refusal
from xrl.sandbox.pages import Bars, Pages, Style, Window
from xrl.sandbox.venue import FOREVER_MS, Venue, stamps

MAX_KLINES: Final = 1000
MAX_FUNDING: Final = 200
MAX_OPEN_INTEREST: Final = 200
MAX_INSTRUMENTS: Final = 1000
_TIMEFRAMES: Final[Mapping[str, Kind]] = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "240": "4h",
    "360": "6h", "720": "12h", "D": "1d",
}  # fmt: skip


class Bybit:
    """Answers of one venue's worlds."""

    def __init__(self, venue: Venue) -> None:
        self._venue, self._pages = venue, Pages(venue, Style(_kline_rows, newest_first=True))

    @property
    def paths(self) -> Mapping[str, Callable[[Question], bytes]]:
        return {
            "/v5/market/time": self.time,
            "/v5/market/instruments-info": self.instruments,
            "/v5/market/kline": self.klines,
            "/v5/market/funding/history": self.funding_rate,
            "/v5/market/open-interest": self.open_interest,
        }

    def malformed(self, name: str, question: Question) -> Refusal:
        return _refusal(f"params error: {name} invalid", question)

    def unavailable(self, reason: str, question: Question) -> Refusal:
        return _refusal(f"Invalid period! {reason}", question)

    def time(self, question: Question) -> bytes:
        now = question.now_ms
        return _envelope(b'"timeSecond":"%d","timeNano":"%d"' % (now // 1000, now * 1_000_000), question)

    def instruments(self, question: Question) -> bytes:
        """By default those that are not closed; `status=Closed` asks for the delisted ones."""
        self._category(question)
        wanted, symbol = question.query.get("status"), question.query.get("symbol")
        entries = [instruments.bybit(one, question.now_ms) for one in question.listed(self._venue)]
        found = [
            entry
            for entry in entries
            if symbol in (None, entry["symbol"])
            and (entry["status"] == wanted if wanted else entry["status"] != "Closed")
        ]
        first, limit = question.integer("cursor") or 0, _limit(question, 500, MAX_INSTRUMENTS)
        cursor = str(first + limit) if first + limit < len(found) else ""
        rows = json.dumps(found[first : first + limit]).encode()
        return _envelope(
            b'"category":"linear","list":%b,"nextPageCursor":"%b"' % (rows, cursor.encode()), question
        )

    def klines(self, question: Question) -> bytes:
        symbol = self._symbol(question)
        timeframe = _TIMEFRAMES.get(question.query.get("interval", ""))
        if timeframe is None:
            raise _refusal("Invalid period!", question)
        start, end = question.integer("start"), question.integer("end")
        window = Window(
            start or 0,
            FOREVER_MS if end is None else end,
            _limit(question, 200, MAX_KLINES),
            newest=start is None or end is not None,
        )
        rows = self._pages.page(question.world, symbol, timeframe, window, question.now_ms)
        named = b'"symbol":"%b","category":"linear"' % symbol.encode()
        return _envelope(b'%b,"list":[%b]' % (named, rows), question)

    def funding_rate(self, question: Question) -> bytes:
        symbol = self._symbol(question)
        start, end = question.integer("startTime"), question.integer("endTime")
        if start is not None and end is None:
            raise _refusal("params error: startTime needs endTime", question)
        limit = _limit(question, MAX_FUNDING, MAX_FUNDING)
        last = min(FOREVER_MS if end is None else end, question.now_ms)
        frame = self._venue.series(question.world, symbol, tables.FUNDING, start or 0, last + 1)
        newest = frame.tail(limit).iloc[::-1]
        (rate,) = text.quoted(newest[c.FUNDING_RATE])
        when = text.in_quotes(text.integers(stamps(newest[c.TIMESTAMP])))
        rows = text.objects({"symbol": f'"{symbol}"', "fundingRate": rate, "fundingRateTimestamp": when})
        return _envelope(b'"category":"linear","list":[%b]' % text.joined(rows), question)

    def open_interest(self, question: Question) -> bytes:
        """The newest of the window; `nextPageCursor` leads to the older ones."""
        symbol = self._symbol(question)
        if question.query.get("intervalTime") != "1h":
            raise _refusal("params error: intervalTime invalid", question)
        start, end, cursor = (question.integer(name) for name in ("startTime", "endTime", "cursor"))
        limit = _limit(question, 50, MAX_OPEN_INTEREST)
        last = min(FOREVER_MS if end is None else end, question.now_ms)
        until = last + 1 if cursor is None else min(cursor, last + 1)
        frame = self._venue.series(question.world, symbol, tables.OPEN_INTEREST, start or 0, until)
        newest = frame.tail(limit).iloc[::-1]
        times = stamps(newest[c.TIMESTAMP])
        (amount,) = text.quoted(newest[c.OPEN_INTEREST])
        rows = text.objects({"openInterest": amount, "timestamp": text.in_quotes(text.integers(times))})
        more = str(times[-1]) if len(frame) > limit else ""
        named = b'"symbol":"%b","category":"linear"' % symbol.encode()
        inside = b'%b,"list":[%b],"nextPageCursor":"%b"' % (named, text.joined(rows), more.encode())
        return _envelope(inside, question)

    def _category(self, question: Question) -> None:
        if question.query.get("category", "linear") != "linear":
            raise _refusal("params error: Category is invalid", question)

    def _symbol(self, question: Question) -> str:
        self._category(question)
        symbol = question.query.get("symbol", "")
        if symbol not in {one.symbol for one in question.listed(self._venue)}:
            raise _refusal("params error: symbol invalid", question)
        return symbol


def _limit(question: Question, default: int, most: int) -> int:
    limit = question.integer("limit")
    if limit == 0:
        raise _refusal("params error: limit invalid", question)
    return min(default if limit is None else limit, most)


def _envelope(inside: bytes, question: Question) -> bytes:
    return b'{"retCode":0,"retMsg":"OK","result":{%b},"retExtInfo":{},"time":%d}' % (inside, question.now_ms)


def _refusal(message: str, question: Question) -> Refusal:
    return Refusal(
        {"retCode": 10001, "retMsg": message, "result": {}, "retExtInfo": {}, "time": question.now_ms}
    )


def _kline_rows(bars: Bars) -> text.Column:
    opens = text.in_quotes(text.integers(stamps(bars.frame[c.TIMESTAMP])))
    return text.lists(opens, *text.quoted(*(bars.frame[name] for name in (*c.OHLCV, c.QUOTE_VOLUME))))
