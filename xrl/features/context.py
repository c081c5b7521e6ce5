"""One symbol among others: the lead (BTC), the market's mean, the place in the cross-section.

Enters: one symbol's `Inputs`, closes of the declared other symbols, `ContextParams`. Leaves: (n,) arrays.
Bars are joined by their open, so both closed at the same moment. Where a symbol's bar, or the 60 before it,
is missing, its columns are 0 and the flag `lead_available` or `market_available` of that bar is 0; the server
does not answer then. Every move is in units of the symbol's own 60-bar volatility. The lead itself is
defined: correlation and beta 1, relative return 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
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
_BARS: Final = (1, 6, 24)


@dataclass(frozen=True, eq=False)
class Peer:
    """Another symbol's closes, each (n,), in time order."""

    timestamp: NDArray[np.datetime64]
    close: Array

    @cached_property
    def log_return(self) -> Array:
        """One-bar log return; NaN at the first bar."""
        log_close = np.log(self.close)
        return log_close - delay(log_close, 1)

    @cached_property
    def volatility(self) -> Array:
        """Root mean square of the last 60 log returns; NaN for the first 60 bars."""
        return rolling_rms(self.log_return, VOLATILITY_WINDOW)

    @cached_property
    def moves(self) -> dict[int, Array]:
        """Log returns of 1, 6 and 24 bars in own volatilities; NaN where the volatility is unknown."""
        return moves(np.log(self.close), self.volatility)


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
        DataError: lengths differ, times do not increase, or a close is not a finite number above 0.
    """
    if timestamps.shape != close.shape:
        raise DataError(
            f"context needs one close a bar; received {len(timestamps)} times and {len(close)} closes"
        )
    rules = {
        "times increase": np.concatenate([[True], timestamps[1:] > timestamps[:-1]])[: len(close)],
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


def moves(log_close: Array, volatility: Array) -> dict[int, Array]:
    """Log returns over 1, 6 and 24 bars in 60-bar volatilities; 0 where the price stands still."""
    return {
        bars: ratio(log_close - delay(log_close, bars), volatility * bars**0.5, undefined=0.0, floor=FLAT)
        for bars in _BARS
    }


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
    own = moves(x.log_close, x.volatility)
    return {**_lead_columns(x, params, context, own), **_market_columns(x, params, context, own)}


def _lead_columns(
    x: Inputs, params: ContextParams, context: Context, own: dict[int, Array]
) -> dict[str, Array]:
    if params.lead == context.symbol:
        known = np.isfinite(x.volatility)
        found = {f"lead_return_{bars}": own[bars] for bars in _BARS}
        one = np.ones(len(x))
        found |= {"lead_relative_24": np.zeros(len(x)), "lead_correlation": one, "lead_beta": one}
        return _masked(found, known, "lead_available")
    lead = context.peers.get(params.lead or "")
    rows = _rows(x, lead)
    moved = {bars: _at(rows, lead.moves[bars] if lead else None) for bars in _BARS}
    theirs = _at(rows, lead.log_return if lead else None)
    both = np.isfinite(theirs) & np.isfinite(x.log_return)
    mine, theirs = np.where(both, x.log_return, 0.0), np.where(both, theirs, 0.0)
    covariance = trailing_sum(mine * theirs, BETA_BARS)
    variance = trailing_sum(theirs * theirs, BETA_BARS)
    deviations = np.sqrt(variance * trailing_sum(mine * mine, BETA_BARS))
    found = {f"lead_return_{bars}": moved[bars] for bars in _BARS}
    floor = BETA_BARS * FLAT**2
    found |= {
        "lead_relative_24": own[24] - moved[24],
        "lead_correlation": np.clip(ratio(covariance, deviations, undefined=0.0, floor=floor), -1.0, 1.0),
        "lead_beta": ratio(covariance, variance, undefined=0.0, floor=floor),
    }
    return _masked(found, np.isfinite(moved[24]) & np.isfinite(own[24]), "lead_available")


def _market_columns(
    x: Inputs, params: ContextParams, context: Context, own: dict[int, Array]
) -> dict[str, Array]:
    total = {bars: np.zeros(len(x)) for bars in _BARS}
    count, rising, below, level = (np.zeros(len(x)) for _ in range(4))
    for symbol in params.market:
        if symbol == context.symbol:
            moved = own
        else:
            one = context.peers.get(symbol)
            rows = _rows(x, one)
            moved = {bars: _at(rows, one.moves[bars] if one else None) for bars in _BARS}
        known = np.isfinite(moved[24])
        for bars in _BARS:
            total[bars] += np.where(known, moved[bars], 0.0)
        count += known
        rising += moved[24] > 0.0
        if symbol != context.symbol:
            ahead = own[24] - moved[24]
            below += ahead > TIE
            level += np.abs(ahead) <= TIE
    others = count - (context.symbol in params.market) * np.isfinite(own[24])
    found = {f"market_return_{bars}": ratio(total[bars], count, undefined=0.0) for bars in _BARS}
    found |= {
        "market_breadth_24": ratio(rising, count, undefined=0.5),
        "market_rank_24": ratio(below + 0.5 * level, others, undefined=0.5),
    }
    enough = (count >= max(MIN_KNOWN * len(params.market), 1.0)) & np.isfinite(own[24])
    return _masked(found, enough, "market_available")


def _masked(found: dict[str, Array], known: NDArray[np.bool_], flag: str) -> dict[str, Array]:
    masked = {name: np.where(known, values, 0.0) for name, values in found.items()}
    return {**masked, flag: known.astype(np.float64)}


def _rows(x: Inputs, other: Peer | None) -> NDArray[np.int64] | slice | None:
    """Rows of `other` with the opens of `x`, -1 where there is none; a slice where they are the same bars."""
    if other is None or not len(other.close):
        return None
    if len(other.timestamp) == len(x) and bool((other.timestamp == x.timestamp).all()):
        return slice(None)
    rows = np.searchsorted(other.timestamp, x.timestamp)
    found = other.timestamp[np.minimum(rows, len(other.timestamp) - 1)] == x.timestamp
    return np.where(found, rows, -1)


def _at(rows: NDArray[np.int64] | slice | None, values: Array | None) -> Array:
    """`values` at `rows`, NaN where there is none."""
    if values is None or rows is None:
        return np.array(np.nan)
    if isinstance(rows, slice):
        return values
    return np.where(rows >= 0, values[rows], np.nan)
