"""What may be learned of a bar beside its class. Pure numpy.

Enters: closes, times and volatilities of all bars, and which of them train. Leaves: scores, ranks and volume
readings, NaN where unknown. A target counts as known at the close of its own last bar: whoever trains on bars
up to a moment gets NaN for every target that ends later, however short the label's own horizon is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrl.errors import TrainingError
from xrl.presets import Preset

Array = NDArray[np.float64]
#: Scores beyond so many deviations say no more about the bar.
_LARGEST_SCORE = 5.0


@dataclass(frozen=True)
class Targets:
    """Further targets of all bars; NaN where unknown, and a bar of NaN counts for nothing in that task.

    Attributes:
        score: (rows,) forward return over the label's horizon, in units of its volatility.
        ranks: (rows, horizons) ranks in (0, 1) of the returns over `loss.rank_horizons` among training bars.
        vsa: (rows,) `vsa_signal` of the bar, -1 bearish to 1 bullish; known at the bar itself.
    """

    score: NDArray[np.float32]
    ranks: NDArray[np.float32]
    vsa: NDArray[np.float32]


def scores(forward_return: Array, volatility: Array) -> NDArray[np.float32]:
    """Forward returns in units of volatility, within +-5; NaN where one is unknown or it is 0. (rows,)"""
    still = ~(volatility > 0)
    found = np.where(still, np.nan, forward_return) / np.where(still, 1.0, volatility)
    return np.clip(found, -_LARGEST_SCORE, _LARGEST_SCORE).astype(np.float32)


def rank_targets(
    close: Array,
    volatility: Array,
    symbol: NDArray[np.integer],
    time_ms: NDArray[np.int64],
    learned: NDArray[np.bool_],
    known_by_ms: int,
    horizons: Sequence[int],
    bar_ms: int,
) -> NDArray[np.float32]:
    """Ranks of the forward returns over several horizons, in units of volatility, among the training bars.

    Args:
        close: (rows,) prices, rows sorted by symbol, then time.
        volatility: (rows,) of the bar; its scale does not matter.
        symbol: (rows,) code of the symbol.
        time_ms: (rows,) open time of the bar.
        learned: (rows,) bars that train; the ranks are fitted on them and given to them alone.
        known_by_ms: a return counts if the bar that ends it has closed by then.
        horizons: bars ahead.
        bar_ms: length of a bar.

    Returns:
        (rows, horizons) in (0, 1); NaN where a bar does not train, its return ends later than `known_by_ms`
        or past a gap, or its volatility is unknown.
    """
    found = np.full((len(close), len(horizons)), np.nan, dtype=np.float32)
    for column, horizon in enumerate(horizons):
        ahead = _ahead(close, symbol, time_ms, horizon, bar_ms)
        value = np.where(volatility > 0, ahead / np.where(volatility > 0, volatility, 1.0), np.nan)
        ends_ms = time_ms + (horizon + 1) * bar_ms
        known = learned & (ends_ms <= known_by_ms) & np.isfinite(value)
        found[known, column] = _ranks(value[known])
    return found


def check_targets(targets: Targets | None, preset: Preset) -> None:
    """Refuse a preset that asks for targets which were not handed over.

    Raises:
        TrainingError: a weight is set and its target is missing.
    """
    if not preset.needs_targets:
        return
    if targets is None:
        raise TrainingError(
            "the preset weighs volume, returns or ranks, or has a curriculum, and the rows hold no such "
            "targets. Pass `Rows.targets`, or set loss.vsa_weight, loss.return_weight, loss.rank_weight and "
            "curriculum.epochs to 0."
        )
    wanted = len(preset.loss.rank_horizons) if preset.loss.rank_weight else 0
    if wanted and targets.ranks.shape[1] != wanted:
        raise TrainingError(
            f"`loss.rank_horizons` names {wanted} horizons; received ranks over {targets.ranks.shape[1]}"
        )


def _ahead(
    close: Array, symbol: NDArray[np.integer], time_ms: NDArray[np.int64], horizon: int, bar_ms: int
) -> Array:
    """Log return over the next `horizon` bars; NaN past the symbol's end or a gap."""
    found = np.full(len(close), np.nan)
    near, far = slice(None, -horizon), slice(horizon, None)
    unbroken = (symbol[near] == symbol[far]) & (time_ms[far] - time_ms[near] == horizon * bar_ms)
    found[near] = np.where(unbroken, np.log(close[far] / close[near]), np.nan)
    return found


def _ranks(values: Array) -> Array:
    """Ranks in (0, 1); the order among equals does not matter here."""
    found = np.empty(len(values))
    found[values.argsort(kind="stable")] = (np.arange(len(values)) + 0.5) / max(len(values), 1)
    return found
