"""What the rules look at beside the columns of a batch: spacing, moves, recent volatility, runs of bars.

Enters: batches of one kind, each with the accepted rows before it. Leaves: one frame of all rows to judge,
the kind's columns and those named here. Rows of the past feed these values and are not in the frame.

A value of a row comes from its own batch up to that row, so cutting off later rows changes none, except
SPIKE (looks one bar ahead), BEHIND_H and HISTORY_DAYS (speak of the newest row). Where something is unknown
(first rows, a missing or impossible price) the value is NaN, and rules let NaN pass: what is missing or
impossible has a rule of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.market import tables

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SLOTS: Final = "slots"  # steps since the row before; 1: the next bar
GAP_H: Final = "gap_h"  # funding: whole hours since the settlement before
JUMP: Final = "jump"  # |log close_t / close_tm1|, of open interest for that kind
GAP: Final = "gap"  # |log open_t / close_tm1|
WICK: Final = "wick"  # |log| from the body to the farther of high and low
SPIKE: Final = "spike"  # smaller |log| of a move and the next bar's move back
VOLATILITY: Final = "volatility"  # standard deviation of JUMP as recent bars have it, over this row's SLOTS
IMPLIED_JUMP: Final = "implied_jump"  # |log| move of open_interest_value / open_interest
IMPLIED_VOLATILITY: Final = "implied_volatility"
VOLUME_RATIO: Final = "volume_ratio"  # volume / median of recent volumes
EQUAL_BARS: Final = "equal_bars"  # equal rows in a row up to here; 0 where nothing was traded
QUIET_H: Final = "quiet_h"  # hours in a row up to here without a trade
IDLE_RANGE: Final = "idle_range"  # log high / low of a bar without volume
VENUE_GAP: Final = "venue_gap"  # |log close / the other venue's close|
BEHIND_H: Final = "behind_h"  # newest row alone: hours that it ends before the expected end
HISTORY_DAYS: Final = "history_days"  # newest row alone: days from the first row's open to its close

#: Bars behind "recent", and the fewest that say anything.
RECENT_BARS: Final = 48
LEAST_BARS: Final = 8
#: Rows of the past that can matter: RECENT_BARS of moves, and room for runs of equal bars.
CONTEXT_ROWS: Final = 96
#: Longest time between two settlements of funding.
LONGEST_FUNDING_GAP_H: Final = 8

_DEVIATION_OF_MEAN = np.sqrt(np.pi / 2)  # of a Gaussian: E|x| = sigma sqrt(2 / pi)
_HOUR_MS = 3_600_000


class Batch(NamedTuple):
    """Rows of one symbol to judge, and the accepted rows just before them (there may be none)."""

    symbol: str
    frame: pd.DataFrame
    context: pd.DataFrame


@dataclass(frozen=True)
class Demand:
    """What is asked of a whole batch beside its rows: agreement, freshness, length."""

    references: Mapping[str, pd.DataFrame] | None = None  # candles of `venue` by symbol
    venue: str = "the other venue"
    fresh_until: pd.Timestamp | None = None
    whole_history: bool = False


@dataclass(frozen=True)
class _Rows:
    """All rows of all batches, the past included, one below the other."""

    values: Mapping[str, Array]
    time_ms: Array
    batch: NDArray[np.int64]  # number of each row's batch
    first: Mask  # the batch's first row
    judged: Mask
    entering: Mask  # the batch's first judged row

    def before(self, values: Array) -> Array:
        """Each row's value one row earlier in its batch."""
        shifted = np.empty_like(values)
        shifted[1:] = values[:-1]
        shifted[self.first] = np.nan
        return shifted

    def after(self, values: Array) -> Array:
        """Each row's value one row later in its batch."""
        shifted = np.full_like(values, np.nan)
        shifted[:-1] = np.where(self.first[1:], np.nan, values[1:])
        return shifted

    def run(self, flags: Mask) -> Array:
        """Rows in a row up to this one, within its batch, at which `flags` holds."""
        index = np.arange(len(flags))
        broken = np.where(~flags, index, np.where(self.first, index - 1, -1))
        return (index - np.maximum.accumulate(broken)).astype(np.float64)

    def recent(self, values: Array, statistic: str) -> Array:
        """Mean or median of the RECENT_BARS values before each row, in its batch; NaN below LEAST_BARS."""
        # Batches stand a window apart, so that one rolling pass serves them all and none sees another.
        at = np.arange(len(values)) + (self.batch + 1) * RECENT_BARS
        apart = np.full(len(values) + (int(self.batch.max(initial=0)) + 1) * RECENT_BARS, np.nan)
        apart[at] = values
        rolling = pd.Series(apart).rolling(RECENT_BARS, min_periods=LEAST_BARS)
        before: Array = getattr(rolling, statistic)().to_numpy()[at - 1]
        return before


def judged_rows(
    kind: tables.Kind, batches: Sequence[Batch], demand: Demand
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Rows to judge of all batches, with the derived columns of `kind`, and the number of each row's batch.

    Args:
        kind: of all batches.
        batches: frames and contexts have the schema of `kind`; rows in the order received.
        demand: what else is asked.

    Returns:
        the frame, numbered from 0, and (n,) int64 batch numbers.
    """
    parts = [part for one in batches for part in (one.context.tail(CONTEXT_ROWS), one.frame)]
    table = pd.concat(parts, ignore_index=True)
    rows = _rows(table, [len(part) for part in parts])
    step_ms = _step_ms(kind)
    slots = np.floor(rows.time_ms / step_ms) - rows.before(np.floor(rows.time_ms / step_ms))
    found = {(GAP_H if kind == tables.FUNDING else SLOTS): _known_spacing(slots, rows, kind)}
    if tables.is_candles(kind):
        found |= _of_candles(rows, slots, step_ms / _HOUR_MS)
    elif kind == tables.OPEN_INTEREST:
        found |= _of_open_interest(rows, slots)
    elif kind == tables.TAKER_VOLUME:
        found |= _of_taker_volume(rows, slots)
    if demand.references is not None and tables.is_candles(kind):
        found[VENUE_GAP] = _venue_gap(table, rows, batches, demand.references)
    if demand.fresh_until is not None or demand.whole_history:
        found |= _of_newest(rows, step_ms * (LONGEST_FUNDING_GAP_H if kind == tables.FUNDING else 1), demand)
    whole = table.assign(**found)[rows.judged].reset_index(drop=True)
    return whole, rows.batch[rows.judged]


def _step_ms(kind: tables.Kind) -> float:
    step = tables.table(kind).step
    return _HOUR_MS if step is None else step / pd.Timedelta(milliseconds=1)


def _rows(table: pd.DataFrame, lengths: Sequence[int]) -> _Rows:
    """`lengths`: rows of each context and frame in turn."""
    part = np.repeat(np.arange(len(lengths)), lengths)
    batch, judged = part // 2, part % 2 == 1
    stamps = pd.DatetimeIndex(table[c.TIMESTAMP])
    values = {name: table[name].to_numpy(np.float64) for name in table.columns if name != c.TIMESTAMP}
    return _Rows(
        values={name: np.where(np.isfinite(array), array, np.nan) for name, array in values.items()},
        time_ms=np.where(stamps.isna(), np.nan, stamps.asi8.astype(np.float64)),
        batch=batch,
        first=np.diff(batch, prepend=-1) != 0,
        judged=judged,
        entering=judged & (np.diff(part, prepend=-1) != 0),
    )


def _known_spacing(slots: Array, rows: _Rows, kind: tables.Kind) -> Array:
    """`slots`, forgiving a hole between the past and the first judged row: it is not this batch's."""
    longest = LONGEST_FUNDING_GAP_H if kind == tables.FUNDING else 1
    return np.where(rows.entering & (slots > longest), np.nan, slots)


def _of_candles(rows: _Rows, slots: Array, step_h: float) -> dict[str, Array]:
    value = rows.values
    open_, high, low, close = (_log(value[name]) for name in (c.OPEN, c.HIGH, c.LOW, c.CLOSE))
    move = close - rows.before(close)
    back = rows.after(move)
    idle, traded = value[c.VOLUME] == 0, value[c.VOLUME] > 0
    with np.errstate(invalid="ignore"):
        wick = np.maximum(high - np.maximum(open_, close), np.minimum(open_, close) - low)
        spike = np.where(move * back < 0, np.minimum(np.abs(move), np.abs(back)), np.nan)
    return {
        JUMP: np.abs(move),
        GAP: np.abs(open_ - rows.before(close)),
        WICK: wick,
        SPIKE: spike,
        VOLATILITY: _volatility(rows, move, slots),
        VOLUME_RATIO: _ratio_to_recent(rows, value[c.VOLUME]),
        EQUAL_BARS: _equal_rows(rows, slots, c.OHLCV) * traded,
        QUIET_H: rows.run(idle) * step_h,
        IDLE_RANGE: np.where(idle, high - low, np.nan),
    }


def _of_open_interest(rows: _Rows, slots: Array) -> dict[str, Array]:
    amount, worth = _log(rows.values[c.OPEN_INTEREST]), _log(rows.values[c.OPEN_INTEREST_VALUE])
    move = amount - rows.before(amount)
    implied = worth - amount
    implied_move = implied - rows.before(implied)
    return {
        JUMP: np.abs(move),
        VOLATILITY: _volatility(rows, move, slots),
        IMPLIED_JUMP: np.abs(implied_move),
        IMPLIED_VOLATILITY: _volatility(rows, implied_move, slots),
        EQUAL_BARS: _equal_rows(rows, slots, (c.OPEN_INTEREST,)),
    }


def _of_taker_volume(rows: _Rows, slots: Array) -> dict[str, Array]:
    both = rows.values[c.TAKER_BUY_VOLUME] + rows.values[c.TAKER_SELL_VOLUME]
    return {
        VOLUME_RATIO: _ratio_to_recent(rows, both),
        EQUAL_BARS: _equal_rows(rows, slots, (c.TAKER_BUY_VOLUME, c.TAKER_SELL_VOLUME)) * (both > 0),
        QUIET_H: rows.run(both == 0),
    }


def _log(values: Array) -> Array:
    return np.log(np.where(values > 0, values, np.nan))


def _volatility(rows: _Rows, move: Array, slots: Array) -> Array:
    # A move across a hole of n steps has the deviation of n steps.
    root_slots = np.sqrt(np.fmax(slots, 1.0))
    volatility: Array = _DEVIATION_OF_MEAN * rows.recent(np.abs(move) / root_slots, "mean") * root_slots
    return volatility


def _ratio_to_recent(rows: _Rows, volume: Array) -> Array:
    """Unknown where recent bars did not trade."""
    median = rows.recent(volume, "median")
    return volume / np.where(median > 0, median, np.nan)


def _equal_rows(rows: _Rows, slots: Array, names: Sequence[str]) -> Array:
    """Rows in a row up to this one that stand in slots of their own and yet are equal."""
    same = slots > 0
    for name in names:
        same &= rows.values[name] == rows.before(rows.values[name])
    return rows.run(same) + 1


def _venue_gap(
    table: pd.DataFrame, rows: _Rows, batches: Sequence[Batch], references: Mapping[str, pd.DataFrame]
) -> Array:
    theirs = np.full(len(table), np.nan)
    for number, one in enumerate(batches):
        if one.symbol in references:
            other = references[one.symbol].drop_duplicates(c.TIMESTAMP).set_index(c.TIMESTAMP)[c.CLOSE]
            here = rows.batch == number
            theirs[here] = other.reindex(table.loc[here, c.TIMESTAMP]).to_numpy(np.float64)
    return np.abs(_log(rows.values[c.CLOSE]) - _log(theirs))


def _of_newest(rows: _Rows, step_ms: float, demand: Demand) -> dict[str, Array]:
    behind_h, days = np.full((2, len(rows.time_ms)), np.nan)
    last = np.flatnonzero(rows.judged & np.append(np.diff(rows.batch) != 0, True))
    for row in last:
        times = rows.time_ms[(rows.batch == rows.batch[row]) & rows.judged]
        end_ms = np.nanmax(times, initial=-np.inf) + step_ms
        days[row] = (end_ms - np.nanmin(times, initial=np.inf)) / (24 * _HOUR_MS)
        if demand.fresh_until is not None:
            behind_h[row] = (demand.fresh_until.timestamp() * 1000 - end_ms) / _HOUR_MS
    return {BEHIND_H: behind_h, HISTORY_DAYS: days}
