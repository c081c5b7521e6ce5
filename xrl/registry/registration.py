"""From a finished training's files to a version in the registry.

Enters: a checkout or workspace in which every stage has run. Leaves: an MLflow run with parameters,
metrics, plots, reports and the bundle, a line in the ledger of recipes, and a model version that bears the
line's hash and the alias `challenger`. A stage restored from DVC's cache logs nothing, so all of it is read
from the files on disk. Whatever is cut short is done by registering again.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pandas as pd
import yaml

from xrl.config import Config
from xrl.paths import Paths
from xrl.registry import ledger
from xrl.registry.bundle import Bundle, open_bundle
from xrl.registry.evidence import recipe_of
from xrl.registry.ledger import Registered
from xrl.registry.store import BUNDLE_FOLDER, Store
from xrl.registry.version import CHALLENGER, CHAMPION, Version
from xrl.tracking import Run, log_run

#: Tag of a version that was taken back; it is not promoted again.
ROLLED_BACK: Final = "rolled_back"
#: Tag with the gate's verdict: `promote` or `refuse`. A challenger without it is waiting to be judged.
GATE: Final = "gate"


@dataclass(frozen=True)
class Registration:
    """What `register` found or made."""

    version: Version
    is_new: bool
    is_champion: bool

    def sentence(self) -> str:
        digest = self.version.digest[:12]
        if self.is_champion:
            return f"{self.version} is already champion (identical bundle {digest})"
        if self.is_new:
            return f"{self.version} registered as challenger (bundle {digest})"
        if ROLLED_BACK in self.version.tags:
            return f"{self.version} holds this very bundle {digest} and was rolled back; it stays so"
        return f"{self.version} holds this very bundle {digest}; challenger again"


def register(config: Config, paths: Paths, store: Store) -> Registration:
    """Record the run and its bundle; an identical bundle keeps the version it already has.

    Raises:
        BundleError: there is no sound bundle in `paths`.
        DataError: the ledger is damaged.
        RegistryError: the registry is unreachable or refuses.
    """
    bundle = open_bundle(paths.bundle)
    name = config.market.model_name
    known = store.with_digest(name, bundle.digest)
    path = paths.ledger(name)
    if known is not None:
        return _reuse(store, known)
    ledger.read(path)  # a damaged one is told before anything is recorded
    tags = _tags(config, paths, bundle)
    run = Run(
        experiment=name,
        name=f"{tags['as_of'][:10]} {bundle.digest[:8]}",
        params=yaml.safe_load((bundle.path / "params.yaml").read_bytes()),
        metrics=bundle.json("metrics.json"),
        tags=tags,
        artifacts=_artifacts(paths),
        curves=_curves(paths),
    )
    run_id = log_run(store.client, store.url, run)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = Registered(now, name, tags["recipe"], bundle.digest, run_id)
    version = store.create(name, run_id, {**tags, ledger.TAG: ledger.enter(path, entry).hash})
    store.set_alias(version, CHALLENGER)
    return Registration(version, is_new=True, is_champion=False)


def _reuse(store: Store, known: Version) -> Registration:
    """A known bundle is judged anew, unless it is the champion or was taken back."""
    is_champion = store.aliases(known.name).get(CHAMPION) == known.number
    if not is_champion and ROLLED_BACK not in known.tags:
        store.untag(known, GATE)
        store.set_alias(known, CHALLENGER)
    return Registration(known, is_new=False, is_champion=is_champion)


def _tags(config: Config, paths: Paths, bundle: Bundle) -> dict[str, str]:
    lineage = bundle.json("lineage.json")
    lock = paths.dvc_lock
    return {
        "digest": bundle.digest,
        "recipe": recipe_of(bundle),
        "market": config.market.name,
        "as_of": str(lineage["as_of"]),
        "git_commit": str(lineage.get("git_commit") or "unknown"),
        "dvc_lock": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "none",
    }


def _curves(paths: Paths) -> dict[str, dict[int, float]]:
    """`training/FOLD-EXPERT/MEMBER-SEED/FIGURE` -> epoch -> value, of every network's history."""
    found: dict[str, dict[int, float]] = {}
    for path in sorted(paths.stages.glob("experts/*/history.csv")):
        for (member, seed), own in pd.read_csv(path).groupby(["member", "seed"]):
            figures = own.drop(columns=["member", "seed"]).set_index("epoch")
            for name in figures.columns.difference(_counts(figures.columns)):
                key = f"training/{path.parent.name}/{member}-{seed}/{name}"
                found[key] = {int(epoch): float(value) for epoch, value in figures[name].items()}
    return found


def _counts(names: pd.Index) -> list[str]:
    """Confusion counts stay in the history's file: nine curves a network that nobody compares."""
    return [name for name in names if name.startswith("confusion_")]


def _artifacts(paths: Paths) -> dict[str, Path]:
    """Folder of the run -> what lies there; reports of stages that left one."""
    found: dict[str, Path] = {BUNDLE_FOLDER: paths.bundle}
    if paths.plots.is_dir():
        found["plots"] = paths.plots
    for picture in sorted(paths.stages.glob("experts/*/*.png")):
        found[f"experts/{picture.parent.name}/{picture.stem}"] = picture
    for report in sorted(paths.stages.glob("**/report.json")):
        found[f"reports/{report.parent.relative_to(paths.stages)}"] = report
    return found
