"""One symbol among others: the lead (BTC), the market's mean, the place in the cross-section.

Enters: one symbol's `Inputs`, closes of the declared other symbols, `ContextParams`. Leaves: (n,) arrays.
Bars are joined by their open, so both closed at the same moment. A symbol is known on a bar that ends 61
closes an hour apart, and no hour among them is missing; a move over a hole would pass for one of fewer hours.
Where the symbol itself or the lead is not known, or less than half of the market, the columns are 0 and the
flag `lead_available` or `market_available` of that bar is 0; the server does not answer then. Every move is
in units of the symbol's own 60-bar volatility. The lead itself is defined: correlation and beta 1, relative
return 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xrl.config import ContextParams
from xrl.errors import DataError
from xrl.features.feature import Feature, declare
from xrl.features.inputs import VOLATILITY_WINDOW, Inputs
from xrl.features.rolling import Array, delay, ratio, rolling_rms, trailing_sum

#: Volatility of log returns at or below this counts as none.
FLAT: Final = 1e-9
#: Moves that differ by less share a rank: prices of another scale round otherwise.
TIE: Final = 1e-9
#: Bars behind correlation and beta.
BETA_BARS: Final = 60
#: Share of the market's symbols that must be known.
MIN_KNOWN: Final = 0.5

_HOUR: Final = np.timedelta64(1, "h")
_ABSENT, _UNIT, _REACH = "0 where absent", "60-bar volatilities", (VOLATILITY_WINDOW + 1, 0)
_REALISED = "Barndorff-Nielsen and Shephard 2004, realised over 60 bars"


def _lead(name: str, unit: str, formula: str) -> Feature:
    return declare(name, "PI", unit, _REACH, _ABSENT, formula, "price, lead")


def _market(name: str, unit: str, formula: str) -> Feature:
    return declare(name, "PI", unit, _REACH, _ABSENT, formula, "price, market")


FEATURES: tuple[Feature, ...] = (
    _lead("lead_return_1", _UNIT, "the lead's log return of one bar"),
    _lead("lead_return_6", _UNIT, "the lead's log return of 6 bars"),
    _lead("lead_return_24", _UNIT, "the lead's log return of 24 bars"),
    _lead("lead_relative_24", _UNIT, "own less the lead's return of 24 bars"),
    _lead("lead_correlation", "-1..1", _REALISED),
    _lead("lead_beta", "own over lead's return", _REALISED),
    declare("lead_available", "PI", "0 or 1", _REACH, "never", "whether the lead is known", "lead"),
    _market("market_return_1", _UNIT, "mean log return of one bar"),
    _market("market_return_6", _UNIT, "mean log return of 6 bars"),
    _market("market_return_24", _UNIT, "mean log return of 24 bars"),
    _market("market_breadth_24", "0..1", "share of symbols that rose over 24 bars"),
    _market("market_rank_24", "0..1, 1 first", "own place by the return of 24 bars"),
    declare(
        "market_available", "PI", "0 or 1", _REACH, "never", "whether half of the market is known", "market"
    ),
)
#: Bars of the moves that are compared, and the columns that hold them.
BARS: Final = (1, 6, 24)
_LEAD_RETURNS: Final = tuple(f"lead_return_{bars}" for bars in BARS)
_MARKET_RETURNS: Final = tuple(f"market_return_{bars}" for bars in BARS)


@dataclass(frozen=True, eq=False)
class Peer:
    """Another symbol's closes, each (n,), in time order."""

    timestamp: NDArray[np.datetime64]
    close: Array

    @cached_property
    def log_close(self) -> Array:
        """Natural logarithm of the close."""
        return np.log(self.close)

    @cached_property
    def log_return(self) -> Array:
        """One-bar log return; NaN at the first bar."""
        return self.log_close - delay(self.log_close, 1)

    @cached_property
    def moves(self) -> Array:
        """See `moves`; (3, n), NaN where an hour is missing behind it."""
        volatility = rolling_rms(self.log_return, VOLATILITY_WINDOW)
        return np.asarray(moves(self.log_close, np.where(unbroken(self.timestamp), volatility, np.nan)))


_NOBODY: Final = Peer(np.empty(0, "datetime64[ms]"), np.empty(0))


@dataclass(frozen=True, eq=False)
class Context:
    """Whose features are built, and the closes of the symbols that `ContextParams` declares.

    Attributes:
        symbol: whose features are built.
        peers: by symbol; it may hold `symbol` itself and symbols that are not declared, which are not read.
    """

    symbol: str
    peers: Mapping[str, Peer]


def peer(timestamps: NDArray[np.datetime64], close: Array) -> Peer:
    """Check another symbol's bars.

    Raises:
        DataError: lengths differ, times do not increase or are no whole hours, or a close is not a finite
            number above 0.
    """
    if timestamps.shape != close.shape:
        raise DataError(
            f"context needs one close a bar; received {len(timestamps)} times and {len(close)} closes"
        )
    rules = {
        "times increase": np.concatenate([[True], timestamps[1:] > timestamps[:-1]])[: len(close)],
        "bars open on the hour, UTC": timestamps == timestamps.astype("datetime64[h]"),
        "closes are finite and above 0": np.isfinite(close) & (close > 0),
    }
    for rule, kept in rules.items():
        if not kept.all():
            first = timestamps[int(np.argmin(kept))]
            raise DataError(
                f"context breaks the rule '{rule}' in {int((~kept).sum())} bars, first at {first}; "
                "validate the candles before building features"
            )
    return Peer(timestamps, np.ascontiguousarray(close, dtype=np.float64))


def unbroken(timestamp: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Whether each bar and the 60 before it open an hour apart; times are whole hours and increase. (n,)"""
    reach = min(VOLATILITY_WINDOW, len(timestamp))
    found = np.zeros(len(timestamp), dtype=bool)
    found[reach:] = timestamp[reach:] - timestamp[: len(timestamp) - reach] == reach * _HOUR
    return found


@njit(cache=True)
def moves(log_close: Array, volatility: Array) -> Array:
    """Log returns over 1, 6 and 24 bars in 60-bar volatilities; 0 where the price stands still.

    Args:
        log_close: (n,).
        volatility: (n,) root mean square of the last 60 log returns, NaN where they are not known.

    Returns:
        (3, n), NaN where the volatility is.
    """
    out = np.full((3, log_close.shape[0]), np.nan)
    for i, bars in enumerate(BARS):
        root = math.sqrt(bars)
        for t in range(bars, log_close.shape[0]):
            if volatility[t] * root <= FLAT:
                out[i, t] = 0.0
            else:
                out[i, t] = (log_close[t] - log_close[t - bars]) / (volatility[t] * root)
    return out


def needed(params: ContextParams, symbol: str) -> tuple[str, ...]:
    """Symbols whose candles the columns of `symbol` are made of, besides its own."""
    declared = (*((params.lead,) if params.lead else ()), *params.market)
    return tuple(dict.fromkeys(name for name in declared if name != symbol))


def context_columns(x: Inputs, params: ContextParams, context: Context | None) -> dict[str, Array]:
    """Every column of `FEATURES`; all 0 where no symbol is declared.

    Raises:
        DataError: symbols are declared and `context` does not say whose features are built.
    """
    if params.lead is None and not params.market:
        nothing = np.zeros(len(x))
        return {feature.name: nothing for feature in FEATURES}
    if context is None:
        raise DataError(
            "`features.context` declares other symbols; pass `context` with the symbol and its peers, or "
            "declare none"
        )
    own = np.asarray(moves(x.log_close, np.where(unbroken(x.timestamp), x.volatility, np.nan)))
    return {**_lead_columns(x, params, context, own), **_market_columns(x, params, context, own)}


def _lead_columns(x: Inputs, params: ContextParams, context: Context, own: Array) -> dict[str, Array]:
    if params.lead == context.symbol:
        known = np.isfinite(own[2])
        found = {name: own[i] for i, name in enumerate(_LEAD_RETURNS)}
        one = np.ones(len(x))
        found |= {"lead_relative_24": np.zeros(len(x)), "lead_correlation": one, "lead_beta": one}
        return _masked(found, known, "lead_available")
    lead = context.peers.get(params.lead or "", _NOBODY)
    rows = _rows(x, lead)
    moved, theirs = _at(x, rows, lead.moves), _at(x, rows, lead.log_return)
    both = np.isfinite(theirs) & np.isfinite(x.log_return)
    mine, theirs = np.where(both, x.log_return, 0.0), np.where(both, theirs, 0.0)
    covariance = trailing_sum(mine * theirs, BETA_BARS)
    variance = trailing_sum(theirs * theirs, BETA_BARS)
    deviations = np.sqrt(variance * trailing_sum(mine * mine, BETA_BARS))
    floor = BETA_BARS * FLAT**2
    found = {name: moved[i] for i, name in enumerate(_LEAD_RETURNS)}
    found |= {
        "lead_relative_24": own[2] - moved[2],
        "lead_correlation": np.clip(ratio(covariance, deviations, undefined=0.0, floor=floor), -1.0, 1.0),
        "lead_beta": ratio(covariance, variance, undefined=0.0, floor=floor),
    }
    return _masked(found, np.isfinite(found["lead_relative_24"]), "lead_available")


def _market_columns(x: Inputs, params: ContextParams, context: Context, own: Array) -> dict[str, Array]:
    tally = np.zeros((_TALLIED, len(x)))
    for symbol in params.market:
        if symbol == context.symbol:
            _count(own, own, False, tally)
        else:
            one = context.peers.get(symbol, _NOBODY)
            _count(_at(x, _rows(x, one), one.moves), own, True, tally)
    count, rising, others, above = tally[3:]
    found = {name: ratio(tally[i], count, undefined=0.0) for i, name in enumerate(_MARKET_RETURNS)}
    found |= {
        "market_breadth_24": ratio(rising, count, undefined=0.5),
        "market_rank_24": ratio(above, others, undefined=0.5),
    }
    enough = (count >= max(MIN_KNOWN * len(params.market), 1.0)) & np.isfinite(own[2])
    return _masked(found, enough, "market_available")


#: Rows of a tally: three sums of moves, symbols known, risen, others known, others that `own` is ahead of.
_TALLIED: Final = 7


@njit(cache=True)
def _count(moved: Array, own: Array, is_other: bool, tally: Array) -> None:
    """Add one symbol's moves (3, n) to a tally (7, n); others within `TIE` of `own` count as half behind."""
    for t in range(moved.shape[1]):
        if not np.isfinite(moved[2, t]):
            continue
        for i in range(3):
            tally[i, t] += moved[i, t]
        tally[3, t] += 1.0
        tally[4, t] += 1.0 if moved[2, t] > 0.0 else 0.0
        if is_other:
            ahead = own[2, t] - moved[2, t]
            tally[5, t] += 1.0
            tally[6, t] += 1.0 if ahead > TIE else 0.5 if ahead >= -TIE else 0.0


def _masked(found: dict[str, Array], known: NDArray[np.bool_], flag: str) -> dict[str, Array]:
    masked = {name: np.where(known, values, 0.0) for name, values in found.items()}
    return {**masked, flag: known.astype(np.float64)}


def _rows(x: Inputs, other: Peer) -> NDArray[np.int64] | int:
    """Rows of `other` with the opens of `x`, -1 where there is none; a count if just the newest coincide."""
    count = min(len(other.close), len(x))
    if bool((other.timestamp[len(other.close) - count :] == x.timestamp[len(x) - count :]).all()):
        return count
    rows = np.searchsorted(other.timestamp, x.timestamp)
    found = other.timestamp[np.minimum(rows, len(other.timestamp) - 1)] == x.timestamp
    return np.where(found, rows, -1)


def _at(x: Inputs, rows: NDArray[np.int64] | int, values: Array) -> Array:
    """The last axis of `values` at `rows`, NaN where there is none."""
    if not isinstance(rows, int):
        return np.where(rows >= 0, values[..., rows], np.nan)
    out = np.full((*values.shape[:-1], len(x)), np.nan)
    out[..., len(x) - rows :] = values[..., values.shape[-1] - rows :]
    return out
