"""Which recipes of a model were tried, and what each earned a day. Enters: store, ledger. Leaves: `Tried`.

Two records are held against each other: the ledger of registrations (`registry.ledger`), which is chained,
and the runs of the tracking store, which hold what was earned. Every run that was ever recorded for the model
counts, those of refused and of deleted versions too; and so does, under whatever name, a model that a ledger
beside says was trained on some of the same bars. A recipe of a ledger whose returns the store cannot show is
lost.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from xrl.errors import DataError
from xrl.market import prints
from xrl.registry import ledger
from xrl.registry.comparison import daily_series, flaw
from xrl.registry.ledger import Line, Registered
from xrl.registry.store import RecordedRun, Store
from xrl.registry.trials import Tried
from xrl.registry.version import Version


def tried_beside(store: Store, candidate: Version, path: Path) -> Tried | None:
    """Recipes tried on the candidate's bars, its own run left out; None where nothing is recorded at all.

    Only a bundle that is the ledger's to the byte says what a recipe earned; where there are several, the
    newest. A recipe that only unregistered runs know is one more try, and so is a run that names none.

    Args:
        store: the tracking store.
        candidate: a registered version.
        path: of the model's ledger.
    """
    runs = store.runs(candidate.name)
    lines, elsewhere, fault = _ledgers(path, len(runs))
    if not runs and not lines:
        return None
    shared = _sharing(elsewhere, lines)
    counted = [line.entry for line in (*lines, *shared)]
    beside = [entry for entry in reversed(counted) if entry.run != candidate.run_id]
    entered = {entry.recipe for entry in counted}
    registered = {line.entry.run for line in (*lines, *elsewhere)} | {candidate.run_id}
    models = sorted({line.entry.model for line in shared})
    runs = (*runs, *(run for model in models for run in store.runs(model)))
    others = {run.recipe or run.id for run in runs if run.id not in registered}
    returns = {recipe: own for recipe in entered if (own := _newest(store, beside, recipe)) is not None}
    lost = frozenset(entered - returns.keys())
    return Tried(
        returns=returns,
        lost=lost,
        strays=frozenset(others - entered),
        unentered=_unentered(store, candidate.name, lines),
        fault=fault,
        notes=(*_adopted(lines), *_told(models, shared)),
        lost_of=tuple(sorted({line.entry.model for line in shared if line.entry.recipe in lost})),
    )


def unregistered_versions(store: Store, name: str, lines: Sequence[Line]) -> tuple[Version, ...]:
    """Versions of the model `name` whose bundle is in no line, or that bear the hash of none."""
    digests, hashes = {line.entry.digest for line in lines}, {line.hash for line in lines}
    return tuple(
        version
        for version in store.versions(name)
        if version.digest not in digests or version.tags.get(ledger.TAG) not in hashes
    )


def unregistered_runs(store: Store, name: str, lines: Sequence[Line]) -> tuple[RecordedRun, ...]:
    """The newest run of each recipe that was recorded to its end and is in no line, deleted ones too."""
    known = {line.entry.recipe for line in lines}
    recorded = [run for run in store.runs(name) if run.recipe is not None and run.finished]
    return tuple({run.recipe: run for run in recorded if run.recipe not in known}.values())


def _unentered(store: Store, name: str, lines: Sequence[Line]) -> frozenset[str]:
    versions = {
        version.tags.get("recipe", version.digest) for version in unregistered_versions(store, name, lines)
    }
    return frozenset(versions | {run.recipe or run.id for run in unregistered_runs(store, name, lines)})


def _sharing(elsewhere: Sequence[Line], own: Sequence[Line]) -> tuple[Line, ...]:
    """Lines of other models that were trained on some of the bars of this one, or do not say on which."""
    ours = frozenset[str]().union(*(prints.hashes(line.entry.bars) for line in own))
    same = {line.hash for line in elsewhere if not ours.isdisjoint(prints.hashes(line.entry.bars))}
    models = {line.entry.model for line in elsewhere if line.hash in same}
    return tuple(
        line
        for line in elsewhere
        if line.hash in same or (line.entry.model in models and not line.entry.bars)
    )


def _told(models: Sequence[str], shared: Sequence[Line]) -> tuple[str, ...]:
    if not shared:
        return ()
    recipes = len({line.entry.recipe for line in shared})
    return (f"{recipes} recipes of {', '.join(models)} were tried on the same bars and count as well",)


def _ledgers(path: Path, runs: int) -> tuple[tuple[Line, ...], tuple[Line, ...], str]:
    """The lines of the model's ledger and of all others; or none, and why they say nothing."""
    try:
        lines, elsewhere = ledger.read(path), ledger.beside(path)
    except DataError as error:
        return (), (), str(error)
    if lines or not runs:
        return lines, elsewhere, ""
    missing = (
        f"there is no ledger at {path}, though {runs} runs of this model are recorded: bring it back from a "
        "backup. A deployment that is older than the ledger begins one with `xrl ledger adopt --reason ...`"
    )
    return (), (), missing


def _adopted(lines: Sequence[Line]) -> tuple[str, ...]:
    """That lines were written afterwards; what was gone from the store by then is not among them."""
    found = [line.entry for line in lines if line.entry.adopted is not None]
    if not found:
        return ()
    last = found[-1]
    return (
        f"{len(found)} of {len(lines)} lines of the ledger were written afterwards, the last at "
        f"{last.registered_at} ({last.adopted}): what was gone from the store by then is not among them",
    )


def _newest(store: Store, newest_first: Sequence[Registered], recipe: str) -> pd.Series | None:
    """What a recipe earned, by its newest registration that can be read; None where none can."""
    own = (entry for entry in newest_first if entry.recipe == recipe)
    return next((found for entry in own if (found := _daily(store, entry)) is not None), None)


def _daily(store: Store, entry: Registered) -> pd.Series | None:
    """Daily returns of a registration's track; None where its bundle is gone or changed, or no account's."""
    track = store.track(entry.run, entry.digest)
    if track is None:
        return None
    try:
        if flaw(track):
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            found = daily_series(track)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None
    found = found.where(
        ~(found <= -1.0).cummax().shift(fill_value=False), 0.0
    )  # nothing is left to earn with
    return found if len(found) >= 2 and bool(np.isfinite(found).all()) else None
