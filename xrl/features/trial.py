"""Whether a user's column is what it is declared to be.

Enters: declarations and one symbol's bars. Leaves: nothing, or an error that says what to declare instead.
A column that sees later bars is a leak, one that needs more bars than it says answers otherwise in the server
than in training, and one that moves with the currency drifts out of its scale. Each is tried before anything
is trained on it: the newest bars are cut off at even distances and there continued by another future, the
whole history is cut off around the bars that the column itself singles out (`cuts`), and every bar is made to
be followed by other bars (`futures`), so that a column which looks ahead on a single bar gives itself away.
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
from xrl.features import futures
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
#: Bars evaluated, at most, to try every bar of a function: some 25,000 of a window of 500. An indicator of
#: `ta` runs in Python loops; of one with a long window the newest bars alone are tried.
_EVALUATED: Final = 40_000_000
_EVALUATED_TA: Final = 2_000_000
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
    for one in extra:
        _trial(one, bars, timestamps).judge()


def seen(one: ExtraFeature, bars: Bars, timestamps: object) -> futures.Move | None:
    """A value of the column `one` that moves when other bars follow it, None where none does.

    Every bar is tried, of long histories the newest that can be for `_EVALUATED` bars; see `futures` for what
    is certain by that. Arguments as in `check`.
    """
    return _trial(one, bars, timestamps).seen()


def _trial(one: ExtraFeature, bars: Bars, timestamps: object) -> "_Trial":
    whole = {name: np.array(bars[name], dtype=np.float64) for name in columns.BAR[1:] if name in bars}
    return _Trial(one, whole, inputs(bars, timestamps).timestamp, features([one])[0].window)


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
        move = self.seen()
        if move is not None:
            wrong, remedy = _LATER
            raise self.fails(f"{wrong}: {move.by:.2g} deviations apart", remedy, move.row)

    def seen(self) -> futures.Move | None:
        """A value that moves when other bars follow it."""
        if len(self.whole) <= self.window:
            return None
        room = self.window + futures.BLOCK
        evaluated = _EVALUATED if self.one.ta is None else _EVALUATED_TA
        tried = max(evaluated // (room * len(futures.FUTURES)), 2 * room)
        first = max(len(self.whole) - tried, 0)
        return futures.seen(futures.Asked(self.values, self.bars, self.window, first, self.deviation))

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
        windowed = self.values(self.bars, first, end)[-len(known) :]
        if futures.apart(known, windowed, self.deviation).max() > futures.TOLERANCE:
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

    def same(self, expected: Array, found: Array, first: int, blame: tuple[str, str]) -> None:
        """Whether `found` are the values expected from row `first` on, to 1e-9 of the column's deviation."""
        apart = futures.apart(expected, found, self.deviation)
        if apart.max() > futures.TOLERANCE:
            wrong, remedy = blame
            at = first + int(apart.argmax())
            raise self.fails(f"{wrong}: {apart.max():.2g} deviations apart", remedy, at)

    def fails(self, rule: str, remedy: str, at: int) -> DataError:
        return DataError(f"feature `{self.one.name}`: {rule}, first at {self.timestamp[at]}; {remedy}")
