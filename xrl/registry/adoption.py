"""Lines of the ledger written afterwards, where a deployment is older than its ledger or has lost it.

Enters: the tracking store, the ledger's path, a reason. Leaves: lines that say that they were adopted and
why; so does every decision from then on. What is gone from the store by then stays unknown.
"""

from datetime import UTC, datetime
from pathlib import Path

from xrl.errors import ConfigError
from xrl.registry import ledger
from xrl.registry.ledger import Line, Registered
from xrl.registry.recipes import unregistered_runs, unregistered_versions
from xrl.registry.store import Store


def adopt(store: Store, name: str, path: Path, reason: str) -> tuple[Line, ...]:
    """Enter every registration of the model `name` that the store tells of and the ledger at `path` does not.

    Raises:
        ConfigError: no reason.
        DataError: the ledger is damaged; a broken one is brought back, or laid aside by hand.
    """
    if not reason.strip():
        raise ConfigError("lines are adopted for a reason; say it with `--reason`")
    made = []
    for version in unregistered_versions(store, name, ledger.read(path)):
        recipe = version.tags.get("recipe", version.digest)
        line = ledger.enter(path, _adopted(name, recipe, version.digest, version.run_id, reason))
        store.tag(version, {ledger.TAG: line.hash})
        made.append(line)
    for run in unregistered_runs(store, name, ledger.read(path)):
        recipe = run.recipe or run.id
        made.append(ledger.enter(path, _adopted(name, recipe, run.digest or "unknown", run.id, reason)))
    return tuple(made)


def _adopted(model: str, recipe: str, digest: str, run_id: str, reason: str) -> Registered:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Registered(now, model, recipe, digest, run_id, adopted=reason.strip())
