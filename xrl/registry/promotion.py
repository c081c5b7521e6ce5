"""What follows a registration: judge the challenger, promote it, take it back.

Enters: the registry and the section `gate`. Leaves: aliases, and every decision recorded with its figures at
the version it is about, promoted or not. Each step may be run again: it finds what is done and does the rest.
"""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from xrl.config import GateParams
from xrl.errors import BundleError, RegistryError
from xrl.paths import Paths
from xrl.registry.bundle import JUDGED_SCHEMAS
from xrl.registry.checks import Check
from xrl.registry.evidence import evidence, track_of
from xrl.registry.gate import Decision, Replay, Track, judge
from xrl.registry.recipes import tried_beside
from xrl.registry.registration import GATE, ROLLED_BACK
from xrl.registry.store import Store
from xrl.registry.version import CHALLENGER, CHAMPION, Version

PROMOTE: Final = "promote"
REFUSE: Final = "refuse"
DECISION: Final = "gate/decision.json"
#: Tags: number of the champion a decision was made against, and of the one that a promotion replaced.
JUDGED_AGAINST: Final = "judged_against"
PREVIOUS: Final = "previous_champion"
_NONE: Final = "none"


@dataclass(frozen=True)
class Judgement:
    """A version and what the gate said of it."""

    version: Version
    decision: Decision


def waiting(store: Store, names: tuple[str, ...]) -> tuple[Version, ...]:
    """Versions of the models `names` that the gate has not judged, oldest first.

    One that a newer challenger has taken the place of is judged as well: every decision is recorded, though
    only the version that bears the alias can be promoted.
    """
    return tuple(version for name in names for version in _unjudged(store, name))


def _unjudged(store: Store, name: str) -> list[Version]:
    champion = store.aliases(name).get(CHAMPION)
    settled = {GATE, ROLLED_BACK}
    return [
        version
        for version in store.versions(name)
        if version.number != champion and not settled & version.tags.keys()
    ]


def judge_version(
    store: Store, version: Version, replay: Replay, params: GateParams, paths: Paths
) -> Judgement:
    """Judge one challenger against its model's champion and record the decision.

    A bundle that is damaged or cannot be loaded is refused like one that is bad. One whose champion cannot be
    read is not judged: the fault is not its own, and without the comparison anything would pass.

    Args:
        store, version: where the challenger is registered, and which it is.
        replay: of golden pairs.
        params: section `gate`.
        paths: of any checkout that shares the market store, beside which ledger and logs lie.

    Raises:
        RegistryError: the champion's bundle cannot be read; nothing is recorded.
    """
    champion = store.aliased(version.name, CHAMPION)
    with tempfile.TemporaryDirectory(prefix="xrl-gate-") as folder:
        against = _champion_track(store, champion, Path(folder)) if champion else None
        tried = tried_beside(store, version, paths.ledger(version.name))
        try:
            bundle = store.fetch(version, _new(Path(folder) / "challenger"))
            found = evidence(bundle, against, tried, paths.holdout_logs, replay, params)
            decision = judge(found, params)
        except BundleError as error:
            broken = Check("bundle", None, "<=", 0.0, False, str(error))
            decision = Decision(promote=False, already_champion=False, kind="first", checks=(broken,))
    store.write_json(version, DECISION, decision.as_json())
    store.tag(
        version,
        {
            JUDGED_AGAINST: champion.number if champion else _NONE,
            "gate_kind": decision.kind,
            "gate_refusals": "; ".join(check.sentence() for check in decision.refusals)[:4000] or _NONE,
            "gate_notes": "; ".join(decision.notes)[:4000] or _NONE,
            GATE: PROMOTE if decision.promote else REFUSE,
        },
    )
    return Judgement(version, decision)


def promote(store: Store, name: str) -> str:
    """Make the challenger of `name` champion if the gate said so; say what was done.

    A decision against a champion that has changed since is void: the version waits for the gate again.
    """
    challenger, champion = store.aliased(name, CHALLENGER), store.aliased(name, CHAMPION)
    if challenger is None:
        return f"{champion} is already champion" if champion else f"{name}: nothing to promote"
    if champion is not None and champion.number == challenger.number:
        store.drop_alias(challenger, CHALLENGER)  # an earlier promotion was cut short after its main step
        return f"{champion} is already champion"
    verdict = challenger.tags.get(GATE)
    if verdict is None:
        return f"{challenger} is not judged yet; run `xrl gate` first"
    if verdict != PROMOTE or ROLLED_BACK in challenger.tags:
        kept = f"{champion} stays champion" if champion else "there is no champion"
        return f"{challenger} was refused; {kept}"
    against = champion.number if champion else _NONE
    if challenger.tags.get(JUDGED_AGAINST) != against:
        store.untag(challenger, GATE)
        return f"{challenger} was judged against another champion; run `xrl gate` again"
    store.tag(challenger, {PREVIOUS: against, "promoted_at": _now()})
    store.set_alias(challenger, CHAMPION)
    store.drop_alias(challenger, CHALLENGER)
    return f"{challenger} is champion" + (f", {champion} was" if champion else "")


def rollback(store: Store, name: str) -> str:
    """Give the alias `champion` back to the version that had it before, and mark the one taken back.

    A version that was itself taken back is passed over.

    Raises:
        RegistryError: there is no champion, or none before it that may have its place.
    """
    champion = store.aliased(name, CHAMPION)
    if champion is None:
        raise RegistryError(f"{name} has no champion; nothing to roll back")
    previous, seen = champion, {champion.number}
    while previous is champion or ROLLED_BACK in previous.tags:
        number = previous.tags.get(PREVIOUS, _NONE)
        if number == _NONE or number in seen:
            only = len(seen) == 1
            why = "is the first champion" if only else "has none before it that was not taken back"
            raise RegistryError(f"{champion} {why}; there is none to go back to")
        seen.add(number)
        previous = store.version(name, number)
    store.tag(champion, {ROLLED_BACK: _now()})
    store.set_alias(previous, CHAMPION)
    return f"{previous} is champion again, {champion} was taken back"


def _champion_track(store: Store, champion: Version, folder: Path) -> Track:
    try:
        return track_of(store.fetch(champion, _new(folder / "champion"), JUDGED_SCHEMAS))
    except BundleError as error:
        raise RegistryError(
            f"the champion, {champion}, cannot be read, so nothing is judged against it: {error} "
            "Put its files back, or run `xrl rollback`."
        ) from error


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
