"""Whether a user's column is what it is declared to be.

Enters: declarations and one symbol's bars. Leaves: nothing, or an error that says what to declare instead.
A column that sees later bars is a leak, one that needs more bars than it says answers otherwise in the server
than in training, and one that moves with the currency drifts out of its scale. Each is tried before anything
is trained on it: the newest bars are cut off at even distances and there continued by another future, and the
whole history is cut off around the bars that the column itself singles out (`cuts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.config import ExtraFeature
from xrl.errors import DataError
from xrl.features.cuts import cuts
from xrl.features.extra import Bars, features, is_optional, values_of
from xrl.features.inputs import inputs
from xrl.features.rolling import Array

#: Newest bars that are cut off at even distances, or this many windows of the column, whichever is more.
TRIED_BARS: Final = 2000
TRIED_WINDOWS: Final = 6
#: Places in them at which history is cut off.
_CUTS: Final = 16
#: Bars of the whole history around which it is cut off: those that stand out, or as many of them.
_OUTSTANDING: Final = 48
_SEED: Final = 0
#: Values before a cut that are compared, and bars after it that another future replaces.
_NEAR: Final = 32
#: Largest difference between two computations of one value, in deviations of the column.
_TOLERANCE: Final = 1e-9
_LATER: Final = ("it sees later bars", "compute a bar from those up to it")
_ABSOLUTE: Final = (
    "it is an absolute price or amount",
    "set `relative: close` or `relative: atr` for a price, divide an amount by its mean",
)


def _factors(price: float, amount: float, trades: float, funding: float) -> dict[str, float]:
    """What each column of a bar is multiplied by."""
    return {
        **dict.fromkeys(columns.OHLCV[:4], price),
        **dict.fromkeys((columns.VOLUME, columns.TAKER_BUY_VOLUME, columns.OPEN_INTEREST), amount),
        **dict.fromkeys((columns.QUOTE_VOLUME, columns.TAKER_BUY_QUOTE_VOLUME), price * amount),
        columns.TRADES: trades,
        columns.FUNDING_RATE: funding,
    }


#: Another currency and another lot size, in powers of two so that nothing rounds.
_ELSEWHERE: Final = _factors(128.0, 1.0 / 64.0, 1.0, 1.0)
#: Other futures: a leap and a crash that no column would call ordinary.
_FUTURES: Final = (_factors(1.5, 16.0, 16.0, -8.0), _factors(0.6, 1.0 / 16.0, 1.0 / 16.0, 8.0))


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
    whole = {name: np.array(bars[name], dtype=np.float64) for name in columns.BAR[1:] if name in bars}
    timestamp = inputs(bars, timestamps).timestamp
    for one in extra:
        _Trial(one, whole, timestamp, features([one])[0].window).judge()


@dataclass(frozen=True)
class _Trial:
    """One declared column and the bars it is tried on."""

    one: ExtraFeature
    bars: dict[str, Array]
    timestamp: NDArray[np.datetime64]
    window: int

    @cached_property
    def whole(self) -> Array:
        """The column of the whole history."""
        return self.values(self.bars, 0, len(self.timestamp))

    @cached_property
    def deviation(self) -> float:
        return float(np.nanstd(self.whole)) or 1.0

    def judge(self) -> None:
        if len(self.whole) <= self.window:
            raise self.fails(f"its `window` of {self.window} is longer than the history", "take more days", 0)
        if not is_optional(self.one):
            self.known()
        self.evenly()
        for end in np.unique(np.maximum(cuts(self.whole, _OUTSTANDING, _SEED), self.window)):
            self.around(int(end))

    def known(self) -> None:
        """No value is missing after the warm-up."""
        warmup = features([self.one])[0].warmup
        late = np.flatnonzero(~np.isfinite(self.whole[warmup:]))
        if len(late):
            remedy = "declare a longer `warmup`, or define it"
            raise self.fails("it is unknown after its `warmup`", remedy, int(late[0]) + warmup)

    def evenly(self) -> None:
        """The newest bars: cut off at even distances, continued otherwise, and in another currency."""
        count = len(self.whole)
        first = max(count - max(TRIED_BARS, TRIED_WINDOWS * self.window), 0)
        recent = self.values(self.bars, first, count)
        for end in np.unique(np.linspace(first + self.window, count, _CUTS, dtype=np.int64)):
            self.same(recent[: end - first], self.values(self.bars, first, end), first, _LATER)
            self.long_enough(recent[end - first - 1 : end - first], end, 1)
            self.otherwise(max(end - self.window - _NEAR, first), end)
        elsewhere = {name: values * _ELSEWHERE[name] for name, values in self.bars.items()}
        self.same(recent, self.values(elsewhere, first, count), first, _ABSOLUTE)

    def otherwise(self, first: int, end: int) -> None:
        """The bars from `first` to `end`, followed by others than those that came."""
        cut = self.values(self.bars, first, end)
        after = np.arange(len(self.whole)) >= end
        for future in _FUTURES:
            bars = {name: np.where(after, v * future[name], v) for name, v in self.bars.items()}
            self.same(cut, self.values(bars, first, end + _NEAR)[: end - first], first, _LATER)

    def around(self, end: int) -> None:
        """The history up to `end`: a window is enough to tell, the whole of it to tell why."""
        first = max(end - self.window - _NEAR, 0)
        known = self.whole[first + self.window - 1 if first else 0 : end]
        if self.apart(known, self.values(self.bars, first, end)[-len(known) :]).max() > _TOLERANCE:
            self.same(self.whole[:end], self.values(self.bars, 0, end), 0, _LATER)
            self.long_enough(known, end, len(known))

    def long_enough(self, expected: Array, end: int, count: int) -> None:
        """Whether `window` bars behind the last `count` before `end` give their values, `expected`."""
        found = self.values(self.bars, max(end - count + 1 - self.window, 0), end)[-count:]
        wrong = f"it needs more bars than its `window` of {self.window}"
        self.same(expected, found, end - count, (wrong, "declare a longer `window`"))

    def values(self, bars: Mapping[str, Array], first: int, end: int) -> Array:
        """The column computed from the bars from `first` to before `end` alone."""
        part = {name: values[first:end] for name, values in bars.items()}
        return values_of(self.one, part, inputs(part, self.timestamp[first:end]))

    def apart(self, expected: Array, found: Array) -> Array:
        """How far the values lie apart, in deviations of the column; unknown on both sides is not at all."""
        equal = (found == expected) | (np.isnan(found) & np.isnan(expected))
        with np.errstate(invalid="ignore"):
            gap = np.nan_to_num(np.abs(found - expected), nan=np.inf)
        return np.where(equal, 0.0, gap) / self.deviation

    def same(self, expected: Array, found: Array, first: int, blame: tuple[str, str]) -> None:
        """Whether `found` are the values expected from row `first` on, to 1e-9 of the column's deviation."""
        apart = self.apart(expected, found)
        if apart.max() > _TOLERANCE:
            wrong, remedy = blame
            at = first + int(apart.argmax())
            raise self.fails(f"{wrong}: {apart.max():.2g} deviations apart", remedy, at)

    def fails(self, rule: str, remedy: str, at: int) -> DataError:
        return DataError(f"feature `{self.one.name}`: {rule}, first at {self.timestamp[at]}; {remedy}")
