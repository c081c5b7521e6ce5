"""The command `xrl baselines --groups N`: the same models on every path of a combinatorial cross-validation.

Reads stages/snapshot, features and labels. Writes paths.md, paths.json and paths.png to a folder. Each path
tests every bar once, by models that trained on other parts of the history, later ones too: it tells which of
two recipes is better and how much of that is one lucky year, and nothing of a live track.
"""

import logging
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.backtest import baselines as rules
from xrl.backtest import contest, path_page, plots, references, report, value
from xrl.backtest.baselines import QUANTILES, Court
from xrl.backtest.rivals import RIVALS, Case, answered, feature_names
from xrl.config import Config
from xrl.evaluation import metrics
from xrl.labels import combinatorial
from xrl.labels.classes import classes
from xrl.labels.combinatorial import Plan, Split
from xrl.labels.history import history
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json
from xrl.stages.baselines import CHANCE, Tables, about, court_of, read, signal_of, tensors

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

#: What a split says of a bar that it tests.
_SAID: Final = (c.LABEL, *(name for model in contest.MODELS for name in c.probability_columns(model)))


class Course(NamedTuple):
    """One path: every judged bar once, and the group of each."""

    rows: pd.DataFrame
    group: NDArray[np.int64]


def run(config: Config, paths: Paths, out: Path, n_groups: int, k: int) -> dict[str, Any]:
    """Score every baseline on every path and write the page, its figures and the picture to `out`.

    Raises:
        DataError: an earlier stage has not run.
        ConfigError: the groups make no sense, or are too short.
    """
    tables = read(paths)
    plan = combinatorial.cpcv(*history(tables.labels), config.labels, n_groups, k)
    courses = walked(config, tables, plan, config.experts.seeds[0])
    scores = [contest.plain_section(course.rows) for course in courses]
    first = courses[0].rows
    market = court_of(config, tensors(config, tables, first))
    found: dict[str, Any] = {
        "about": about(config, tables, first) | _laid(plan, k),
        "paths": scores,
        "spread": report.plain_tree(_spread(scores)),
        "better": _better(scores),
        "trading": report.plain_tree(_traded(courses, market)),
    }
    write_json(out / "paths.json", found)
    with aside(out / "paths.md") as place:
        place.write_text(path_page.markdown(found))
    with aside(out / "paths.png") as place:
        shown = {figure: _shown(found["spread"], figure) for figure in CHANCE}
        title = f"{found['about']['market']}: median and quartiles of {len(courses)} paths"
        plots.draw_intervals(shown, place, title, CHANCE)
    log.info("paths written to %s", out)
    return found


def walked(config: Config, tables: Tables, plan: Plan, seed: int) -> tuple[Course, ...]:
    """Every path of `plan`: class and each model's probabilities of every bar, as the path's splits say.

    The first bars of a symbol, where a feature is not known yet, neither train nor are judged.
    """
    splits = combinatorial.fit_cuts(tables.labels, plan.splits, config.labels)
    predicted = said(tables, splits, seed)
    found = combinatorial.assemble(tables.labels, plan, predicted)  # (paths, rows, said)
    starts = pd.DatetimeIndex([group.start for group in plan.groups])
    group = starts.searchsorted(pd.DatetimeIndex(tables.labels[c.TIMESTAMP]), side="right") - 1
    judged = np.isfinite(found[0, :, 1:]).all(axis=1)
    rows = tables.labels[judged].reset_index(drop=True)
    return tuple(
        Course(rows.assign(**dict(zip(_SAID, own[judged].T, strict=True))), group[judged]) for own in found
    )


def said(tables: Tables, splits: tuple[Split, ...], seed: int) -> list[Array]:
    """Per split its classes and every model's probabilities, (rows, 13); NaN where it does not test."""
    labels = tables.labels
    known = np.isfinite(tables.features[feature_names(tables.features)].to_numpy(np.float64)).all(axis=1)
    asked = [np.flatnonzero(combinatorial.test_mask(labels, split) & known) for split in splits]
    train = [combinatorial.train_mask(labels, split) for split in splits]
    cases = [Case(*case) for case in zip(train, asked, splits, strict=True)]
    found = []
    for case, answers in zip(cases, answered(tables.features, labels, cases, seed)):
        called = classes(labels.iloc[case.asked], case.cut)
        shares = np.tile(references.shares(labels[case.train], case.cut), (len(called), 1))
        models = {"majority": shares, **answers}
        models["volatility_only"] = references.volatility_only(models["lightgbm"], shares)
        split = np.full((len(labels), len(_SAID)), np.nan)
        split[case.asked, 0] = np.where(called == c.UNKNOWN, np.nan, called)
        split[case.asked, 1:] = np.concatenate([models[name] for name in contest.MODELS], axis=1)
        found.append(split)
    return found


def _laid(plan: Plan, k: int) -> dict[str, Any]:
    return {
        "groups": [group.start.isoformat() for group in plan.groups],
        "tested": k,
        "splits": len(plan.splits),
        "embargo_bars": int(plan.splits[0].embargo / pd.Timedelta(hours=1)),
    }


def _spread(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Per model and figure the median and quartiles over the paths; None where it has none."""
    return {
        model: {
            figure: None if value is None else quartiles([own[model][figure] for own in scores])
            for figure, value in figures.items()
        }
        for model, figures in scores[0].items()
    }


def quartiles(values: list[float]) -> dict[str, float]:
    """Median as `value`, quartiles as `low` and `high`, and the extremes."""
    least, low, value, high, most = np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0])
    return {"value": value, "low": low, "high": high, "least": least, "most": most}


def _better(scores: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Share of the paths on which the first of a pair is better; None where either has no such figure."""
    found: dict[str, dict[str, float | None]] = {}
    for ours, theirs in contest.PAIRS:
        own: dict[str, float | None] = {}
        for figure in scores[0][ours]:
            pairs = [(one[ours][figure], one[theirs][figure]) for one in scores]
            sign = -1.0 if figure == "log_loss" else 1.0  # the less the better
            told = all(value is not None for pair in pairs for value in pair)
            own[figure] = float(np.mean([sign * (a - b) > 0 for a, b in pairs])) if told else None
        found[f"{ours}_minus_{theirs}"] = own
    return found


def _traded(courses: tuple[Course, ...], court: Court) -> dict[str, Any]:
    """Sharpe ratios of every (model, quantile) over the paths, and what picking the best of them is worth."""
    equities = [_equities(course, court) for course in courses]
    searches = [value.searched(own, court) for own in equities]
    days = court.grid.timestamp
    sharpe = {
        name: [float(metrics.sharpe(metrics.daily_returns(days, own[name]))) for own in equities]
        for name in equities[0]
    }
    return {
        "sharpe": {name: quartiles(own) for name, own in sharpe.items()},
        "buy_and_hold": court.sharpe(rules.constant_targets(1.0, court.grid)),
        "best": [own["best"] for own in searches],
        "overfitting": quartiles([own["probability_of_overfitting"] for own in searches]),
    }


def _equities(course: Course, court: Court) -> dict[str, Array]:
    """Equity of every model's rule at every quantile of its signal's size in the other groups of the path."""
    others = {int(own): course.group != own for own in np.unique(course.group)}
    found = {}
    for model in RIVALS:
        signal = signal_of(course.rows, model)
        for share in QUANTILES:
            threshold = rules.quantile_thresholds(signal, course.group, others, share)
            targets = rules.threshold_targets(signal, threshold, court.panel)
            found[f"{model} {share:.0%}"] = court.equity(targets)
    return found


def _shown(spread: dict[str, Any], figure: str) -> dict[str, Any]:
    """The majority's F1 stands so far below that the others could not be told apart."""
    return {model: own[figure] for model, own in spread.items() if own[figure] and model != "majority"}
