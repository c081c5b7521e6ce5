"""A checkout whose stages have run, as far as the registry looks at it."""

import json
from pathlib import Path

from tests.serve import tiny
from xrl.config import Config
from xrl.paths import Paths
from xrl.registry.bundle import write_bundle


def finished(root: Path, seed: int = 0, **figures: object) -> tuple[Config, Paths]:
    """A workspace with a tiny bundle, a report, a plot and a dvc.lock; `figures` replace some metrics."""
    paths = Paths(root)
    write_bundle(paths.bundle, tiny.files(seed, **figures))
    paths.plots.mkdir(parents=True)
    (paths.plots / "equity.csv").write_text("timestamp,equity\n0,1.0\n")
    paths.policy_report.parent.mkdir()
    paths.policy_report.write_text(json.dumps({"seconds": 3}))
    paths.dvc_lock.write_text("schema: '2.0'\n")
    return tiny.CONFIG, paths
