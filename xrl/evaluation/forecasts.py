"""How good forecasts of the next bar are. Enters: what was said and what came. Leaves: figures. Pure.

Direction is held against a coin, the change against "no change", confidence against how often it was right.
Intervals resample whole calendar weeks across all symbols (`significance`).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.evaluation import significance
from xrl.evaluation.metrics import Array

#: Rows of a share: how many, and how many of them.
_SHARE = significance.share


class Forecasts(NamedTuple):
    """Forecasts whose outcome is known, each (n,).

    Attributes:
        timestamp: datetime64, open of the bar at whose close they were made.
        up: probability that the next bar closes higher.
        change: its log return, as forecast.
        right: probability, as said, that the direction of `up` is right.
        confidence: percentile of `right` among earlier ones, 0..1.
        outcome: the next bar's log return, as it came.
    """

    timestamp: NDArray[np.datetime64]
    up: Array
    change: Array
    right: Array
    confidence: Array
    outcome: Array


def figures(said: Forecasts, minimum: float, draws: int, seed: int) -> dict[str, Any]:
    """Figures with 95 % intervals `{value, low, high}`; shares and correlations 0..1, changes in percent.

    Bars without any change tell no direction and are left out of everything but the change.

    Args:
        said: the forecasts.
        minimum: confidence from which on a forecast counts as sure.
        draws, seed: of the bootstrap.

    Raises:
        DataError: fewer than two weeks, or no bar that moved.
    """
    week = significance.week_index(said.timestamp)
    moved = said.outcome != 0
    if not moved.any():
        raise DataError("no forecast bar moved: there is nothing to judge a direction by")
    rose = said.outcome > 0
    right = (said.up > 0.5) == rose
    sure = moved & (said.confidence >= minimum)
    error, still = (
        100 * np.abs(np.expm1(x) - np.expm1(said.outcome)) for x in (said.change, 0.0 * said.change)
    )
    sums = {
        "direction": _counts(moved, right, week),
        "sure": _counts(sure, right, week),
        "unsure": _counts(moved & ~sure, right, week),
    }
    shown: dict[str, Any] = {
        "rows": len(said.outcome),
        "direction_accuracy": _interval(_SHARE, sums["direction"], draws, seed),
        "always_up": float(rose[moved].mean()),
        "share_up": float((said.up > 0.5).mean()),
        "share_sure": float(sure.sum() / moved.sum()),
        "direction_accuracy_sure": _interval(_SHARE, sums["sure"], draws, seed),
        "sure_minus_unsure": significance.paired(
            _SHARE, _SHARE, sums["sure"], sums["unsure"], draws, seed
        )._asdict(),
        "change_error": float(error.mean()),
        "zero_change_error": float(still.mean()),
        "change_gain": _interval(_SHARE, _counts(np.ones_like(moved), still - error, week), draws, seed),
        "rank_correlation": _interval(
            significance.correlation, significance.rank_sums(said.change, said.outcome, week), draws, seed
        ),
    }
    for name, probability, event in (("up", said.up, rose), ("right", said.right, right)):
        gaps = significance.gap_sums(probability[moved], event[moved], week[moved])
        found = significance.unbiased_interval(significance.calibration_error, gaps, draws, seed)
        shown[f"{name}_calibration_error"] = found._asdict()
    return shown


def _interval(statistic: significance.Statistic, sums: Array, draws: int, seed: int) -> dict[str, float]:
    return significance.interval(statistic, sums, draws, seed)._asdict()


def _counts(among: NDArray[np.bool_], value: NDArray[Any], week: NDArray[np.int64]) -> Array:
    """Per week how many rows are `among`, and the sum of their `value`: (weeks, 2)."""
    return significance.block_sums(np.stack([among, among * value], axis=1).astype(np.float64), week)
