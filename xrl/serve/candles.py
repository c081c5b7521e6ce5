"""Candles as a client sends them: checked before anything is computed from them.

Enters: a symbol and its candles column by column, as JSON brings them. Leaves: `Window`, the newest bars that
the models need as float64 arrays. Every refusal is a RequestError that says what to fix. Column by column is
the one format: it names every number, and 440 bars parse a tenth faster than as a list of rows.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import RequestError
from xrl.features.context import Peer

Candles = Mapping[str, Sequence[float | None]]

REQUIRED: Final = (columns.TIMESTAMP, *columns.OHLCV)
OPTIONAL: Final = tuple(name for name in columns.BAR if name not in REQUIRED)
#: Optional columns that may be below zero.
_SIGNED: Final = (columns.FUNDING_RATE,)
_PRICES: Final = (columns.OPEN, columns.HIGH, columns.LOW, columns.CLOSE)


#: Of another symbol the close is all that is read.
CONTEXT_REQUIRED: Final = (columns.TIMESTAMP, columns.CLOSE)


class Needs(NamedTuple):
    """What a bundle asks of a request."""

    symbols: tuple[str, ...]
    bars: int
    bar_ms: int
    context: tuple[str, ...] = ()  # symbols whose candles come beside those of the one asked for
    context_bars: int = 0  # newest candles of each
    told: str = "required_bars"  # key of `status` that tells `bars`


class Window(NamedTuple):
    """Consecutive closed bars of one symbol, oldest first."""

    symbol: str
    timestamp: NDArray[np.int64]  # (n,) opens, milliseconds since 1970 UTC
    bars: dict[str, NDArray[np.float64]]  # columns.BAR without the timestamp, each (n,); NaN where unknown
    context: Mapping[str, Peer] = MappingProxyType({})  # closes of other symbols, up to the same newest bar

    @property
    def close(self) -> float:
        """Newest close, quote currency."""
        return float(self.bars[columns.CLOSE][-1])


def read_candles(
    symbol: str, candles: Candles, needs: Needs, context: Mapping[str, Candles] = MappingProxyType({})
) -> Window:
    """Check a request's candles and keep the newest `needs.bars`.

    Args:
        symbol: e.g. `BTCUSDT`.
        candles: arrays of one length: `timestamp` (opens, milliseconds), `open`, `high`, `low`, `close`,
            `volume` and, where known, the optional columns of `columns.BAR` with null where unknown.
        needs: of the bundle that is to answer.
        context: candles of other symbols, `timestamp` and `close` at least; those that `needs` does not name
            are not read.

    Raises:
        RequestError: what is wrong, where first, and what to send instead.
    """
    if symbol not in needs.symbols:
        raise RequestError(f"unknown symbol {symbol!r}: this model was trained on {', '.join(needs.symbols)}")
    _check_names(candles, REQUIRED)
    keep = _spare(candles, needs.bars, needs.told)
    timestamp = _times(candles[columns.TIMESTAMP], needs)[keep:]
    bars = {
        name: _column(name, candles[name][keep:], timestamp)
        if name in candles
        else np.full(needs.bars, np.nan)
        for name in (*columns.OHLCV, *OPTIONAL)
    }
    _check_order(bars, timestamp)
    peers = _read_context(symbol, context, needs, timestamp[-1:])
    return Window(symbol, timestamp, bars, peers)


def _read_context(
    symbol: str, context: Mapping[str, Candles], needs: Needs, newest: NDArray[np.int64]
) -> dict[str, Peer]:
    """The newest closes of every other symbol that is needed."""
    others = [name for name in needs.context if name != symbol]
    missing = [name for name in others if name not in context]
    if missing:
        raise RequestError(
            f"`context` lacks {', '.join(missing)}: this model reads them beside {symbol}; send for each the "
            f"newest {needs.context_bars} candles, `timestamp` and `close` at least"
        )
    found = {}
    for name in others:
        try:
            found[name] = _read_peer(context[name], needs, newest)
        except RequestError as error:
            raise RequestError(f"`context.{name}`: {error}") from error
    return found


def _read_peer(candles: Candles, needs: Needs, newest: NDArray[np.int64]) -> Peer:
    _check_names(candles, CONTEXT_REQUIRED)
    keep = _spare(candles, needs.context_bars, "context_bars")
    timestamp = _times(candles[columns.TIMESTAMP], needs)[keep:]
    if timestamp[-1] != newest[0]:
        raise RequestError(
            f"its newest candle opens at {at_time(timestamp[-1])}, that of the symbol asked for at "
            f"{at_time(newest[0])}; send both up to the same one"
        )
    close = _column(columns.CLOSE, candles[columns.CLOSE][keep:], timestamp)
    return Peer(timestamp.astype("datetime64[ms]"), close)


def _check_names(candles: Candles, required: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in candles]
    if missing:
        raise RequestError(
            f"`candles` lacks {', '.join(missing)}; send one array for each of {', '.join(required)}"
        )
    unknown = [name for name in candles if name not in columns.BAR]
    if unknown:
        others = [name for name in columns.BAR if name not in required]
        raise RequestError(
            f"`candles` has unknown arrays {', '.join(unknown)}; "
            f"besides {', '.join(required)} it may have {', '.join(others)}"
        )


def _spare(candles: Candles, needed: int, told: str) -> int:
    """How many candles come before the `needed` newest."""
    length = len(candles[columns.TIMESTAMP])
    for name, values in candles.items():
        if len(values) != length:
            raise RequestError(
                f"`{name}` has {len(values)} values, `timestamp` has {length}; send one value per candle"
            )
    if length < needed:
        raise RequestError(
            f"history too short: {needed} candles are needed, received {length}; "
            f"send the newest closed candles (`status` tells `{told}`)"
        )
    return length - needed


def _times(values: Sequence[float | None], needs: Needs) -> NDArray[np.int64]:
    """Opens in milliseconds, exactly one bar apart and on the timeframe's grid."""
    times = np.array(values, dtype=np.float64)
    if not np.isfinite(times).all() or (times != np.floor(times)).any() or (np.abs(times) > 2**53).any():
        raise RequestError("`timestamp` must hold whole milliseconds since 1970 UTC, without null")
    timestamp = times.astype(np.int64)
    off_grid = np.flatnonzero(timestamp % needs.bar_ms)
    if len(off_grid):
        raise RequestError(
            f"candle {off_grid[0]} opens at {at_time(timestamp[off_grid[0]])}, which is no opening time of "
            f"this timeframe ({needs.bar_ms} ms); send opens in milliseconds"
        )
    steps = np.diff(timestamp)
    wrong = np.flatnonzero(steps != needs.bar_ms)
    if len(wrong):
        before, after = timestamp[wrong[0]], timestamp[wrong[0] + 1]
        if after <= before:
            kind = "repeated" if after == before else "unsorted"
            raise RequestError(
                f"candles are {kind}: {at_time(after)} follows {at_time(before)}; "
                "send each candle once, oldest first"
            )
        missing = int((after - before) // needs.bar_ms) - 1
        raise RequestError(
            f"{missing} candles are missing after {at_time(before)}; send consecutive candles without a gap"
        )
    return timestamp


def _column(name: str, values: Sequence[float | None], timestamp: NDArray[np.int64]) -> NDArray[np.float64]:
    column = np.array(values, dtype=np.float64)  # null becomes NaN
    unknown = np.isnan(column)
    if name in OPTIONAL:
        _refuse(name, np.isinf(column), timestamp, "is infinite", "send a number, or null where unknown")
    else:
        remedy = "send a number for every candle"
        _refuse(name, ~np.isfinite(column), timestamp, "is no finite number", remedy)
    if name in _PRICES:
        _refuse(name, column <= 0, timestamp, "is not above zero", "send prices in quote currency")
    elif name not in _SIGNED:
        _refuse(name, ~unknown & (column < 0), timestamp, "is negative", "send what was traded, zero or more")
    return column


def _check_order(bars: dict[str, NDArray[np.float64]], timestamp: NDArray[np.int64]) -> None:
    open_, high, low, close = (bars[name] for name in _PRICES)
    what = "send candles with low <= open, close <= high"
    _refuse("high", high < np.maximum(open_, close), timestamp, "is below open or close", what)
    _refuse("low", low > np.minimum(open_, close), timestamp, "is above open or close", what)


def _refuse(
    name: str, is_bad: NDArray[np.bool_], timestamp: NDArray[np.int64], found: str, remedy: str
) -> None:
    if is_bad.any():
        count, first = int(is_bad.sum()), timestamp[int(is_bad.argmax())]
        raise RequestError(f"`{name}` {found} in {count} candles, first at {at_time(first)}; {remedy}")


def at_time(milliseconds: np.int64) -> str:
    """A bar's open as people write it."""
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms"
