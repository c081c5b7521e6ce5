"""Where a bundle comes from: the commit, the bytes of what it was made of, the bars it saw.

Enters: the checkout that a run lives in. Leaves: plain values without clock, host or path, so that an
identical run has an identical lineage.
"""

import ast
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import xrl
from xrl import columns, imports
from xrl.config import Config
from xrl.features import extra
from xrl.labels import folds, holdout
from xrl.labels.holdout import Span
from xrl.market import prints
from xrl.paths import Paths

#: Stage outputs whose bytes follow from code and market alone; hashes of trained ones stay in dvc.lock.
_HASHED = ("xrl/", "stages/snapshot", "stages/features", "stages/labels")
#: The stages of dvc.yaml: what they import is the recipe's code, less `_UNREAD` and what only that imports.
_STAGES = (
    *("snapshot", "features", "labels", "experts", "oof", "policy", "backtest", "refit"),
    "forecast",
    "bundle",
)
_UNREAD = frozenset(
    {
        # declarations: the values are in the recipe themselves, as the bundle's params.yaml
        *("xrl", "xrl.config", "xrl.errors", "xrl.paths"),
        # what draws and decides nothing
        *("xrl.backtest.plots", "xrl.experts.plots", "xrl.stages.expert_pictures"),
        # what a bundle is packed and replayed with: its stage proves that it computes what training did
        *("xrl.registry.bundle", "xrl.serve.candles", "xrl.serve.forecast", "xrl.serve.onnx_model"),
        *("xrl.serve.predictor", "xrl.serve.sources"),
    }
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
        "venue": venue(config),
        "as_of": config.snapshot.as_of.isoformat(),
        "stale_after_days": config.bundle.stale_after_days,
        "git_commit": git_commit(paths.root),
        "dvc": _hashes(paths.dvc_lock),
        "source": source_hash(Path(xrl.__file__).parent),
        "functions": functions(config),
        "samples": trained,
        "trained_through": refit.train_end.isoformat(),
        "holdout": None if held is None else held_out(bars, held),
        "data": {
            "first": time.min().isoformat(),
            "last": time.max().isoformat(),
            "bars": {str(symbol): len(rows) for symbol, rows in bars.groupby(columns.SYMBOL)},
            "prints": prints.of_mondays(prints.prints(bars)),
        },
        "seeds": {
            "experts": list(config.experts.seeds),
            "policy": list(config.policy.seeds),
        },
    }


def held_out(bars: pd.DataFrame, held: Span) -> dict[str, Any]:
    """The days that were held out, as the log of openings knows them."""
    return {
        "start": held.start.isoformat(),
        "end": held.end.isoformat(),
        "data": holdout.data_hash(bars, held),
        "days": prints.prints(bars[bars[columns.TIMESTAMP] >= held.start]),
    }


def venue(config: Config) -> str:
    """Where the bars come from: the venue, or the sandbox's world."""
    return config.market.venue if config.market.world is None else f"sandbox/{config.market.world}"


def sections(config: Config) -> dict[str, Any]:
    """The parameters behind a bundle, as plain values."""
    found = config.model_dump(mode="json")
    return {name: found[name] for name in SECTIONS}


def functions(config: Config) -> dict[str, str]:
    """Users' functions among the features: name of the column -> arguments and hash of the function's files.

    The hash is of the files' bytes (`xrl.features.source`), so a comment changed in one is a new recipe.

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
    for name, file in sorted(source_files(package).items()):
        found.update(f"{name}\0".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def source_files(package: Path) -> dict[str, Path]:
    """That code, by dotted name: all that the stages import and that says more than a docstring does."""
    files = imports.closure(
        (f"xrl.stages.{stage}" for stage in _STAGES),
        lambda top: package / "__init__.py" if top == "xrl" else None,
        _UNREAD,
    )
    return {name: file for name, file in files.items() if not _is_title(file)}


def _is_title(file: Path) -> bool:
    """Whether a file holds a docstring alone, as most rooms' `__init__.py` do."""
    return all(isinstance(node, ast.Expr) for node in ast.parse(file.read_bytes()).body)


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
