"""Which recipes of a model were tried, and what each earned a day. Enters: the registry. Leaves: `Tried`.

Every run that was ever recorded for the model counts, those of refused and of deleted versions too. What was
never registered, or was removed from the tracking store for good, cannot be counted.
"""

import pandas as pd

from xrl.registry.comparison import daily_series
from xrl.registry.store import Store
from xrl.registry.trials import Tried
from xrl.registry.version import Version


def tried_beside(store: Store, candidate: Version) -> Tried | None:
    """The recipes of the candidate's model, its own run left out; None where no run is recorded at all.

    A recipe that was trained several times is told by its newest run. A run without a recipe's hash counts as
    a recipe of its own.
    """
    runs = store.runs(candidate.name)
    if not runs:
        return None
    newest = {run.recipe or run.id: run.id for run in runs if run.id != candidate.run_id}
    found = {recipe: _daily(store, run_id) for recipe, run_id in newest.items()}
    returns = {recipe: own for recipe, own in found.items() if own is not None}
    return Tried(returns, frozenset(found.keys() - returns.keys()))


def _daily(store: Store, run_id: str) -> pd.Series | None:
    """Daily returns of a run's track; None where it is gone, damaged, or too short to have any."""
    track = store.track(run_id)
    if track is None:
        return None
    try:
        found = daily_series(track)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None
    return found if len(found) >= 2 and bool(found.notna().all()) else None
