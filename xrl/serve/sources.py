"""Context that a model cannot do without: a source that was there on every bar it was trained on.

Enters: the columns a bundle's models read; then the features built from a request. Leaves: nothing, or a
RequestError that names the missing column. Where a source was sometimes absent in training, the models read
its availability flag and may be asked without it; where it never was, the flag was left out as constant, and
an absent source would pass for one that stands at 0.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import RequestError
from xrl.features import coverage, table
from xrl.serve.candles import Window, at_time

_COLUMN: Final = {
    "taker": columns.TAKER_BUY_VOLUME,
    "funding": columns.FUNDING_RATE,
    "open_interest": columns.OPEN_INTEREST,
}
_REMEDY: Final = {
    "taker": "send the exchange's taker buy base volume of every candle",
    "funding": "send every settlement in the candle it fell into, null in the others",
    "open_interest": "send the open interest known at the close of every candle",
}
#: Bars after the last settlement; exchanges settle at least every 8 hours.
_FUNDING_AGE: Final = 24


class Source(NamedTuple):
    """A source that a request must bring."""

    name: str  # of `coverage.FLAGS`
    flag: int  # position of its flag in the table of features
    rows: int  # newest bars on which it must be known


def needed(inputs: Collection[str], window_bars: int) -> tuple[Source, ...]:
    """The sources behind `inputs`, the columns read, whose absence no input would tell."""
    found = []
    for name, flag in coverage.FLAGS.items():
        windows = [table.feature(column).window for column in inputs if table.feature(column).source == name]
        if windows and flag not in inputs:
            found.append(Source(name, int(table.positions([flag])[0]), window_bars - 1 + max(windows)))
    return tuple(found)


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
                f"`{_COLUMN[source.name]}` is missing: this model was trained with it on every candle, and "
                f"it is unknown in {len(unknown)} of the newest {rows}, first at {first}; "
                f"{_REMEDY[source.name]}"
            )


def _overdue(rates: NDArray[np.float64]) -> NDArray[np.intp]:
    """All positions of the newest `rates` if none was settled in them, else none."""
    return np.flatnonzero(np.isnan(rates).all() & np.isnan(rates))
