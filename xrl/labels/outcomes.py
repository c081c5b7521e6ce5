"""What came after each bar. Enters: closes of one symbol. Leaves: outcomes and classes, one a bar.

The default label divides the forward return by the volatility known at the bar and cuts it at percentiles
fitted on training bars: classes near thirds on unseen years and coins.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.config import LabelParams
from xrl.errors import DataError
from xrl.market.candles import horizon_volatility


class Outcomes(NamedTuple):
    """Outcomes of one symbol's bars, each (n,) float64.

    Attributes:
        forward_return: `log(close_{t+h} / close_t)`; NaN for the last h bars.
        volatility: standard deviation of the h-bar log return as known at close t; NaN in warm-up.
        score: forward_return / volatility; NaN where either is unknown or the volatility is 0.
    """

    forward_return: NDArray[np.float64]
    volatility: NDArray[np.float64]
    score: NDArray[np.float64]


def outcomes(close: NDArray[np.float64], params: LabelParams) -> Outcomes:
    """Outcomes over `params.horizon_bars`.

    Args:
        close: (n,) closes of consecutive bars, above 0.
        params: horizon and volatility window.
    """
    horizon = params.horizon_bars
    forward = np.full(len(close), np.nan)
    log_close = np.log(close)
    if horizon < len(close):
        forward[:-horizon] = log_close[horizon:] - log_close[:-horizon]
    volatility = horizon_volatility(close, params.volatility_window, horizon)
    still = ~(volatility > 0)
    score = np.where(still, np.nan, forward / np.where(still, 1.0, volatility))
    return Outcomes(forward, volatility, score)


def label_ends(timestamp: NDArray[np.datetime64], horizon_bars: int) -> NDArray[np.datetime64]:
    """When each label becomes known: the close of the bar `horizon_bars` later; NaT for the last ones.

    A bar lasts as long as the shortest step between bars, so a gap in the history is not taken for a long
    bar.

    Args:
        timestamp: (n,) opens of one symbol's bars.
        horizon_bars: bars ahead.
    """
    ends = np.full(timestamp.shape, np.datetime64("NaT"), dtype="datetime64[ms]")
    if horizon_bars < len(timestamp):
        bar = np.diff(timestamp).min()
        ends[:-horizon_bars] = timestamp[horizon_bars:] + bar
    return ends


def cuts(score: NDArray[np.float64], percentiles: tuple[float, float]) -> tuple[float, float]:
    """The scores below which a bar is SELL and above which it is BUY, from training bars; NaN are ignored.

    Raises:
        DataError: no finite score, or the percentiles are not ordered within (0, 1).
    """
    low, high = percentiles
    if not 0 < low < high < 1:
        raise DataError(
            f"`labels.percentiles` must be ordered within (0, 1), e.g. [0.33, 0.67]; received {percentiles}"
        )
    known = score[np.isfinite(score)]
    if not len(known):
        raise DataError(
            "no matured label among the training bars; pull more days or lower `labels.horizon_bars`"
        )
    cut_low, cut_high = np.quantile(known, (low, high))
    return float(cut_low), float(cut_high)


def classify(score: NDArray[np.float64], cut_low: float, cut_high: float) -> NDArray[np.int8]:
    """SELL below `cut_low`, BUY above `cut_high`, HOLD between.

    Args:
        score: (n,), finite: select the matured bars first.

    Raises:
        DataError: a score is NaN; a class of an unknown outcome does not exist.
    """
    unknown = int(np.isnan(score).sum())
    if unknown:
        raise DataError(f"{unknown} of {len(score)} scores are NaN; classify matured bars only")
    classes = np.full(score.shape, columns.HOLD, dtype=np.int8)
    classes[score < cut_low] = columns.SELL
    classes[score > cut_high] = columns.BUY
    return classes
