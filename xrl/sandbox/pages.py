"""Pages of candles, written once and cut often. Enters: which bars. Leaves: their JSON, row after row.

Writing a row costs a thousand times what copying it costs, and a history is read page by page, by several
symbols, timeframes and tests over and over. So closed bars are written in blocks of BLOCK_ROWS places on the
timeframe's grid, and a page is a few cuts out of blocks. The oldest blocks are dropped beyond `most_bytes`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.market.tables import Kind
from xrl.sandbox.text import Column, cuts
from xrl.sandbox.venue import FOREVER_MS, Listing, Venue, milliseconds, stamps

BLOCK_ROWS: Final = 2048
MOST_BYTES: Final = 64 * 2**20


class Bars(NamedTuple):
    """Bars to be written, columns.CANDLE, in the order in which the venue sends them."""

    frame: pd.DataFrame
    listing: Listing
    step_ms: int
    closed: bool


class Style(NamedTuple):
    """How one venue writes a row (made by `text.rows`), and whether the newest comes first."""

    write: Callable[[Bars], Column]
    newest_first: bool


class Window(NamedTuple):
    """Bars that open within [first_ms, last_ms]; of more than `limit` the newest, or else the oldest."""

    first_ms: int
    last_ms: int
    limit: int
    newest: bool


class _Block(NamedTuple):
    """Written bars: `opens` (n,) ascending, `text` in the venue's order, its n + 1 `cuts`."""

    opens: NDArray[np.int64]
    text: bytes
    cuts: NDArray[np.int32]

    def rows(self, first: int, last: int, newest_first: bool) -> bytes:
        """Text of the rows [first, last) counted from the oldest."""
        if newest_first:
            first, last = len(self.opens) - last, len(self.opens) - first
        return self.text[self.cuts[first] : self.cuts[last]]


class Pages:
    """The written candles of one venue in one style."""

    def __init__(self, venue: Venue, style: Style, most_bytes: int = MOST_BYTES) -> None:
        self._venue, self._style, self._most_bytes = venue, style, most_bytes
        self._blocks: OrderedDict[tuple[str, str, Kind, int], _Block] = OrderedDict()
        self._bytes = 0

    def page(self, world: str, symbol: str, timeframe: Kind, window: Window, now_ms: int) -> bytes:
        """The inside of a JSON list: the bars of `window` that exist at `now_ms`, the open one included.

        Raises:
            ExchangeError: a replay without a file to make such bars of.
        """
        step = milliseconds(timeframe)
        found = [] if not window.newest else self._unclosed(world, symbol, timeframe, window, now_ms)
        count = len(found)
        for block, first, last in self._cuts(world, symbol, timeframe, window, now_ms - step):
            many = max(0, min(last - first, window.limit - count))
            first, last = (last - many, last) if window.newest else (first, first + many)
            found.append(block.rows(first, last, self._style.newest_first))
            count += many
            if count == window.limit:
                break
        if not window.newest and count < window.limit:
            found += self._unclosed(world, symbol, timeframe, window, now_ms)
        ordered = found if window.newest == self._style.newest_first else reversed(found)
        return b"".join(ordered)[1:]

    def _cuts(
        self, world: str, symbol: str, timeframe: Kind, window: Window, last_ms: int
    ) -> Iterator[tuple[_Block, int, int]]:
        """Blocks with their part that opens within the window and by `last_ms`, nearest to its counted end
        first."""
        listing = self._venue.listing(world, symbol)
        wide = milliseconds(timeframe) * BLOCK_ROWS
        first_ms = max(window.first_ms, listing.listed_ms)
        last_ms = min(window.last_ms, last_ms, listing.ends_ms or FOREVER_MS)
        numbers = range(first_ms // wide, last_ms // wide + 1)
        for number in reversed(numbers) if window.newest else numbers:
            block = self._block(world, symbol, timeframe, number)
            first, last = np.searchsorted(block.opens, [first_ms, last_ms + 1])
            yield block, int(first), int(last)

    def _block(self, world: str, symbol: str, timeframe: Kind, number: int) -> _Block:
        key = (world, symbol, timeframe, number)
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        wide = milliseconds(timeframe) * BLOCK_ROWS
        frame = self._venue.bars(world, symbol, timeframe, number * wide, (number + 1) * wide)
        block = self._written(frame, world, symbol, timeframe, closed=True)
        self._blocks[key] = block
        self._bytes += len(block.text)
        while self._bytes > self._most_bytes and len(self._blocks) > 1:
            self._bytes -= len(self._blocks.popitem(last=False)[1].text)
        return block

    def _unclosed(self, world: str, symbol: str, timeframe: Kind, window: Window, now_ms: int) -> list[bytes]:
        """The bar that is open now, where it lies in the window: none or one."""
        open_ms = now_ms - now_ms % milliseconds(timeframe)
        if not window.first_ms <= open_ms <= window.last_ms:
            return []
        frame = self._venue.unclosed(world, symbol, timeframe, now_ms)
        return [self._written(frame, world, symbol, timeframe, closed=False).text] if len(frame) else []

    def _written(
        self, frame: pd.DataFrame, world: str, symbol: str, timeframe: Kind, *, closed: bool
    ) -> _Block:
        sent = frame.iloc[::-1] if self._style.newest_first else frame
        bars = Bars(sent, self._venue.listing(world, symbol), milliseconds(timeframe), closed)
        return _Block(stamps(frame[c.TIMESTAMP]), *cuts(self._style.write(bars)))
