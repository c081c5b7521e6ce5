"""The candidate's Sharpe ratio after all that was tried to find it. Pure.

Enters: the candidate's track, the daily returns of every other recipe of its model, the section `gate`.
Leaves: `Check`s. A recipe is one trial however often it was trained; recipes whose returns move together are
one as well (`evaluation.trials`), and one whose returns are lost counts as one of its own. What was tried
must be known: ledger and tracking store are held against each other (`registry.recipes`).
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
    """Recipes of a model, by their hash, as far as ledger and tracking store remember them."""

    returns: Mapping[str, pd.Series]  # daily returns by day
    lost: frozenset[str]  # in the ledger, and the store cannot say what they earned
    strays: frozenset[str] = frozenset()  # runs that never became a registration, without readable returns
    unentered: frozenset[str] = frozenset()  # registered as the store tells, and not in the ledger
    fault: str = ""  # why the ledger says nothing at all; "" where it can be read
    notes: tuple[str, ...] = ()  # what is to be known of the ledger besides
    lost_of: tuple[str, ...] = ()  # other models, some of whose recipes are lost


def checks(track: pd.DataFrame, recipe: str, tried: Tried | None, params: GateParams) -> list[Check]:
    """Whether what was tried is known, and the Sharpe ratio after all of it.

    Args:
        track: of the candidate.
        recipe: its own hash, which counts once.
        tried: every recipe of the model; None where neither ledger nor store knows any, which refuses.
        params: `max_lost_recipes`, `min_deflated_sharpe`, `same_trial_correlation`.
    """
    effective, probability = _deflated(track, recipe, tried, params)
    return [
        *_known(recipe, tried or Tried({}, frozenset(), fault="no registration is recorded at all"), params),
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


def _known(recipe: str, tried: Tried, params: GateParams) -> list[Check]:
    """Ledger and tracking store tell of the same recipes, and what each of them earned."""
    lost = tried.lost - {recipe}
    why = tried.fault or (
        f"the tracking store holds registrations that the ledger does not know ({_named(tried.unentered)}): "
        "lines of it are gone or were written anew. Bring it back from a backup; or `xrl ledger adopt "
        "--reason ...` enters what the store still has, and every later decision says so"
    )
    gone = (
        f"the returns of recipes that were tried are gone from the tracking store ({_named(lost)}): bring "
        "their runs back from a backup, or train and register them again"
    )
    if tried.lost_of:
        gone += f"; some are of {', '.join(tried.lost_of)}, and are trained under that model's `market.name`"
    differing = None if tried.fault else float(len(tried.unentered))
    return [
        compare("ledger", differing, "<=", 0.0, why),
        compare("lost_recipes", float(len(lost)), "<=", float(params.max_lost_recipes), gone),
    ]


def _named(hashes: frozenset[str]) -> str:
    """Up to five of them, shortened."""
    shown = ", ".join(sorted(name[:12] for name in hashes)[:5])
    return shown + (", ..." if len(hashes) > 5 else "")


def _deflated(
    track: pd.DataFrame, recipe: str, tried: Tried | None, params: GateParams
) -> tuple[float | None, float | None]:
    ours = daily_series(track)
    if tried is None or len(ours) < 2 or not np.isfinite(ours).all():
        return None, None
    others = [own for name, own in tried.returns.items() if name != recipe]
    search = trials.search_of(
        [ours, *others], len((tried.lost | tried.strays) - {recipe}), params.same_trial_correlation, len(ours)
    )
    return float(search.effective), trials.deflated(sharpe.moments(ours.to_numpy(np.float64)), search)
