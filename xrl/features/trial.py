"""Whether a user's column is what it is declared to be.

Enters: declarations and one symbol's bars. Leaves: nothing, or an error that says what to declare instead.
A column that sees later bars is a leak, one that needs more bars than it says answers otherwise in the server
than in training, and one that moves with the currency drifts out of its scale. Each is tried on the newest
bars of a history before anything is trained on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.config import ExtraFeature
from xrl.errors import DataError
from xrl.features.extra import Bars, features, is_optional, values_of
from xrl.features.inputs import inputs
from xrl.features.rolling import Array

#: Newest bars a column is tried on, or this many windows of it, whichever is more.
TRIED_BARS: Final = 2000
TRIED_WINDOWS: Final = 6
#: Places in them at which history is cut off.
_CUTS: Final = 16
#: Largest difference between two computations of one value, in deviations of the column.
_TOLERANCE: Final = 1e-9
#: Another currency and another lot size, in powers of two so that nothing rounds.
_PRICE, _AMOUNT = 128.0, 1.0 / 64.0
_OTHER: Final = {
    **dict.fromkeys(columns.OHLCV[:4], _PRICE),
    **dict.fromkeys((columns.VOLUME, columns.TAKER_BUY_VOLUME, columns.OPEN_INTEREST), _AMOUNT),
    **dict.fromkeys((columns.QUOTE_VOLUME, columns.TAKER_BUY_QUOTE_VOLUME), _PRICE * _AMOUNT),
}


def check(extra: Sequence[ExtraFeature], bars: Bars, timestamps: object) -> None:
    """Hold every column against its declaration.

    Args:
        extra: declarations.
        bars: of one symbol; the longest history there is.
        timestamps: opens of the bars, UTC.

    Raises:
        ConfigError: a definition cannot be called.
        DataError: a value sees later bars, needs more bars than `window`, is unknown after `warmup`, or moves
            with the currency; the feature, where, and what to declare instead.
    """
    for one in extra:
        window = features([one])[0].window
        tried = max(TRIED_BARS, TRIED_WINDOWS * window)
        newest = {
            name: np.array(bars[name], dtype=np.float64)[-tried:] for name in columns.BAR[1:] if name in bars
        }
        _Trial(one, newest, inputs(bars, timestamps).timestamp[-tried:], window).judge()


@dataclass(frozen=True)
class _Trial:
    """One declared column and the bars it is tried on."""

    one: ExtraFeature
    bars: dict[str, Array]
    timestamp: NDArray[np.datetime64]
    window: int

    def judge(self) -> None:
        full = self.values(slice(None))
        if len(full) <= self.window:
            raise self.fails(f"its `window` of {self.window} is longer than the history", "take more days", 0)
        if not is_optional(self.one):
            self.finite(full)
        for end in np.unique(np.linspace(self.window, len(full), _CUTS, dtype=np.int64)):
            newest = slice(end - 1, end)
            cut = self.values(slice(0, end))[-1:]
            self.same(full, cut, newest, "it sees later bars", "compute a bar from those up to it")
            part = self.values(slice(end - self.window, end))[-1:]
            wrong = f"it needs more bars than its `window` of {self.window}"
            self.same(full, part, newest, wrong, "declare a longer `window`")
        elsewhere = {name: values * _OTHER.get(name, 1.0) for name, values in self.bars.items()}
        remedy = "set `relative: close` or `relative: atr` for a price, divide an amount by its mean"
        found = _computed(self.one, elsewhere, self.timestamp)
        self.same(full, found, slice(0, len(full)), "it is an absolute price or amount", remedy)

    def values(self, part: slice) -> Array:
        """The column computed from a part of the bars alone."""
        bars = {name: values[part] for name, values in self.bars.items()}
        return _computed(self.one, bars, self.timestamp[part])

    def finite(self, full: Array) -> None:
        known = np.isfinite(full)
        late = np.flatnonzero(~known[features([self.one])[0].warmup :])
        if len(late):
            at = int(late[0]) + features([self.one])[0].warmup
            raise self.fails(
                "it is unknown after its `warmup`", "declare a longer `warmup`, or define it", at
            )

    def same(self, full: Array, found: Array, part: slice, wrong: str, remedy: str) -> None:
        """Whether `found` are the values of `part`, to 1e-9 of the column's deviation."""
        expected = full[part]
        deviation = float(np.nanstd(full)) or 1.0
        equal = (found == expected) | (np.isnan(found) & np.isnan(expected))
        with np.errstate(invalid="ignore"):
            apart = np.where(equal, 0.0, np.nan_to_num(np.abs(found - expected), nan=np.inf)) / deviation
        if apart.max() > _TOLERANCE:
            at = int(apart.argmax()) + part.start
            raise self.fails(f"{wrong}: {apart.max():.2g} deviations apart", remedy, at)

    def fails(self, rule: str, remedy: str, at: int) -> DataError:
        return DataError(f"feature `{self.one.name}`: {rule}, first at {self.timestamp[at]}; {remedy}")


def _computed(one: ExtraFeature, bars: dict[str, Array], timestamp: NDArray[np.datetime64]) -> Array:
    return values_of(one, bars, inputs(bars, timestamp))
