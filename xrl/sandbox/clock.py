"""The exchange's clock: it follows another clock until somebody stops it at a moment."""

from collections.abc import Callable

import pandas as pd

from xrl.errors import ConfigError


class Clock:
    """Calling it gives the time, UTC."""

    def __init__(self, follows: Callable[[], pd.Timestamp] | None = None) -> None:
        self._follows = follows or (lambda: pd.Timestamp.now("UTC"))
        self._stopped_at: pd.Timestamp | None = None

    def __call__(self) -> pd.Timestamp:
        return self._follows() if self._stopped_at is None else self._stopped_at

    def set(self, now: str | None) -> None:
        """Stop at `now`, e.g. `2024-06-01T10:20:00Z` (without a zone: UTC); None lets it go.

        Raises:
            ConfigError: not a time between 1970 and 2100.
        """
        if now is None:
            self._stopped_at = None
            return
        try:
            time = pd.Timestamp(now)
        except ValueError as error:
            raise ConfigError(
                f"`now` must be a time such as 2024-06-01T10:20:00Z; received {now!r}"
            ) from error
        time = time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
        if not 1970 <= time.year < 2100:
            raise ConfigError(f"`now` must lie between 1970 and 2100; received {now!r}")
        self._stopped_at = time
