"""Opening the final holdout: logged first, handed out after. No DVC stage, for it happens once.

Reads stages/snapshot/bars.parquet and stages/labels. Appends to the market's log of openings; writes
stages/holdout/{labels.parquet, opening.json}: the holdout's bars with their outcomes, and with their classes
by the refit's cut-offs, which no bar of the holdout has moved. What a model says of them is not judged here.
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import xrl
from xrl import columns
from xrl.config import Config
from xrl.errors import ConfigError, DataError
from xrl.labels import folds, holdout, openings
from xrl.labels.classes import classes
from xrl.labels.holdout import Span
from xrl.labels.openings import Entry, Opening
from xrl.paths import Paths
from xrl.registry.gate import recipe_hash
from xrl.stages.aside import aside, write_json
from xrl.stages.labels import label_table, read_bars
from xrl.stages.lineage import functions, git_commit, sections, source_hash


class Opened(NamedTuple):
    """What was handed out, and how it was logged."""

    entry: Entry
    labels: pd.DataFrame


def open_holdout(
    config: Config, paths: Paths, opened_at: datetime, reason: str, again: bool = False
) -> Opened:
    """Log that the holdout is opened, then write its bars' labels.

    Args:
        config, paths: of a checkout or workspace whose stage `labels` has run.
        opened_at: now, UTC.
        reason: why, in the opener's words.
        again: open days that were opened before once more; it is logged as such.

    Raises:
        ConfigError: no reason, no holdout was kept, or some of its days were opened before.
        DataError: a stage has not run, or with other parameters; or the log is damaged.
    """
    if not reason.strip():
        raise ConfigError("a holdout is opened for a reason; say it with `--reason`")
    held = folds.load_holdout(paths.folds)
    if held is None:
        raise ConfigError(
            "no holdout was kept: `labels.holdout_days` was 0 when the stage `labels` ran. Set it and run "
            "`dvc repro`; days that models have learned from cannot be held out afterwards."
        )
    labels = _true_labels(config, paths, held)
    own = labels[labels[columns.TIMESTAMP] >= held.start].reset_index(drop=True)
    opening = _opening(config, paths, held, own, opened_at, reason)
    entry = openings.append(paths.holdout_log(config.market.name), opening, again)
    with aside(paths.holdout_labels) as place:
        own.to_parquet(place, index=False)
    write_json(paths.holdout_opening, {**vars(entry.opening), "hash": entry.hash})
    return Opened(entry, own)


def _true_labels(config: Config, paths: Paths, held: Span) -> pd.DataFrame:
    """All labels, sealed ones included, with their classes, after a check that these are the sealed ones."""
    labels = label_table(read_bars(paths), config.labels)
    sealed = holdout.sealed(labels, held)
    if not paths.labels.is_file() or not sealed.equals(pd.read_parquet(paths.labels)):
        raise DataError(
            f"{paths.labels} is not what this snapshot and params.yaml make of it; run `dvc repro` first, so "
            "that what is opened is what was held back"
        )
    _, refit = folds.load(paths.folds)
    told = holdout.sealed(labels, None)
    found = classes(told, refit)
    return told.assign(**{columns.LABEL: np.where(found == columns.UNKNOWN, np.nan, found)})


def _opening(
    config: Config, paths: Paths, held: Span, own: pd.DataFrame, opened_at: datetime, reason: str
) -> Opening:
    return Opening(
        opened_at=opened_at.isoformat(timespec="seconds"),
        market=config.market.name,
        start=held.start.isoformat(),
        end=held.end.isoformat(),
        bars=len(own),
        data=holdout.data_hash(read_bars(paths), held),
        kind=config.labels.kind,
        recipe=recipe_hash(sections(config), source_hash(Path(xrl.__file__).parent), functions(config)),
        commit=git_commit(paths.root),
        reason=reason.strip(),
    )
