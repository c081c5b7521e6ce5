"""The production checklist of a candidate, out of what its folds' trainings left.

Enters: reports and metrics. Leaves: figures. The gate binds what `experts.checklist` says binds.
"""

import json
from collections.abc import Mapping
from typing import Any

from xrl import columns
from xrl.config import Config
from xrl.errors import DataError
from xrl.experts import checklist
from xrl.labels import folds
from xrl.paths import Paths

Items = dict[str, dict[str, Any]]


def figures(config: Config, paths: Paths, metrics: Mapping[str, Any]) -> Items:
    """The section `checklist` of a bundle's metrics: name -> value, bound, passed, binds.

    Args:
        config, paths: of the run.
        metrics: of the stage `backtest`.

    Raises:
        DataError: an expert's report is missing.
    """
    edge = metrics["prediction"]["accuracy_minus_majority"]["low"]
    trained = _trained(config, paths)
    found: Items = {}
    for member, recipe in enumerate(config.experts.recipes):
        finals = [own["final"] for own in trained if own["member"] == member]
        prefix = f"recipe_{member}_" if len(config.experts.recipes) > 1 else ""
        for item in checklist.checklist(config.experts.preset, recipe, finals, edge):
            told = item._asdict()
            found[prefix + told.pop("name").replace(",", "").replace(" ", "_")] = told
    return found


def _trained(config: Config, paths: Paths) -> list[dict[str, Any]]:
    """What is known of every network of every fold."""
    laid, _ = folds.load(paths.folds)
    found = []
    for fold in laid:
        for expert in columns.EXPERTS:
            path = paths.expert(fold.index, expert) / "report.json"
            if not path.is_file():
                raise DataError(
                    f"no report at {path}; run `xrl experts --fold {fold.index} --expert {expert}`"
                )
            found += json.loads(path.read_bytes())["members"]
    return found
