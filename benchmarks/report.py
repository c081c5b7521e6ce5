"""What a run leaves: `results.json` for machines, `docs/benchmarks.md` for readers; written aside, renamed.

Enters: figures by name. Leaves: the files. With `--only` the new figures join those of the same machine.
"""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.names import BY_NAME, FIGURES, GROUPS, Figure

_PACKAGES = (
    "numpy",
    "pandas",
    "numba",
    "ta-lib",
    "tensorflow",
    "keras",
    "torch",
    "stable-baselines3",
    "onnxruntime",
    "bentoml",
    "ccxt",
    "great-expectations",
    "dvc",
)


def machine() -> dict[str, Any]:
    """Cores, processor and versions that the figures belong to."""
    return {
        "cores": os.cpu_count() or 0,
        "cpu": _processor(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def merge(path: Path, figures: Mapping[str, float], replaced: frozenset[str]) -> dict[str, Any]:
    """`figures` with those that `path` holds of other groups, if it was written on the same processor.

    Args:
        path: earlier results; may be absent.
        figures: new ones.
        replaced: names that this run was to measure: an old figure of theirs is dropped.

    Raises:
        BenchmarkError: `path` is no JSON object, or a name is not known.
    """
    unknown = sorted(set(figures) - set(BY_NAME))
    if unknown:
        raise BenchmarkError(
            f"{', '.join(unknown)}: not among the names of benchmarks/names.py; add them there"
        )
    here = machine()
    kept = {}
    old = _read(path)
    if old and all(old.get("machine", {}).get(key) == here[key] for key in ("cores", "cpu")):
        kept = {name: value for name, value in old.items() if name in BY_NAME and name not in replaced}
    found = {**kept, **figures}
    ordered = {figure.name: _rounded(found[figure.name]) for figure in FIGURES if figure.name in found}
    return {"machine": here, "date": datetime.now(UTC).strftime("%Y-%m-%d"), **ordered}


def write(path: Path, text: str) -> None:
    """Write `text` aside, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(text)
    aside.replace(path)


def table(results: Mapping[str, Any]) -> str:
    """The page: yardsticks first, then every group with its targets; what was not measured is said so."""
    about = results["machine"]
    lines = [
        "# Benchmarks",
        "",
        "<!-- written by `make bench`; edit benchmarks/ instead -->",
        "",
        f"Measured {results['date']} on {about['cores']} cores, {about['cpu']}, Python {about['python']}. "
        "`make bench` measures all, `make bench ONLY=features` one group. Ratios are measured side by side "
        "in one process, several repetitions, median. Targets are meant for an otherwise idle machine of 2 "
        "cores; the yardsticks say how fast the machine was.",
    ]
    for group in GROUPS:
        lines += [
            "",
            f"## {group}",
            "",
            "| name | what | figure | unit | target | |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(figure, results) for figure in FIGURES if figure.name.startswith(group + ".")]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return "\n".join([*lines, "", f"Versions: {versions}.", ""])


def _row(figure: Figure, results: Mapping[str, Any]) -> str:
    value = results.get(figure.name)
    sign = ">=" if figure.at_least else "<="
    target = "" if figure.target is None else f"{sign} {figure.target:,}"
    shown, verdict = "not measured", ""
    if value is not None:
        shown = f"{value:,}"
        verdict = {True: "met", False: "not yet", None: ""}[figure.is_met(value)]
    return f"| `{figure.name}` | {figure.what} | {shown} | {figure.unit} | {target} | {verdict} |"


def _rounded(value: float) -> float:
    """Four significant digits."""
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() else short


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise BenchmarkError(f"{path} is no JSON: {error}; delete it and measure again") from error
    if not isinstance(found, dict):
        raise BenchmarkError(f"{path} must hold a JSON object; delete it and measure again")
    return found


def _processor() -> str:
    """Name of the processor as Linux tells it; the architecture elsewhere."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
