"""Opening the final holdout: logged first, handed out after. No DVC stage, for it happens once.

Reads stages/snapshot/bars.parquet, stages/labels and stages/bundle, whose recipe and digest are logged: it is
what the held-out days are to judge. Appends to the market's log of openings; writes
stages/holdout/{labels.parquet, opening.json}: the holdout's bars with their outcomes, and with their classes
by the refit's cut-offs, which no bar of the holdout has moved. What a model says of them is not judged here.
"""

from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from xrl import columns
from xrl.config import Config
from xrl.errors import ConfigError, DataError
from xrl.labels import folds, holdout, openings
from xrl.labels.classes import classes
from xrl.labels.history import history
from xrl.labels.holdout import Span
from xrl.labels.openings import Entry, Opening
from xrl.paths import Paths
from xrl.registry.bundle import Bundle, open_bundle
from xrl.registry.evidence import recipe_of
from xrl.stages.aside import aside, write_json
from xrl.stages.labels import label_table, read_bars
from xrl.stages.lineage import git_commit, held_out, venue


class Opened(NamedTuple):
    """What was handed out, and how it was logged."""

    entry: Entry
    labels: pd.DataFrame


def open_holdout(
    config: Config, paths: Paths, opened_at: datetime, reason: str, again: bool = False
) -> Opened:
    """Log that the holdout is opened, then write its bars' labels.

    Args:
        config, paths: of a checkout or workspace whose stages have run, `bundle` the last of them.
        opened_at: now, UTC.
        reason: why, in the opener's words.
        again: open days that were opened before once more; it is logged as such.

    Raises:
        ConfigError: no reason, no holdout was kept, or some of its days were opened before.
        BundleError: there is no sound bundle.
        DataError: a stage has not run, or with other parameters or bars; or the log is damaged.
    """
    if not reason.strip():
        raise ConfigError("a holdout is opened for a reason; say it with `--reason`")
    bars = read_bars(paths)
    span = history(bars)
    held = holdout.holdout_span(span.end, span.bar, config.labels)
    if held is None:
        raise ConfigError(
            "no holdout was kept: `labels.holdout_days` is 0. Set it and run `dvc repro`; days that models "
            "have learned from cannot be held out afterwards."
        )
    labels = _true_labels(config, paths, bars, held)
    bundle = _judged(config, paths, bars, held)
    own = labels[labels[columns.TIMESTAMP] >= held.start].reset_index(drop=True)
    opening = Opening(
        opened_at=opened_at.isoformat(timespec="seconds"),
        market=config.market.name,
        bars=len(own),
        kind=config.labels.kind,
        recipe=recipe_of(bundle),
        commit=git_commit(paths.root),
        reason=reason.strip(),
        digest=bundle.digest,
        venue=venue(config),
        **held_out(bars, held),
    )
    entry = openings.append(paths.holdout_log(config.market.name), opening, again)
    with aside(paths.holdout_labels) as place:
        own.to_parquet(place, index=False)
    write_json(paths.holdout_opening, {**vars(entry.opening), "hash": entry.hash})
    return Opened(entry, own)


def _true_labels(config: Config, paths: Paths, bars: pd.DataFrame, held: Span) -> pd.DataFrame:
    """All labels, sealed ones included, with their classes, after a check that these are the sealed ones."""
    labels = label_table(bars, config.labels)
    sealed = holdout.sealed(labels, held)
    if not paths.labels.is_file() or not sealed.equals(pd.read_parquet(paths.labels)):
        raise _other(f"{paths.labels} is not what this snapshot and params.yaml make of it")
    if folds.load_holdout(paths.folds) != held:
        raise _other(f"{paths.folds} holds out other days than {held.start} to {held.end}")
    refit = folds.refit_span(sealed, config.labels, held)
    told = holdout.sealed(labels, None)
    found = classes(told, refit)
    return told.assign(**{columns.LABEL: np.where(found == columns.UNKNOWN, np.nan, found)})


def _judged(config: Config, paths: Paths, bars: pd.DataFrame, held: Span) -> Bundle:
    """The bundle that the days are opened for: of these bars, these days held out, these labels."""
    bundle = open_bundle(paths.bundle)
    told = bundle.json("lineage.json").get("holdout") or {}
    labels = bundle.json("labels.json")["params"]
    if told != held_out(bars, held) or labels != config.labels.model_dump(mode="json"):
        raise _other(f"{bundle.path} was made of other bars, days or labels")
    return bundle


def _other(found: str) -> DataError:
    return DataError(f"{found}; run `dvc repro` first, so that what is opened is what was held back")
