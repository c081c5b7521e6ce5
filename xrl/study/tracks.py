"""Every model's probabilities of all test bars, side by side. Enters: computed cells. Leaves: one table.

A model that has not all of its cells yet is left out of the table and named, or waits for the next run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.labels.classes import classes
from xrl.study import blends
from xrl.study.cells import Cell, cells_of, probabilities
from xrl.study.question import Question
from xrl.study.roster import ALL, BLENDS, Blend, Entrant

Array = NDArray[np.float64]


class Tracks(NamedTuple):
    """What the models said, on the same bars.

    Attributes:
        rows: test bars, sorted by symbol, then time: symbol, timestamp, forward_return, score, label_end,
            fold, label (NaN where not matured) and the probabilities of each model in `models`.
        models: those of the table, each with the folds it predicted.
        single: model -> probabilities of each of its seeds alone, of the rows of its folds.
        exponents: stacked blend -> fold -> exponent of each member.
    """

    rows: pd.DataFrame
    models: dict[str, tuple[int, ...]]
    single: dict[str, list[Array]]
    exponents: dict[str, dict[int, tuple[float, ...]]]


def tracks(root: Path, question: Question, entrants: Sequence[Entrant]) -> Tracks:
    """Read the cells of every entrant that has all of them, and blend."""
    rows = judged_rows(question)
    fold = rows[c.FOLD].to_numpy(np.int64)
    models, single = {}, {}
    for entrant in entrants:
        cells = cells_of(entrant, question)
        if not all(cell.path(root, question).is_file() for cell in cells):
            continue
        own = tuple(entrant.folds_of(len(question.laid)))
        seeds = [_of_seed(root, question, cells, seed, rows, own) for seed in range(entrant.seeds)]
        models[entrant.name], single[entrant.name] = own, seeds
        rows[list(c.probability_columns(entrant.name))] = np.mean(seeds, axis=0)
    exponents = {}
    for name, blend in BLENDS.items():
        if not all(len(models.get(member, ())) == len(question.laid) for member in blend.members):
            continue
        found, fitted = _blended(rows, blend, fold, question)
        rows[list(c.probability_columns(name))] = found
        models[name] = tuple(range(len(question.laid)))
        if fitted:
            exponents[name] = fitted
    return Tracks(rows, models, single, exponents)


def judged_rows(question: Question) -> pd.DataFrame:
    """Every test bar of every fold with its fold and class, NaN where not matured."""
    labels = question.rows(ALL).labels
    parts = []
    for fold in question.laid:
        own = labels.iloc[question.tested(fold.index)]
        called = classes(own, fold)
        known = np.where(called == c.UNKNOWN, np.nan, called)
        parts.append(own.assign(**{c.FOLD: fold.index, c.LABEL: known}))
    return pd.concat(parts).sort_index().reset_index(drop=True)


def _of_seed(
    root: Path, question: Question, cells: Sequence[Cell], seed: int, rows: pd.DataFrame, own: Sequence[int]
) -> Array:
    """One seed's probabilities, the mean of its parts; NaN in folds it takes no part in. (rows, 3)"""
    found = np.full((len(rows), len(c.CLASSES)), np.nan)
    fold = rows[c.FOLD].to_numpy(np.int64)
    for number in own:
        parts = [
            probabilities(root, question, cell) for cell in cells if (cell.fold, cell.seed) == (number, seed)
        ]
        found[fold == number] = blends.mean(parts)
    return found


def _blended(
    rows: pd.DataFrame, blend: Blend, fold: NDArray[np.int64], question: Question
) -> tuple[Array, dict[int, tuple[float, ...]]]:
    members = [rows[list(c.probability_columns(one))].to_numpy(np.float64) for one in blend.members]
    if not blend.fitted:
        return blends.mean(members), {}
    truth = rows[c.LABEL].fillna(c.UNKNOWN).to_numpy(np.int64)
    known_from = rows[c.HORIZON_END].dt.tz_localize(None).to_numpy("datetime64[ms]")
    ends = {own.index: own.train_end.tz_localize(None).to_datetime64() for own in question.laid}
    return blends.stacked(members, truth, fold, known_from, ends)
