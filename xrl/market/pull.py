"""One symbol's pull: what is missing in the store is fetched, validated, then stored. Safe to repeat or kill.

Enters: a venue, a store, an interval. Leaves: funding, open interest and candles in the store. Candles are
written last: their presence says that the rest of their interval is there too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from xrl import columns as c
from xrl.market.exchange import Exchange
from xrl.market.store import Kind, Store

HOUR: Final = pd.Timedelta(hours=1)


class Pulled(NamedTuple):
    """New rows of each kind, and the hours asked for that the venue did not have."""

    candles: int
    funding: int
    open_interest: int
    absent: int


def missing_spans(
    stored: pd.Series, start: pd.Timestamp, end: pd.Timestamp
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Spans `[first, last)` of whole hours within `[start, end)` without a stored candle, in time order.

    Args:
        stored: timestamps of stored candles, any order.
        start: on the hour, UTC.
        end: exclusive, on the hour, UTC.
    """
    hours = pd.date_range(start, end, freq=HOUR, inclusive="left")
    absent = hours[~hours.isin(pd.DatetimeIndex(stored))]
    if absent.empty:
        return []
    run = (absent.to_series().diff() != HOUR).cumsum().to_numpy()
    return [(block.index[0], block.index[-1] + HOUR) for _, block in absent.to_series().groupby(run)]


def missing_hours(store: Store, symbol: str, interval: tuple[pd.Timestamp, pd.Timestamp]) -> int:
    """Hours of `[start, end)` without a stored candle."""
    spans = missing_spans(store.read(symbol, "1h", *interval)[c.TIMESTAMP], *interval)
    return sum(int((last - first) / HOUR) for first, last in spans)


def pull(
    exchange: Exchange,
    store: Store,
    quarantine: Path,
    symbol: str,
    interval: tuple[pd.Timestamp, pd.Timestamp],
    progress: Callable[[int], None] | None = None,
) -> Pulled:
    """Bring `symbol`'s store up to date over `interval`; what is there already is not asked for again.

    Args:
        exchange: the venue.
        store: the market's store.
        quarantine: where a bad batch goes.
        symbol: the venue's id, `BTCUSDT`.
        interval: `[start, end)` on the hour, UTC; what has not closed yet is left out.
        progress: told the number of candles of each page as it arrives.

    Raises:
        ExchangeError: the venue is down or refuses.
        DataError: a batch broke a rule (its interval stays as it was) or a stored file is torn.
    """
    start, end = interval[0], min(interval[1], exchange.now().floor("h"))
    counts: dict[Kind, int] = {"1h": 0, "funding": 0, "open_interest": 0}
    absent = 0
    for first, last in missing_spans(store.read(symbol, "1h", start, end)[c.TIMESTAMP], start, end):
        candles = exchange.candles(symbol, first, last, progress)
        absent += int((last - first) / HOUR) - len(candles)
        batches: dict[Kind, pd.DataFrame] = {
            "funding": exchange.funding(symbol, first, last),
            "open_interest": exchange.open_interest(symbol, first, last),
            "1h": candles,
        }
        _validate_all(batches, symbol, quarantine)
        for kind, batch in batches.items():
            if len(batch):
                counts[kind] += store.write(symbol, kind, batch)
    return Pulled(counts["1h"], counts["funding"], counts["open_interest"], absent)


def _validate_all(batches: dict[Kind, pd.DataFrame], symbol: str, quarantine: Path) -> None:
    from xrl.market.expectations import validate  # takes seconds to import; not before there are rows

    for kind, batch in batches.items():
        if len(batch):
            validate(kind, batch, symbol, quarantine)
