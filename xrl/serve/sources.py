"""Context that a model cannot do without: a source that was there on every bar it was trained on.

Enters: the columns a bundle's models read; then the features built from a request. Leaves: nothing, or a
RequestError that names the missing column. Where a source was sometimes absent in training, the models read
its availability flag and may be asked without it; where it never was, the flag was left out as constant, and
an absent source would pass for one that stands at 0.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.config import ContextParams
from xrl.errors import RequestError
from xrl.features import coverage, table
from xrl.features.feature import Feature
from xrl.serve.candles import Window, at_time

_COLUMN: Final = {
    "taker": columns.TAKER_BUY_VOLUME,
    "funding": columns.FUNDING_RATE,
    "open_interest": columns.OPEN_INTEREST,
    "lead": "context",
    "market": "context",
}
_REMEDY: Final = {
    "taker": "send the exchange's taker buy base volume of every candle",
    "funding": "send every settlement in the candle it fell into, null in the others",
    "open_interest": "send the open interest known at the close of every candle",
    "lead": "send the candles of every symbol that `status` names, up to the same newest one",
    "market": "send the candles of every symbol that `status` names, up to the same newest one",
}
#: Sources that a request brings as candles of other symbols.
_CONTEXT: Final = ("lead", "market")
#: Bars after the last settlement; exchanges settle at least every 8 hours.
_FUNDING_AGE: Final = 24


class Source(NamedTuple):
    """A source that a request must bring."""

    name: str  # of `coverage.flags`
    flag: int  # position of its flag in the table of features
    rows: int  # newest bars on which it must be known
    column: str  # what to send
    remedy: str


class Others(NamedTuple):
    """Other symbols whose candles a request must bring."""

    symbols: tuple[str, ...]
    bars: int  # newest candles of each


def needed(
    inputs: Collection[str], window_bars: int, features: Sequence[Feature] = table.FEATURES
) -> tuple[Source, ...]:
    """The sources behind `inputs`, the columns read, whose absence no input would tell."""
    found = []
    for name, flag in coverage.flags(features).items():
        read = [feature for feature in features if feature.name in inputs and feature.source == name]
        if not read or flag in inputs:
            continue
        # The flag of another symbol's bar speaks for all the bars behind its columns.
        reach = 1 if name in _CONTEXT else max(feature.window for feature in read)
        column = _COLUMN.get(name, ", ".join(set(read[0].inputs) - set(columns.OHLCV)))
        remedy = _REMEDY.get(name, "send it for every candle")
        position = int(table.positions([flag], features)[0])
        found.append(Source(name, position, window_bars - 1 + reach, column, remedy))
    return tuple(found)


def others(
    inputs: Collection[str],
    window_bars: int,
    params: ContextParams,
    features: Sequence[Feature] = table.FEATURES,
) -> Others:
    """Symbols behind `inputs`, the columns read; the lead counts only if a lead's column is read."""
    read = [f for f in features if f.name in inputs and f.source in _CONTEXT]
    names = {feature.source for feature in read}
    lead = (params.lead,) if params.lead and "lead" in names else ()
    symbols = tuple(dict.fromkeys((*lead, *(params.market if "market" in names else ()))))
    return Others(symbols, window_bars - 1 + max((f.window for f in read), default=0) if symbols else 0)


def check(built: NDArray[np.float64], window: Window, sources: tuple[Source, ...]) -> None:
    """Refuse what would otherwise be answered as if an absent source stood at 0.

    Args:
        built: (bars, len(FEATURES)) features of `window`.
        window: the request's candles.
        sources: that must be known.

    Raises:
        RequestError: one is missing; its column and what to send are named.
    """
    for source in sources:
        unknown = np.flatnonzero(built[-source.rows :, source.flag] == 0.0)
        if not len(unknown) and source.name == "funding":
            unknown = _overdue(window.bars[columns.FUNDING_RATE][-_FUNDING_AGE:])
        if len(unknown):
            rows = min(source.rows, len(built))
            first = at_time(window.timestamp[len(built) - rows + unknown[0]])
            raise RequestError(
                f"`{source.column}` is missing: this model was trained with it on every candle, and "
                f"it is unknown in {len(unknown)} of the newest {rows}, first at {first}; {source.remedy}"
            )


def _overdue(rates: NDArray[np.float64]) -> NDArray[np.intp]:
    """All positions of the newest `rates` if none was settled in them, else none."""
    return np.flatnonzero(np.isnan(rates).all() & np.isnan(rates))
