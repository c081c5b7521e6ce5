"""Bars that are known again under any name: one hash for each symbol and UTC day.

Enters: bars. Leaves: `Prints`. The names of market and symbol are not in a hash, so whoever trains on the
same bars is found out, whatever they are called. A day that was cut short or corrected has another hash; the
days around it have not.
"""

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Final, TypeAlias

import numpy as np
import pandas as pd

from xrl import columns

#: Symbol -> UTC day, ISO 8601 -> 16 hex digits.
Prints: TypeAlias = Mapping[str, Mapping[str, str]]

_MONDAY: Final = 0


def prints(bars: pd.DataFrame) -> dict[str, dict[str, str]]:
    """SHA-256, shortened, over times and prices of every symbol's every day, the same on every machine.

    Args:
        bars: symbol, timestamp, high, low, close; each symbol's rows in time order.
    """
    return {str(symbol): _of_symbol(own) for symbol, own in bars.groupby(columns.SYMBOL)}


def of_mondays(found: Prints) -> dict[str, dict[str, str]]:
    """One day a week of them: enough to know a history again, and short enough to keep for each training."""
    return {
        symbol: {day: own for day, own in days.items() if date.fromisoformat(day).weekday() == _MONDAY}
        for symbol, days in found.items()
    }


def hashes(found: Prints) -> frozenset[str]:
    """All hashes, to be held against others'."""
    return frozenset(own for days in found.values() for own in days.values())


def _of_symbol(own: pd.DataFrame) -> dict[str, str]:
    time = own[columns.TIMESTAMP].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ms]")
    prices = own[[columns.HIGH, columns.LOW, columns.CLOSE]].to_numpy("<f8")
    days, first = np.unique(time.astype("datetime64[D]"), return_index=True)
    return {
        str(days[k]): hashlib.sha256(time[part].astype("<i8").tobytes() + prices[part].tobytes()).hexdigest()[
            :16
        ]
        for k, part in enumerate(map(slice, first, [*first[1:], len(time)]))
    }
