"""What follows a registration: judge the challenger, promote it, take it back.

Enters: the registry and the section `gate`. Leaves: aliases, and every decision recorded with its figures at
the version it is about, promoted or not. Each step may be run again: it finds what is done and does the rest.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pandas as pd

from xrl.config import GateParams
from xrl.errors import BundleError, RegistryError
from xrl.registry.bundle import Bundle, Parity
from xrl.registry.checks import Check
from xrl.registry.gate import Decision, Evidence, Track, judge
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

#: Replays a bundle's golden pairs; raises BundleError when it cannot be loaded.
Replay = Callable[[Bundle], Parity]


@dataclass(frozen=True)
class Judgement:
    """A version and what the gate said of it."""

    version: Version
    decision: Decision


def waiting(store: Store, names: tuple[str, ...]) -> tuple[Version, ...]:
    """Challengers among the models `names` that the gate has not judged."""
    found = (store.aliased(name, CHALLENGER) for name in names)
    return tuple(version for version in found if version is not None and GATE not in version.tags)


def judge_version(store: Store, version: Version, replay: Replay, params: GateParams) -> Judgement:
    """Judge one challenger against its model's champion and record the decision.

    A bundle that is damaged or cannot be loaded is refused like one that is bad.
    """
    champion = store.aliased(version.name, CHAMPION)
    with tempfile.TemporaryDirectory(prefix="xrl-gate-") as folder:
        try:
            decision = judge(_evidence(store, version, champion, replay, Path(folder)), params)
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
        store.drop_alias(name, CHALLENGER)  # an earlier promotion was cut short after its main step
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
    store.drop_alias(name, CHALLENGER)
    return f"{challenger} is champion" + (f", {champion} was" if champion else "")


def rollback(store: Store, name: str) -> str:
    """Give the alias `champion` back to the version that had it before, and mark the one taken back.

    Raises:
        RegistryError: there is no champion, or it is the first one.
    """
    champion = store.aliased(name, CHAMPION)
    if champion is None:
        raise RegistryError(f"{name} has no champion; nothing to roll back")
    number = champion.tags.get(PREVIOUS, _NONE)
    if number == _NONE:
        raise RegistryError(f"{champion} is the first champion; there is none to go back to")
    previous = store.version(name, number)
    store.tag(champion, {ROLLED_BACK: _now()})
    store.set_alias(previous, CHAMPION)
    return f"{previous} is champion again, {champion} was taken back"


def _evidence(
    store: Store, version: Version, champion: Version | None, replay: Replay, folder: Path
) -> Evidence:
    bundle = store.fetch(version, _new(folder / "challenger"))
    return Evidence(
        challenger=_track(version, bundle),
        metrics=bundle.json("metrics.json"),
        parity=replay(bundle),
        parity_tolerance=float(bundle.json("golden.json")["tolerance"]),
        champion=_track(champion, store.fetch(champion, _new(folder / "champion"))) if champion else None,
    )


def _track(version: Version, bundle: Bundle) -> Track:
    return Track(bundle.digest, version.tags["recipe"], pd.read_parquet(bundle.path / "track.parquet"))


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
