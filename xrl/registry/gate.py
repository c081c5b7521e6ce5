"""The promotion gate: evidence and bounds in, one decision with every figure out. Pure.

What is judged is the recipe's out-of-sample walk-forward track; what is promoted is that recipe refit on
everything, which has no score of its own and must agree with the last fold's models (architecture.md).
Source of the checks: evaluation.md, "Promotion gate". Not judged here yet, and said so in every decision:
`NOT_JUDGED`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from xrl import columns
from xrl.config import GateParams, LabelKind
from xrl.registry import alarms, checklist, checks, trials
from xrl.registry.bundle import Bundle, Parity, canonical_json
from xrl.registry.checks import Check
from xrl.registry.comparison import compare_tracks
from xrl.registry.trials import Tried

Kind = Literal["first", "upgrade", "refresh"]

#: What a decision does not rest on.
NOT_JUDGED: Final = (
    "unregistered trials: recipes never registered, or gone from ledger and tracking store alike",
)
#: What a recipe is: the sections that training and trading depend on, less the day they were trained.
_RECIPE = ("market", "snapshot", "features", "labels", "experts", "oof", "policy", "backtest")
_NOT_RECIPE = {"snapshot": ("as_of",)}


#: Replays a bundle's golden pairs at the judge's bound; raises BundleError when it cannot be loaded.
Replay = Callable[[Bundle, float], Parity]


@dataclass(frozen=True)
class Track:
    """A bundle as the gate knows it: `track` is the table of `stages/backtest/track.parquet`."""

    digest: str
    recipe: str
    track: pd.DataFrame
    trained_through: datetime  # it learned from nothing later
    label_kind: LabelKind = alarms.DEFAULT_KIND


@dataclass(frozen=True)
class Evidence:
    """All that a decision rests on."""

    challenger: Track
    metrics: Mapping[str, Any]
    parity: Parity  # replayed at the bound `gate.max_parity`
    has_ceiling: bool  # its market is the world whose optimal rule is known
    champion: Track | None
    tried: Tried | None  # all recipes of its model; None where that cannot be told
    notes: tuple[str, ...] = ()  # what is known of its days besides, which binds nothing


@dataclass(frozen=True)
class Decision:
    """Promote or not, and every check that led there."""

    promote: bool
    already_champion: bool
    kind: Kind
    checks: tuple[Check, ...]
    not_judged: tuple[str, ...] = NOT_JUDGED
    checklist: tuple[str, ...] = ()  # every item of the production checklist, binding or not
    notes: tuple[str, ...] = ()

    @property
    def refusals(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    def as_json(self) -> dict[str, Any]:
        """The decision as plain values, `gate/decision.json` in the registry."""
        return {
            "promote": self.promote,
            "already_champion": self.already_champion,
            "kind": self.kind,
            "checks": [check._asdict() for check in self.checks],
            "not_judged": list(self.not_judged),
            "checklist": list(self.checklist),
            "notes": list(self.notes),
        }


def judge(evidence: Evidence, params: GateParams) -> Decision:
    """Weigh a challenger against the bounds, the baselines and the champion.

    An identical bundle is already the champion: nothing is judged, nothing changes.
    """
    champion = evidence.champion
    if champion is not None and champion.digest == evidence.challenger.digest:
        return Decision(promote=False, already_champion=True, kind="refresh", checks=())
    kind = _kind(evidence)
    found = (*_own_checks(evidence, params), *_against_champion(evidence, kind, params))
    skipped = _skipped(evidence)
    judged = tuple(check for check in found if check.name not in skipped)
    passed = all(check.passed for check in judged)
    unjudged = (*NOT_JUDGED, *(f"{name}: {why}" for name, why in skipped.items()))
    notes = (*evidence.notes, *(evidence.tried.notes if evidence.tried else ()))
    listed = checklist.lines(evidence.metrics)
    return Decision(passed, False, kind, judged, not_judged=unjudged, checklist=listed, notes=notes)


def _skipped(evidence: Evidence) -> dict[str, str]:
    """Checks that say nothing of this kind of label, and why."""
    ours = evidence.challenger.label_kind
    found = alarms.skipped(ours)
    if evidence.champion is not None and evidence.champion.label_kind != ours:
        found["upgrade_f1"] = (
            f"F1 of {ours} and of the champion's {evidence.champion.label_kind} measure two things"
        )
    return found


def recipe_hash(params: Mapping[str, Any], source: str | None, functions: Mapping[str, str]) -> str:
    """SHA-256 of what makes a recipe: its parameters, less the day it was trained, and its code.

    Args:
        params: sections of params.yaml.
        source: hash of the code that trained; None where the bundle does not say.
        functions: users' columns, each with the hash of the file of its function.
    """
    recipe = {
        section: {
            key: value for key, value in params[section].items() if key not in _NOT_RECIPE.get(section, ())
        }
        for section in _RECIPE
    }
    return hashlib.sha256(canonical_json({**recipe, "source": source, "functions": functions})).hexdigest()


def _own_checks(evidence: Evidence, params: GateParams) -> list[Check]:
    figures, track = evidence.metrics, evidence.challenger.track
    if not evidence.has_ceiling:
        figures = {**figures, "ceiling": None}  # a claim that nothing stands behind raises no bound
    return [
        _length(track, params),
        *(checks.apply(rule, figures, params) for rule in checks.RULES),
        checks.lightgbm(figures, params),
        checks.folds(figures, params),
        *checks.collapse(figures, _side_share(track), params),
        *trials.checks(track, evidence.challenger.recipe, evidence.tried, params),
        *checklist.binding(figures),
        *_parity(evidence.parity, params),
        *alarms.null(figures, params),
        *alarms.alarms(figures, params),
    ]


def _length(track: pd.DataFrame, params: GateParams) -> Check:
    """Days with out-of-sample bars: on fewer, luck passes every bound."""
    days = float(track[columns.TIMESTAMP].dt.floor("D").nunique())
    return checks.compare(
        "track_days", days, ">=", float(params.min_track_days), "the track is too short to judge"
    )


def _parity(parity: Parity, params: GateParams) -> list[Check]:
    bound = min(parity.own_bound, params.max_parity)
    apart = "the exported models do not compute what the trained ones computed"
    return [
        checks.compare("parity_difference", parity.difference, "<=", bound, apart),
        checks.compare("parity_disagreements", float(parity.disagreements), "<=", 0.0, apart),
    ]


def _kind(evidence: Evidence) -> Kind:
    if evidence.champion is None:
        return "first"
    return "refresh" if evidence.champion.recipe == evidence.challenger.recipe else "upgrade"


def _against_champion(evidence: Evidence, kind: Kind, params: GateParams) -> list[Check]:
    """Superior for another recipe, non-inferior for the same one on newer data (evaluation.md)."""
    if evidence.champion is None:
        return []
    found = compare_tracks(evidence.challenger.track, evidence.champion.track, params)
    days = checks.compare(
        "common_days",
        float(found.days),
        ">=",
        float(params.min_common_days),
        "the tracks share too few out-of-sample days to be compared",
    )
    if not days.passed:
        return [days]
    if kind == "refresh":
        worse = f"the refresh may cost more than {params.refresh_sharpe_margin} of Sharpe"
        inferior = found.inferior
        newer = evidence.challenger.trained_through - evidence.champion.trained_through
        older = "it learned from older data than the champion: no refresh"
        return [
            days,
            checks.compare("refresh_days_newer", newer.total_seconds() / 86400, ">=", 0.0, older),
            checks.compare("refresh_inferior", inferior, "<=", params.refresh_probability, worse),
        ]
    better = "the upgrade's Sharpe is not shown to be better than the champion's"
    f1 = "the upgrade's F1 is worse than the champion's"
    return [
        days,
        checks.compare("upgrade_superior", found.superior, ">=", params.upgrade_probability, better),
        checks.compare("upgrade_f1", found.f1_difference, ">=", -params.upgrade_f1_margin, f1),
    ]


def _side_share(track: pd.DataFrame) -> float | None:
    """Largest share of bars that the policy is long, short or flat; None where an exposure is unknown."""
    sides = np.sign(track["exposure"].to_numpy(np.float64))
    if not len(sides) or not np.isfinite(sides).all():
        return None
    return max(float((sides == side).mean()) for side in (-1.0, 0.0, 1.0))
