"""The candidate's Sharpe ratio after all that was tried to find it. Pure.

Enters: the candidate's track, the daily returns of every other recipe of its model, the section `gate`.
Leaves: `Check`s. A recipe is one trial however often it was trained; recipes whose returns move together are
one as well (`evaluation.trials`), and one whose returns are lost counts as one of its own.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from xrl.config import GateParams
from xrl.evaluation import sharpe, trials
from xrl.registry.checks import Check, compare
from xrl.registry.comparison import daily_series


class Tried(NamedTuple):
    """Recipes of a model, by their hash, as far as the tracking store remembers them."""

    returns: Mapping[str, pd.Series]  # daily returns by day
    lost: frozenset[str]  # recipes whose returns cannot be read


def deflated_sharpe(track: pd.DataFrame, recipe: str, tried: Tried | None, params: GateParams) -> list[Check]:
    """The checks of the number of trials and of the deflated Sharpe ratio.

    Args:
        track: of the candidate.
        recipe: its own hash, which counts once.
        tried: every recipe of the model; None where the store cannot tell, which refuses.
        params: `min_deflated_sharpe`, `same_trial_correlation`.
    """
    effective, probability = _deflated(track, recipe, tried, params)
    return [
        compare(
            "effective_trials",
            effective,
            ">=",
            1.0,
            "the recipes tried, or the days of the track, cannot be counted",
        ),
        compare(
            "deflated_sharpe",
            probability,
            ">=",
            params.min_deflated_sharpe,
            "the best of so many recipes reaches such a Sharpe ratio by luck",
        ),
    ]


def _deflated(
    track: pd.DataFrame, recipe: str, tried: Tried | None, params: GateParams
) -> tuple[float | None, float | None]:
    ours = daily_series(track)
    if tried is None or len(ours) < 2 or not np.isfinite(ours).all():
        return None, None
    others = [own for name, own in tried.returns.items() if name != recipe]
    search = trials.search_of(
        [ours, *others], len(tried.lost - {recipe}), params.same_trial_correlation, len(ours)
    )
    return float(search.effective), trials.deflated(sharpe.moments(ours.to_numpy(np.float64)), search)
