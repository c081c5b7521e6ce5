"""Which of two prices is met first. Enters: one symbol's prices, two distances. Leaves: when, and which.

    bar    t    t+1  t+2  t+3      barriers at +2 % and -2 % of close t, horizon 3
    high  100   101  103  104      the upper one is met within bar t+2: BUY, known at that bar's close
    low   100    99   99  100      (had bar t+2's low been 97, both were met: HOLD, ended at its close)

What happened first within a bar is not known, so a bar that meets both barriers is taken against either side:
a long would have been stopped out, and so would a short. Neither has earned its label. (The account's rule
is the same: within one bar the adverse order comes first.) Source: Lopez de Prado, Advances in Financial
Machine Learning (2018), 3.4, the triple-barrier method; the third barrier is the horizon.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: How far short of a barrier counts as met: prices are round numbers, their logarithms are rounded.
_ROUNDING: Final = 1e-12


class Prices(NamedTuple):
    """Prices of one symbol's consecutive bars, each (n,) float64, above 0."""

    high: Array
    low: Array
    close: Array


class Touches(NamedTuple):
    """Where each bar's wait ended, each (n,).

    Attributes:
        end_bar: int64, the bar at whose close the label is known; -1 where neither barrier has been met yet
            and the horizon is not over, or where a distance is unknown or 0.
        side: int8, 1 above, -1 below, 0 neither or both.
        timed_out: whether the horizon ended the wait.
    """

    end_bar: NDArray[np.int64]
    side: NDArray[np.int8]
    timed_out: NDArray[np.bool_]


def first_touches(prices: Prices, above: Array, below: Array, horizon_bars: int) -> Touches:
    """The first of the next `horizon_bars` bars whose high or low meets a barrier around close t.

    Args:
        prices: of one symbol.
        above: (n,) log distance of the upper barrier from close t, above 0; NaN where unknown.
        below: (n,) the lower one's, a positive number.
        horizon_bars: bars to wait at most.
    """
    count = len(prices.close)
    log_high, log_low, log_close = (np.log(price) for price in (prices.high, prices.low, prices.close))
    end_bar = np.full(count, -1, dtype=np.int64)
    side = np.zeros(count, dtype=np.int8)
    placed = (above > 0) & (below > 0)
    above, below = above - _ROUNDING, below - _ROUNDING
    for lag in range(1, min(horizon_bars, count - 1) + 1):
        start = slice(count - lag)
        risen = log_high[lag:] - log_close[start] >= above[start]
        fallen = log_close[start] - log_low[lag:] >= below[start]
        met = np.flatnonzero((risen | fallen) & placed[start] & (end_bar[start] < 0))
        end_bar[met] = met + lag
        side[met] = risen[met].astype(np.int8) - fallen[met]
    waited = np.flatnonzero(placed[: max(count - horizon_bars, 0)])
    waited = waited[end_bar[waited] < 0]
    end_bar[waited] = waited + horizon_bars
    timed_out = np.zeros(count, dtype=bool)
    timed_out[waited] = True
    return Touches(end_bar, side, timed_out)
