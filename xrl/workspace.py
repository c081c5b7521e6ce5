"""A retraining's own checkout: a git worktree at a clean commit and its parameters; data and cache shared.

Enters: the main checkout and a `Request`. Leaves: `var/workspaces/NAME`, complete or not at all: the record
`NAME.json` beside it is written last, so a workspace without one is made anew.
"""

import fcntl
import hashlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter

from xrl.config import Venue, load_config, market_name
from xrl.errors import ConfigError

log = logging.getLogger(__name__)

_SYMBOL = re.compile(r"^[A-Z0-9]{3,30}$")


@dataclass(frozen=True)
class Request:
    """One retraining: `world` is a sandbox world or `live`; candles closed by `as_of` (UTC) are used.

    `settings`: further parameters by their dotted name, e.g. `{"labels.folds": [0, 1]}`.
    """

    run_id: str
    venue: Venue
    world: str
    symbols: tuple[str, ...]
    days: int
    preset: str
    as_of: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)


def open_workspace(root: Path, request: Request, keep: int = 5, remote: str | None = None) -> Path:
    """Create the workspace of `request.run_id` below `root`, or find it again; returns its folder.

    Calling it again with the same request changes nothing; with other parameters only its params.yaml. The
    commit stays the one it was made at. All but the `keep` latest workspaces are removed.

    Args:
        root: main checkout, whose HEAD is taken.
        request: the run and its parameters.
        keep: workspaces to keep, this one included.
        remote: address of the DVC remote; None for `root/var/dvc-remote`.

    Raises:
        ConfigError: `root` is no git checkout, or a parameter is refused.
    """
    _check(request)
    home = root / "var" / "workspaces"
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        path = home / folder_name(request.run_id)
        record = path.with_suffix(".json")
        if not (record.is_file() and (path / ".git").exists()):
            _remove(root, path)
            _warn_of_changes(root)
            _git(root, "worktree", "add", "--quiet", "--detach", str(path), "HEAD")
        _link_market(root, path)
        _write(path / ".dvc" / "config.local", _dvc_config(root, remote))
        _write(path / "params.yaml", overridden((path / "params.yaml").read_text(), request))
        load_config(path / "params.yaml")
        commit = _git(path, "rev-parse", "HEAD").strip()
        _write(record, json.dumps({"run_id": request.run_id, "commit": commit}))
        _prune(root, home, keep)
    log.info("workspace %s at commit %s, as of %s", path, commit[:12], request.as_of.isoformat())
    return path


def folder_name(run_id: str) -> str:
    """A folder name for any run id: readable, and different for different ids."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", run_id).strip("-")[:60]
    return f"{readable}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


def overridden(text: str, request: Request) -> str:
    """`params.yaml` with the request's values in place and every comment kept."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = 120
    document: Any = yaml.load(text)
    world = None if request.world == "live" else request.world
    document["market"]["name"] = market_name(request.venue, world)
    document["market"]["source"] = "live" if world is None else "sandbox"
    document["market"]["venue"] = request.venue
    document["market"]["world"] = world
    document["market"]["symbols"][:] = list(request.symbols)
    document["snapshot"]["days"] = request.days
    document["snapshot"]["as_of"] = request.as_of.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document["experts"]["preset"] = request.preset
    for name, value in request.settings.items():
        section, _, key = name.partition(".")
        document[section][key] = value
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


class _Representer(RoundTripRepresenter):
    """Writes None as `null`, as the file does; ruamel would leave the place empty."""

    def represent_null(self, value: None) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_null)


def _check(request: Request) -> None:
    if not request.run_id.strip():
        raise ConfigError("a workspace needs a run id; received an empty one")
    wrong = [symbol for symbol in request.symbols if not _SYMBOL.match(symbol)]
    if wrong or not request.symbols:
        raise ConfigError(f"symbols must look like BTCUSDT, separated by commas; received {wrong or 'none'}")


def _warn_of_changes(root: Path) -> None:
    changed = _git(root, "status", "--porcelain", "--", ".").splitlines()
    if changed:
        shown = ", ".join(line[3:] for line in changed[:5])
        log.warning(
            "%d uncommitted changes are NOT in this run (%s%s); commit them to train with them",
            len(changed),
            shown,
            ", ..." if len(changed) > 5 else "",
        )


def _link_market(root: Path, path: Path) -> None:
    store = Path(os.environ.get("XRL_DATA_DIR", root / "data")).resolve() / "market"
    store.mkdir(parents=True, exist_ok=True)
    link = path / "data" / "market"
    link.parent.mkdir(exist_ok=True)
    if link.is_symlink() and link.readlink() == store:
        return
    if link.is_symlink():
        link.unlink()
    link.symlink_to(store, target_is_directory=True)


def _dvc_config(root: Path, remote: str | None) -> str:
    return (
        f"[cache]\n    dir = {root / '.dvc' / 'cache'}\n"
        f"['remote \"local\"']\n    url = {remote or root / 'var' / 'dvc-remote'}\n"
    )


def _prune(root: Path, home: Path, keep: int) -> None:
    records = sorted(home.glob("*.json"), key=lambda record: record.stat().st_mtime, reverse=True)
    for record in records[keep:]:
        log.info("removing old workspace %s", record.stem)
        _remove(root, record.with_suffix(""))


def _remove(root: Path, path: Path) -> None:
    path.with_suffix(".json").unlink(missing_ok=True)
    if path.exists():
        shutil.rmtree(path)  # a symlink inside is removed, never followed
    _git(root, "worktree", "prune")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ConfigError(
            f"`git {' '.join(arguments)}` failed in {root}: {done.stderr.strip()}. "
            "A retraining needs a git checkout with at least one commit"
        )
    return done.stdout


def _write(path: Path, text: str) -> None:
    if path.is_file() and path.read_text() == text:
        path.touch()
        return
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(text)
    aside.replace(path)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
