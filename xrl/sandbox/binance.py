"""Binance USD-M futures as ccxt's `binanceusdm` asks it: oldest rows first, volumes in coins.

Enters: a question. Leaves: JSON. Source: Binance USD-M futures REST documentation. Where it is silent:
statistics of a window with more rows than `limit` are the newest of it, the worse case for who reads forward;
a period other than one hour is not kept here.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from xrl import columns as c
from xrl.market import tables
from xrl.market.tables import Kind
from xrl.sandbox import instruments, text
from xrl.sandbox.dialect import Question, Refusal
from xrl.sandbox.pages import Bars, Pages, Style, Window
from xrl.sandbox.venue import FOREVER_MS, HOUR_MS, Venue, stamps

MAX_KLINES: Final = 1500
MAX_FUNDING: Final = 1000
MAX_STATISTICS: Final = 500
#: The venue keeps open interest and taker volume for 30 days.
STATISTICS_MS: Final = 30 * 24 * HOUR_MS
_QUOTED: Final = (*c.OHLCV, c.QUOTE_VOLUME, c.TAKER_BUY_VOLUME, c.TAKER_BUY_QUOTE_VOLUME)


class Binance:
    """Answers of one venue's worlds."""

    def __init__(self, venue: Venue) -> None:
        self._venue, self._pages = venue, Pages(venue, Style(_kline_rows, newest_first=False))

    @property
    def paths(self) -> Mapping[str, Callable[[Question], bytes]]:
        return {
            "/fapi/v1/ping": lambda question: b"{}",
            "/fapi/v1/time": lambda question: b'{"serverTime":%d}' % question.now_ms,
            "/fapi/v1/exchangeInfo": self.exchange_info,
            "/fapi/v1/klines": self.klines,
            "/fapi/v1/fundingRate": self.funding_rate,
            "/futures/data/openInterestHist": self.open_interest,
            "/futures/data/takerlongshortRatio": self.taker_volume,
        }

    def malformed(self, name: str, question: Question) -> Refusal:
        return _refusal(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
        )

    def unavailable(self, reason: str, question: Question) -> Refusal:
        return _refusal(-1120, f"Invalid interval. {reason}")

    def exchange_info(self, question: Question) -> bytes:
        info = {
            "timezone": "UTC",
            "serverTime": question.now_ms,
            "futuresType": "U_MARGINED",
            "rateLimits": [],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": [instruments.binance(one, question.now_ms) for one in question.listed(self._venue)],
        }
        return json.dumps(info).encode()

    def klines(self, question: Question) -> bytes:
        symbol = self._symbol(question)
        timeframe = question.query.get("interval", "")
        if timeframe not in tables.TIMEFRAMES:
            raise _refusal(-1120, "Invalid interval.")
        start, end, limit = _window(question, 500, MAX_KLINES)
        window = Window(start or 0, end, limit, newest=start is None)
        return b"[%b]" % self._pages.page(question.world, symbol, timeframe, window, question.now_ms)

    def funding_rate(self, question: Question) -> bytes:
        symbol = self._symbol(question)
        start, end, limit = _window(question, 100, MAX_FUNDING)
        frame = self._venue.series(
            question.world, symbol, tables.FUNDING, (start or 0) - HOUR_MS, min(end, question.now_ms) + 1
        )
        times = stamps(frame[c.TIMESTAMP])
        sent = times + times // HOUR_MS % 11  # settlements are stamped some milliseconds late
        inside = np.flatnonzero((sent >= (start or 0)) & (sent <= min(end, question.now_ms)))
        inside = inside[-limit:] if start is None else inside[:limit]
        if not len(inside):
            return b"[]"
        times, rates = times[inside], frame[c.FUNDING_RATE].to_numpy()[inside]
        rate, price = text.quoted(rates, self._opens(question.world, symbol, times))
        named = {"symbol": f'"{symbol}"', "fundingTime": text.integers(sent[inside])}
        return _list(text.objects({**named, "fundingRate": rate, "markPrice": price}))

    def open_interest(self, question: Question) -> bytes:
        symbol, frame = self._statistics(question, tables.OPEN_INTEREST)
        amount, value = text.quoted(frame[c.OPEN_INTEREST], frame[c.OPEN_INTEREST_VALUE])
        found = {"symbol": f'"{symbol}"', "sumOpenInterest": amount, "sumOpenInterestValue": value}
        return _list(text.objects({**found, "timestamp": text.integers(stamps(frame[c.TIMESTAMP]))}))

    def taker_volume(self, question: Question) -> bytes:
        _, frame = self._statistics(question, tables.TAKER_VOLUME)
        bought, sold = frame[c.TAKER_BUY_VOLUME].to_numpy(), frame[c.TAKER_SELL_VOLUME].to_numpy()
        ratio = np.divide(bought, sold, out=np.full(len(frame), np.nan), where=sold > 0).round(4)
        found = dict(zip(("buySellRatio", "buyVol", "sellVol"), text.quoted(ratio, bought, sold)))
        return _list(text.objects({**found, "timestamp": text.integers(stamps(frame[c.TIMESTAMP]))}))

    def _statistics(self, question: Question, kind: Kind) -> tuple[str, Any]:
        """The symbol and the rows of an hourly statistic that the question asks for and the venue keeps."""
        symbol = self._symbol(question)
        if question.query.get("period") != "1h":
            raise _refusal(-1130, "Data sent for parameter 'period' is not valid.")
        start, end, limit = _window(question, 30, MAX_STATISTICS)
        oldest = question.now_ms - STATISTICS_MS
        if start is not None and start < oldest:
            raise _refusal(-1130, "parameter 'startTime' is invalid.")
        known = question.now_ms - (HOUR_MS if kind == tables.TAKER_VOLUME else 0)  # an hour counts when over
        frame = self._venue.series(question.world, symbol, kind, max(start or 0, oldest), min(end, known) + 1)
        return symbol, frame.tail(limit)

    def _opens(self, world: str, symbol: str, times: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Price at each of `times`: the open of its hour, NaN where there is no such bar."""
        hours = self._venue.bars(world, symbol, "1h", int(times[0]) - HOUR_MS, int(times[-1]) + 1)
        price = hours.set_index(stamps(hours[c.TIMESTAMP]))[c.OPEN]
        found: np.ndarray[Any, Any] = price.reindex(times - times % HOUR_MS).to_numpy()
        return found

    def _symbol(self, question: Question) -> str:
        symbol = question.query.get("symbol")
        if not symbol:
            raise _refusal(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol not in {one.symbol for one in question.listed(self._venue)}:
            raise _refusal(-1121, "Invalid symbol.")
        return symbol


def _window(question: Question, default: int, most: int) -> tuple[int | None, int, int]:
    """`startTime` or None, `endTime` or the end of time, `limit`."""
    start, end = question.integer("startTime"), question.integer("endTime")
    limit = question.integer("limit")
    if limit is not None and not 1 <= limit <= most:
        raise _refusal(-1130, "Data sent for parameter 'limit' is not valid.")
    if start is not None and end is not None and start > end:
        raise _refusal(-1023, "Start time is greater than end time.")
    return start, FOREVER_MS if end is None else end, default if limit is None else limit


def _refusal(code: int, message: str, status: int = 400) -> Refusal:
    return Refusal({"code": code, "msg": message}, status)


def _list(rows: text.Column) -> bytes:
    return b"[%b]" % text.joined(rows)


def _kline_rows(bars: Bars) -> text.Column:
    frame = bars.frame
    opens = stamps(frame[c.TIMESTAMP])
    *prices, quote, taker, taker_quote = text.quoted(*(frame[name] for name in _QUOTED))
    closes, trades = text.integers(opens + bars.step_ms - 1), text.integers(frame[c.TRADES])
    return text.lists(text.integers(opens), *prices, closes, quote, trades, taker, taker_quote, '"0"')
