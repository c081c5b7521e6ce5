"""Where a bundle comes from: the commit, the bytes of what it was made of, the bars it saw.

Enters: the checkout that a run lives in. Leaves: plain values without clock, host or path, so that an
identical run has an identical lineage.
"""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import xrl
from xrl import columns
from xrl.config import Config
from xrl.features import extra
from xrl.labels import folds, holdout
from xrl.labels.holdout import Span
from xrl.paths import Paths

#: Stage outputs whose bytes follow from code and market alone; hashes of trained ones stay in dvc.lock.
_HASHED = ("xrl/", "stages/snapshot", "stages/features", "stages/labels")
#: Code that decides what is learned, traded and measured, below the package's folder: all that a stage
#: imports (tests/stages/test_lineage.py), less what the bundle is packed and replayed with.
_SOURCES = (
    *("account", "backtest", "columns.py", "env", "evaluation", "experts", "features", "labels"),
    *("market/candles.py", "market/disk.py", "market/monthfile.py", "market/resample.py", "market/rows.py"),
    *("market/spans.py", "market/store.py", "market/tables.py", "policy", "presets.py", "sandbox/worlds.py"),
    *("serve/confirmation.py", "stages"),
)
#: Sections of params.yaml that a bundle depends on; the gate's bounds are the judge's, not the candidate's.
SECTIONS = (
    *("market", "snapshot", "features", "labels", "experts", "oof", "policy", "backtest"),
    "forecast",
    "bundle",
)


def lineage(config: Config, paths: Paths, bars: pd.DataFrame) -> dict[str, Any]:
    """The contents of `lineage.json`."""
    _, refit = folds.load(paths.folds)
    held = folds.load_holdout(paths.folds)
    trained = int(folds.train_mask(pd.read_parquet(paths.labels), refit).sum())
    time = bars[columns.TIMESTAMP]
    return {
        "market": config.market.name,
        "as_of": config.snapshot.as_of.isoformat(),
        "stale_after_days": config.bundle.stale_after_days,
        "git_commit": git_commit(paths.root),
        "dvc": _hashes(paths.dvc_lock),
        "source": source_hash(Path(xrl.__file__).parent),
        "functions": functions(config),
        "samples": trained,
        "trained_through": refit.train_end.isoformat(),
        "holdout": None if held is None else _held(bars, held),
        "data": {
            "first": time.min().isoformat(),
            "last": time.max().isoformat(),
            "bars": {str(symbol): len(rows) for symbol, rows in bars.groupby(columns.SYMBOL)},
        },
        "seeds": {
            "experts": list(config.experts.seeds),
            "policy": list(config.policy.seeds),
        },
    }


def _held(bars: pd.DataFrame, held: Span) -> dict[str, str]:
    """The days that were held out, as the log of openings knows them."""
    return {
        "start": held.start.isoformat(),
        "end": held.end.isoformat(),
        "data": holdout.data_hash(bars, held),
    }


def sections(config: Config) -> dict[str, Any]:
    """The parameters behind a bundle, as plain values."""
    found = config.model_dump(mode="json")
    return {name: found[name] for name in SECTIONS}


def functions(config: Config) -> dict[str, str]:
    """Users' functions among the features: name of the column -> arguments and hash of the function's file.

    The hash is of the file's bytes, so a comment changed in it is a new recipe as well. What that file
    imports in turn is not hashed.

    Raises:
        ConfigError: a module or an input does not exist.
    """
    written = {one.name for one in config.features.extra if one.function is not None}
    return {
        column.name: column.formula
        for column in extra.features(config.features.extra)
        if column.name in written
    }


def source_hash(package: Path) -> str:
    """SHA-256 over names and contents of the code that a recipe depends on, below the package's folder."""
    found = hashlib.sha256()
    for file in sorted(file for name in _SOURCES for file in _modules(package / name)):
        found.update(f"{file.relative_to(package).as_posix()}\0".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _modules(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("*.py"))


def git_commit(root: Path) -> str | None:
    """Commit of the checkout, with `-dirty` when the package differs from it; None outside a checkout."""
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return None
    return head + ("-dirty" if _git(root, "status", "--porcelain", "--", "xrl", "dvc.yaml") else "")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _hashes(lock: Path) -> dict[str, str]:
    """Hashes of code and deterministic stages out of dvc.lock; empty where the stages ran without DVC."""
    if not lock.is_file():
        return {}
    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages", {})
    entries = [
        entry
        for name, stage in stages.items()
        if name != "bundle"
        for entry in (*stage.get("deps", ()), *stage.get("outs", ()))
    ]
    return {entry["path"]: entry["md5"] for entry in entries if entry["path"].startswith(_HASHED)}
