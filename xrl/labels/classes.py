"""SELL, HOLD or BUY: the one place where outcomes become classes. Enters: labels, a span. Leaves: classes.

Cut-offs are fitted on a span's own training bars and stored in the span, so whoever holds a label table and a
fold, refit or split knows the classes, whatever the kind of label.
"""

from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import LabelKind, LabelParams
from xrl.errors import DataError
from xrl.labels.outcomes import UNTOUCHED

Array = NDArray[np.float64]


class Cut(Protocol):
    """Anything that holds cut-offs: a `Fold`, a `Refit`, a `Split`, or `Cuts` themselves."""

    @property
    def cut_low(self) -> float: ...

    @property
    def cut_high(self) -> float: ...

    @property
    def volatility_floor(self) -> float: ...


class Cuts(NamedTuple):
    """SELL below `cut_low`, BUY above `cut_high`, HOLD between and wherever volatility is below its floor."""

    cut_low: float
    cut_high: float
    volatility_floor: float = 0.0  # 0: no floor


def fit(training: pd.DataFrame, params: LabelParams) -> Cuts:
    """Cut-offs of the kind that `params` names, from training bars alone.

    The sources ask for a "volatility filter for HOLD" and define none. Taken here: a move counts for nothing
    while volatility is below the `hold_below_percentile` of the training bars, all symbols together.

    Args:
        training: label table of the training bars: score, volatility.
        params: section `labels`.

    Raises:
        DataError: no finite score, or percentiles that are not ordered within (0, 1).
    """
    score = training[columns.SCORE].to_numpy(np.float64)
    if not np.isfinite(score).any():
        raise DataError(
            "no matured label among the training bars; pull more days or lower `labels.horizon_bars`"
        )
    if params.kind == "normalised_percentile":
        return Cuts(*percentile_cuts(score, params.percentiles, "percentiles"))
    if params.kind == "raw_percentile":
        return Cuts(*percentile_cuts(score, params.raw_percentiles, "raw_percentiles"))
    if params.kind == "triple_barrier":
        return Cuts(-UNTOUCHED, UNTOUCHED)
    threshold, floor = params.threshold_multiplier, 0.0
    if params.kind == "adaptive_filtered":
        volatility = training[columns.VOLATILITY].to_numpy(np.float64)
        floor = float(np.quantile(volatility[np.isfinite(score)], params.hold_below_percentile))
    return Cuts(-threshold, threshold, floor)


def percentile_cuts(score: Array, percentiles: tuple[float, float], name: str) -> tuple[float, float]:
    """The scores at two percentiles; NaN are ignored.

    Args:
        score: (n,), one of them finite.
        percentiles: within (0, 1), in order.
        name: parameter of section `labels` that they come from.

    Raises:
        DataError: the percentiles are not ordered within (0, 1).
    """
    low, high = percentiles
    if not 0 < low < high < 1:
        raise DataError(
            f"`labels.{name}` must be ordered within (0, 1), e.g. [0.33, 0.67]; received {percentiles}"
        )
    cut_low, cut_high = np.quantile(score[np.isfinite(score)], (low, high))
    return float(cut_low), float(cut_high)


def classes(labels: pd.DataFrame, cut: Cut) -> NDArray[np.int8]:
    """Class of every row by the cut-offs of `cut`; `columns.UNKNOWN` where the outcome is not known. (rows,)

    Args:
        labels: score, and volatility where `cut` has a floor, of any rows.
        cut: a fold, refit or split whose cut-offs are fitted.

    Raises:
        DataError: the cut-offs are not fitted.
    """
    if not (np.isfinite(cut.cut_low) and np.isfinite(cut.cut_high)):
        raise DataError("this span has no cut-offs yet; fit them with `fit_cuts` before asking for classes")
    score = labels[columns.SCORE].to_numpy(np.float64)
    found = np.full(len(labels), columns.HOLD, dtype=np.int8)
    found[score < cut.cut_low] = columns.SELL
    found[score > cut.cut_high] = columns.BUY
    if cut.volatility_floor > 0:
        found[labels[columns.VOLATILITY].to_numpy(np.float64) < cut.volatility_floor] = columns.HOLD
    found[np.isnan(score)] = columns.UNKNOWN
    return found


def return_bounds(labels: pd.DataFrame, cut: Cut, kind: LabelKind) -> tuple[Array, Array] | None:
    """The forward returns below which each row is SELL and above which it is BUY; each (rows,).

    None for the triple barrier, whose class depends on the way there and not on the return at the end.
    """
    if kind == "triple_barrier":
        return None
    volatility = labels[columns.VOLATILITY].to_numpy(np.float64)
    scale = np.ones_like(volatility) if kind == "raw_percentile" else volatility
    low, high = cut.cut_low * scale, cut.cut_high * scale
    held = volatility < cut.volatility_floor
    return np.where(held, -np.inf, low), np.where(held, np.inf, high)
