"""The pipeline as a user met it: figures of runs that took place in this checkout, never of others.

`make demo` is far longer than a benchmark may be, so its own record is read; without one the figure is left
out. A second `dvc repro` is run only where DVC says that nothing is to be done.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.material import ROOT
from benchmarks.timing import median_seconds

#: A demo of one world alone is another measurement, and so is one that found its stages in DVC's cache.
_DEMO_WORLDS = {"planted", "random_walk"}
_CACHED = "already champion"


def measure(root: Path = ROOT, repetitions: int = 3) -> dict[str, float]:
    """Figures of group `pipeline` in the checkout `root`."""
    return {**_demo(root / "var" / "demo.json"), **_noop_repro(root, repetitions)}


def _demo(record: Path) -> dict[str, float]:
    if not record.is_file():
        return {}
    found = json.loads(record.read_text())
    if set(found["worlds"]) != _DEMO_WORLDS or _CACHED in found["worlds"].values():
        return {}
    return {"pipeline.demo_s": float(found["seconds"])}


def _noop_repro(root: Path, repetitions: int) -> dict[str, float]:
    """Seconds of `dvc repro` in the checkout or the newest workspace whose stages are all up to date."""
    for place in _places(root):
        if _dvc(place, "status", "--json").strip() == "{}":
            again = partial(_dvc, place, "repro")
            return {"pipeline.noop_repro_s": median_seconds(again, repetitions)}
    return {}


def _places(root: Path) -> Iterator[Path]:
    """Folders in which a pipeline has run: the checkout itself, then the newest workspace."""
    if (root / "dvc.lock").is_file():
        yield root
    records = (root / "var" / "workspaces").glob("*.json")
    for record in sorted(records, key=lambda path: path.stat().st_mtime, reverse=True)[:1]:
        if (record.with_suffix("") / "dvc.lock").is_file():
            yield record.with_suffix("")


def _dvc(place: Path, *arguments: str) -> str:
    beside = str(Path(sys.executable).parent)
    command = shutil.which("dvc", path=beside) or "dvc"
    path = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        [command, *arguments],
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"`dvc {' '.join(arguments)}` failed in {place}: {done.stderr.strip()[-500:]}")
    return done.stdout
