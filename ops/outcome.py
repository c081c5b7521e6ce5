"""What the registry says of a run: its version, whether it is champion, the decision with its figures."""

import json
from dataclasses import dataclass
from typing import Any

from ops.environment import VAR
from xrl.config import Settings, model_name
from xrl.errors import RegistryError
from xrl.paths import Paths
from xrl.registry.bundle import open_bundle
from xrl.registry.promotion import DECISION
from xrl.registry.store import Store
from xrl.registry.version import CHAMPION
from xrl.workspace import folder_name


@dataclass(frozen=True)
class Outcome:
    """One run's end: `decision` is gate/decision.json, `metrics` is the bundle's metrics.json."""

    world: str
    version: str
    number: str
    is_champion: bool
    was_champion: bool  # this identical bundle had been promoted by an earlier run
    decision: dict[str, Any]
    metrics: dict[str, Any]


def champion(current: Settings, world: str) -> str | None:
    """Number of the version that is champion of `world` now."""
    return Store(current.tracking_url).aliases(model_name(world)).get(CHAMPION)


def outcome(current: Settings, run_id: str, world: str, champion_before: str | None) -> Outcome:
    """Read it from the run's workspace and the model registry.

    Raises:
        RegistryError: the registry is unreachable, or does not know the bundle of this run.
    """
    workspace = Paths(VAR / "workspaces" / folder_name(run_id))
    bundle = open_bundle(workspace.bundle)
    store = Store(current.tracking_url)
    name = model_name(world)
    version = store.with_digest(name, bundle.digest)
    if version is None:
        raise RegistryError(f"{name} has no version with the bundle {bundle.digest[:12]} of {run_id}")
    return Outcome(
        world=world,
        version=str(version),
        number=version.number,
        is_champion=store.aliases(name).get(CHAMPION) == version.number,
        was_champion=version.number == champion_before,
        decision=store.read_json(version, DECISION),
        metrics=json.loads(workspace.metrics.read_text()),
    )
