"""Where a bar stands in the day and in the week, UTC. Enters: opens of hourly bars. Leaves: (n,) arrays.

Known in advance, so nothing here looks at prices. Read from tables of 168 hours: the same hour has the same
bits.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xrl.features.feature import Feature, declare
from xrl.features.rolling import Array

WEEK_HOURS = 168
AHEAD_BARS = 20


def _known(name: str, unit: str, formula: str) -> Feature:
    return declare(name, "PI", unit, (1, 0), "never", formula, "calendar")


FEATURES: tuple[Feature, ...] = (
    _known("hour_sin", "-1..1", "sine of the hour of day"),
    _known("hour_cos", "-1..1", "cosine of the hour of day"),
    _known("week_sin", "-1..1", "sine of the hour of week"),
    _known("week_cos", "-1..1", "cosine of the hour of week"),
    _known("week_sin_2", "-1..1", "its first overtone"),
    _known("week_cos_2", "-1..1", "its first overtone"),
    _known("weekend_ahead", "0..1", "share of Saturday and Sunday in the next 20 hours"),
)
_MONDAY = np.datetime64("1970-01-05T00", "h")


def calendar(timestamp: NDArray[np.datetime64]) -> dict[str, Array]:
    """Fourier pairs of hour of day and hour of week, and the weekend's share of the next 20 hours."""
    hour = ((timestamp.astype("datetime64[h]") - _MONDAY).astype(np.int64)) % WEEK_HOURS
    return {name: table[hour] for name, table in _tables().items()}


@lru_cache(maxsize=1)
def _tables() -> dict[str, Array]:
    hour = np.arange(WEEK_HOURS)
    day_angle, week_angle = 2.0 * np.pi * (hour % 24) / 24.0, 2.0 * np.pi * hour / WEEK_HOURS
    ahead = (hour[:, None] + 1 + np.arange(AHEAD_BARS)) % WEEK_HOURS  # (168, 20)
    return {
        "hour_sin": np.sin(day_angle),
        "hour_cos": np.cos(day_angle),
        "week_sin": np.sin(week_angle),
        "week_cos": np.cos(week_angle),
        "week_sin_2": np.sin(2.0 * week_angle),
        "week_cos_2": np.cos(2.0 * week_angle),
        "weekend_ahead": (ahead >= 5 * 24).mean(axis=1),
    }
