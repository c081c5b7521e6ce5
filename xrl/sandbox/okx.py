"""OKX's linear swaps as ccxt's `okx` asks them: newest rows first, amounts in contracts of `ctVal` coins.

Enters: a question. Leaves: JSON in OKX's envelope; errors carry a `code` such as "51001". Source: OKX v5
REST documentation (market data, public data, trading statistics). Where it is silent: a limit above the most
is cut to it. Not played: bars that open by Hong Kong time (`1D`) are refused, so that who forgets `1Dutc`
notices; statistics are kept by the hour alone, the 1,440 newest entries whatever the date.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from xrl import columns as c
from xrl.market import tables
from xrl.market.tables import Kind
from xrl.sandbox import instruments, text
from xrl.sandbox.dialect import Question, Refusal
from xrl.sandbox.instruments import contract_coins, okx_id
from xrl.sandbox.pages import Bars, Pages, Style, Window
from xrl.sandbox.venue import FOREVER_MS, HOUR_MS, Listing, Venue, milliseconds, stamps

MAX_CANDLES: Final = 300
MAX_FUNDING: Final = 400
MAX_STATISTICS: Final = 100
#: `candles` and the statistics of a contract reach back this many entries, `history-candles` to the listing.
KEPT_ENTRIES: Final = 1440
#: "Up to three months."
FUNDING_MS: Final = 92 * 24 * HOUR_MS
#: Where the rate before lies; what is forecast where there is none.
_RATE_BEFORE_MS, _INTEREST = 48 * HOUR_MS, 0.0001
#: Hourly statistics of a currency.
CURRENCY_MS: Final = 30 * 24 * HOUR_MS
_TIMEFRAMES: Final[Mapping[str, Kind]] = {
    "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h", "2H": "2h", "4H": "4h",
    "6Hutc": "6h", "12Hutc": "12h", "1Dutc": "1d",
}  # fmt: skip


class Okx:
    """Answers of one venue's worlds."""

    def __init__(self, venue: Venue) -> None:
        self._venue, self._pages = venue, Pages(venue, Style(_candle_rows, newest_first=True))

    @property
    def paths(self) -> Mapping[str, Callable[[Question], bytes]]:
        return {
            "/api/v5/public/time": lambda question: _envelope(b'{"ts":"%d"}' % question.now_ms),
            "/api/v5/public/instruments": self.instruments,
            "/api/v5/market/candles": self.candles,
            "/api/v5/market/history-candles": self.history_candles,
            "/api/v5/public/funding-rate-history": self.funding_rate,
            "/api/v5/rubik/stat/contracts/open-interest-history": self.open_interest,
            "/api/v5/rubik/stat/contracts/open-interest-volume": self.currency,
            "/api/v5/rubik/stat/taker-volume-contract": self.taker_volume,
        }

    def malformed(self, name: str, question: Question) -> Refusal:
        return _wrong(name)

    def unavailable(self, reason: str, question: Question) -> Refusal:
        return _refusal("51000", f"Parameter bar error. {reason}", 400)

    def instruments(self, question: Question) -> bytes:
        kind, wanted = question.query.get("instType"), question.query.get("instId")
        if not kind:
            raise _empty("instType")
        listed = question.listed(self._venue) if kind == "SWAP" else []
        found = [instruments.okx(one, question.now_ms) for one in listed if wanted in (None, okx_id(one))]
        return _envelope(json.dumps(found)[1:-1].encode())

    def candles(self, question: Question) -> bytes:
        """The 1,440 newest, the open one included."""
        timeframe = self._bar(question)
        step = milliseconds(timeframe)
        oldest = question.now_ms - question.now_ms % step - (KEPT_ENTRIES - 1) * step
        return self._candles(question, timeframe, oldest, question.now_ms)

    def history_candles(self, question: Question) -> bytes:
        """All that are complete."""
        timeframe = self._bar(question)
        return self._candles(question, timeframe, 0, question.now_ms - milliseconds(timeframe))

    def _candles(self, question: Question, timeframe: Kind, first_ms: int, last_ms: int) -> bytes:
        symbol, (after, before) = self._listing(question).symbol, _between(question, "before", "after")
        window = Window(
            max(first_ms, after), min(last_ms, before), _limit(question, 100, MAX_CANDLES), newest=True
        )
        return _envelope(self._pages.page(question.world, symbol, timeframe, window, question.now_ms))

    def funding_rate(self, question: Question) -> bytes:
        """Three months; what was forecast (`fundingRate`: here the rate before) is not what was paid."""
        listing, limit = self._listing(question), _limit(question, MAX_FUNDING, MAX_FUNDING)
        after, before = _between(question, "before", "after")
        first, last = max(after, question.now_ms - FUNDING_MS), min(before, question.now_ms)
        earlier = first - _RATE_BEFORE_MS
        frame = self._venue.series(question.world, listing.symbol, tables.FUNDING, earlier, last + 1)
        frame = frame.assign(forecast=frame[c.FUNDING_RATE].shift(fill_value=_INTEREST))
        kept = stamps(frame[c.TIMESTAMP]) >= first
        newest = frame[kept].tail(limit).iloc[::-1]
        forecast, paid = text.quoted(newest["forecast"], newest[c.FUNDING_RATE])
        rows = text.objects(
            {
                "instType": '"SWAP"',
                "instId": f'"{okx_id(listing)}"',
                "formulaType": '"withRate"',
                "fundingRate": forecast,
                "realizedRate": paid,
                "fundingTime": text.in_quotes(text.integers(stamps(newest[c.TIMESTAMP]))),
                "method": '"current_period"',
            }
        )
        return _envelope(text.joined(rows))

    def open_interest(self, question: Question) -> bytes:
        """[ts, contracts, coins, USD]: the state at the end of the hour that opens at `ts`, whose row follows
        the market until then (a running hour's row is not played)."""
        listing, newest = self._statistics(question, tables.OPEN_INTEREST)
        contracts = newest[c.OPEN_INTEREST] / float(contract_coins(listing))
        return _numbers(newest, contracts.round(8), newest[c.OPEN_INTEREST], newest[c.OPEN_INTEREST_VALUE])

    def taker_volume(self, question: Question) -> bytes:
        """[ts, sold, bought] in the `unit` 0: coins, 1 (default): contracts, 2: USD."""
        listing, newest = self._statistics(question, tables.TAKER_VOLUME)
        unit = question.query.get("unit", "1")
        if unit not in ("0", "1", "2"):
            raise _wrong("unit")
        amounts = newest[[c.TAKER_SELL_VOLUME, c.TAKER_BUY_VOLUME]].to_numpy()
        if unit == "1":
            amounts = (amounts / float(contract_coins(listing))).round(8)
        if unit == "2":
            amounts = (amounts * self._closes(question.world, listing.symbol, newest)[:, None]).round(4)
        return _numbers(newest, amounts[:, 0], amounts[:, 1])

    def currency(self, question: Question) -> bytes:
        """[ts, open interest in USD, volume in USD] of a currency's contracts: here its one swap."""
        listing = self._currency(question)
        self._period(question)
        begin, end = question.integer("begin") or 0, question.integer("end")
        first = max(begin, question.now_ms - CURRENCY_MS)
        last = min(FOREVER_MS if end is None else end, question.now_ms)
        frame = self._venue.series(question.world, listing.symbol, tables.OPEN_INTEREST, first, last + 1)
        newest = frame.iloc[::-1]
        bars = self._venue.bars(question.world, listing.symbol, "1h", first - HOUR_MS, last)
        turnover = bars.set_index(stamps(bars[c.TIMESTAMP]) + HOUR_MS)[c.QUOTE_VOLUME]
        return _numbers(
            newest,
            newest[c.OPEN_INTEREST_VALUE],
            turnover.reindex(stamps(newest[c.TIMESTAMP])).to_numpy(),
        )

    def _statistics(self, question: Question, kind: Kind) -> tuple[Listing, pd.DataFrame]:
        """The contract and the rows, newest first, of an hourly statistic that is asked for and kept."""
        listing = self._listing(question)
        self._period(question)
        limit, (after, before) = _limit(question, 100, MAX_STATISTICS), _between(question, "begin", "end")
        known = question.now_ms - HOUR_MS  # an hour counts when over
        oldest = known - known % HOUR_MS - (KEPT_ENTRIES - 1) * HOUR_MS
        late = HOUR_MS if kind == tables.OPEN_INTEREST else 0  # stamped with its hour's opening, not its end
        first, last = max(after, oldest) + late, min(before, known) + late
        newest = self._venue.series(question.world, listing.symbol, kind, first, last + 1).tail(limit)
        times = (newest[c.TIMESTAMP] - pd.Timedelta(milliseconds=late)).astype(c.TIME_DTYPE)
        return listing, newest.assign(**{c.TIMESTAMP: times}).iloc[::-1]

    def _closes(self, world: str, symbol: str, rows: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Close of the hour of each of `rows`, NaN where there is no such bar."""
        if rows.empty:
            return np.array([])
        times = stamps(rows[c.TIMESTAMP])
        bars = self._venue.bars(world, symbol, "1h", int(times.min()), int(times.max()) + 1)
        closes = bars.set_index(stamps(bars[c.TIMESTAMP]))[c.CLOSE].reindex(times)
        found: np.ndarray[Any, Any] = closes.to_numpy()
        return found

    def _listing(self, question: Question) -> Listing:
        wanted = question.query.get("instId")
        if not wanted:
            raise _empty("instId")
        for one in question.listed(self._venue):
            if okx_id(one) == wanted:
                return one
        raise _refusal("51001", "Instrument ID or Spread ID doesn't exist.", 200)

    def _currency(self, question: Question) -> Listing:
        wanted = question.query.get("ccy")
        if not wanted:
            raise _empty("ccy")
        for one in question.listed(self._venue):
            if one.base == wanted:
                return one
        raise _wrong("ccy")

    def _bar(self, question: Question) -> Kind:
        bar = question.query.get("bar", "1m")
        if bar not in _TIMEFRAMES:
            raise _wrong("bar")
        return _TIMEFRAMES[bar]

    def _period(self, question: Question) -> None:
        if question.query.get("period") != "1H":
            raise _wrong("period")


def _between(question: Question, newer: str, older: str) -> tuple[int, int]:
    """First and last stamp that are newer than the one parameter and older than the other."""
    first, last = question.integer(newer), question.integer(older)
    return (0 if first is None else first + 1), (FOREVER_MS if last is None else last - 1)


def _limit(question: Question, default: int, most: int) -> int:
    limit = question.integer("limit")
    if limit == 0:
        raise _wrong("limit")
    return min(default if limit is None else limit, most)


def _numbers(frame: pd.DataFrame, *values: Any) -> bytes:
    """Rows of quoted numbers behind their stamp."""
    times = text.in_quotes(text.integers(stamps(frame[c.TIMESTAMP])))
    return _envelope(text.joined(text.lists(times, *text.quoted(*values))))


def _envelope(inside: bytes) -> bytes:
    return b'{"code":"0","msg":"","data":[%b]}' % inside


def _refusal(code: str, message: str, status: int) -> Refusal:
    return Refusal({"code": code, "data": [], "msg": message}, status)


def _wrong(name: str) -> Refusal:
    return _refusal("51000", f"Parameter {name} error", 400)


def _empty(name: str) -> Refusal:
    return _refusal("50014", f"Parameter {name} can not be empty.", 400)


def _candle_rows(bars: Bars) -> text.Column:
    frame = bars.frame
    contracts = (frame[c.VOLUME] / float(contract_coins(bars.listing))).round(8)
    prices = (frame[name] for name in c.OHLCV[:4])
    times = text.in_quotes(text.integers(stamps(frame[c.TIMESTAMP])))
    numbers = text.quoted(*prices, contracts, frame[c.VOLUME], frame[c.QUOTE_VOLUME])
    return text.lists(times, *numbers, '"1"' if bars.closed else '"0"')
