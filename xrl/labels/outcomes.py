"""What came after each bar. Enters: prices of one symbol. Leaves: outcomes and their ends, one a bar.

An outcome is a `score`, which the cut-offs of a fold divide into SELL, HOLD and BUY (`xrl.labels.classes`):

    kind                   score                        cut-offs
    normalised_percentile  forward return / volatility  percentiles of the fold's training bars (default)
    raw_percentile         forward return               percentiles of the fold's training bars
    adaptive               forward return / volatility  -+ `threshold_multiplier`
    adaptive_filtered      forward return / volatility  the same, and HOLD where volatility is low
    triple_barrier         -1 or 1 at a touched         the touch
                           barrier, between them the
                           return in units of it

Volatility is that of the horizon's log return as known at the bar. The default gives classes near thirds on
unseen years and coins.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.config import LabelParams
from xrl.labels.barriers import Prices, first_touches
from xrl.market.candles import horizon_volatility

Array = NDArray[np.float64]

#: Largest score of a bar that touched no barrier: the next number below 1.
UNTOUCHED: Final = float(np.nextafter(1.0, 0.0))


class Outcomes(NamedTuple):
    """Outcomes of one symbol's bars, each (n,).

    Attributes:
        forward_return: log return from close t to the close of the label's last bar; NaN where not known yet.
        volatility: standard deviation of the h-bar log return as known at close t; NaN in warm-up.
        score: see the module; NaN where not known yet, and where a volatility is needed and unknown or 0.
        end_bar: int64, the bar at whose close the label is known; -1 where not known yet.
    """

    forward_return: Array
    volatility: Array
    score: Array
    end_bar: NDArray[np.int64]


def outcomes(prices: Prices, params: LabelParams) -> Outcomes:
    """Outcomes of the kind that `params` names, over at most `params.horizon_bars`."""
    volatility = horizon_volatility(prices.close, params.volatility_window, params.horizon_bars)
    if params.kind == "triple_barrier":
        return _barrier_outcomes(prices, volatility, params)
    end_bar = horizon_ends(len(prices.close), params.horizon_bars)
    forward = _forward_return(prices.close, end_bar)
    score = forward if params.kind == "raw_percentile" else _normalised(forward, volatility)
    return Outcomes(forward, volatility, score, end_bar)


def label_ends(timestamp: NDArray[np.datetime64], end_bar: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """When each label becomes known: the close of its last bar; NaT where that is not known yet.

    A bar lasts as long as the shortest step between bars, so a gap in the history is not taken for a long
    bar.

    Args:
        timestamp: (n,) opens of one symbol's bars.
        end_bar: (n,) number of each label's last bar, -1 for none.
    """
    ends = np.full(timestamp.shape, np.datetime64("NaT"), dtype="datetime64[ms]")
    known = end_bar >= 0
    if known.any():
        bar = np.diff(timestamp).min()
        ends[known] = timestamp[end_bar[known]] + bar
    return ends


def horizon_ends(count: int, horizon_bars: int) -> NDArray[np.int64]:
    """The bar at whose close each of `count` bars' horizon is over; -1 where that has not come. (count,)"""
    ends = np.full(count, -1, dtype=np.int64)
    known = max(count - horizon_bars, 0)
    ends[:known] = np.arange(known) + horizon_bars
    return ends


def _forward_return(close: Array, end_bar: NDArray[np.int64]) -> Array:
    forward = np.full(len(close), np.nan)
    log_close = np.log(close)
    known = np.flatnonzero(end_bar >= 0)
    forward[known] = log_close[end_bar[known]] - log_close[known]
    return forward


def _normalised(forward: Array, volatility: Array) -> Array:
    still = ~(volatility > 0)
    return np.where(still, np.nan, forward / np.where(still, 1.0, volatility))


def _barrier_outcomes(prices: Prices, volatility: Array, params: LabelParams) -> Outcomes:
    if params.barrier_unit == "sigma":
        above = below = params.barrier * volatility
    else:  # percent of the close, as a log distance
        above = np.full(len(volatility), np.log1p(params.barrier / 100))
        below = np.full(len(volatility), -np.log1p(-params.barrier / 100))
    touches = first_touches(prices, above, below, params.horizon_bars)
    forward = _forward_return(prices.close, touches.end_bar)
    score = np.where(touches.end_bar < 0, np.nan, touches.side.astype(np.float64))
    late = touches.timed_out
    between = forward[late] / np.where(forward[late] > 0, above[late], below[late])
    score[late] = np.clip(between, -UNTOUCHED, UNTOUCHED)
    return Outcomes(forward, volatility, score, touches.end_bar)
