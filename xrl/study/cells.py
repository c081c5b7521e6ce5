"""One training and its predictions of one fold's test bars: a job of its own, whose result is kept.

Enters: a question, an entrant. Leaves: `OUT/cells/LABEL/MODEL-DIGEST/PART-FOLD-SEED.npz`, whole or not there.
A killed run goes on where it was: what is there is not computed again. Several processes may work on the same
folder: each locks the cell it is at, and a lock goes with its process.
"""

import fcntl
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.stages.aside import aside
from xrl.study.learners import answer
from xrl.study.question import Question
from xrl.study.roster import Entrant

log = logging.getLogger(__name__)

Array = NDArray[np.float64]


class Cell(NamedTuple):
    """One member, fold and seed of an entrant."""

    entrant: Entrant
    part: str
    fold: int
    seed: int

    def path(self, root: Path, question: Question) -> Path:
        experts = question.config.experts
        digest = self.entrant.digest(experts.window_bars, experts.calibration_share)
        folder = root / "cells" / question.name / f"{self.entrant.name}-{digest}"
        return folder / f"{self.part}-{self.fold}-{self.seed}.npz"


class Progress(NamedTuple):
    """How far a run is: cells there, cells wanted, CPU seconds that those of this run took."""

    done: int
    wanted: int
    seconds: float


def cells_of(entrant: Entrant, question: Question) -> list[Cell]:
    """Every cell of an entrant: fold by fold, so that a table of the first folds is there early."""
    return [
        Cell(entrant, part, fold, seed)
        for seed in range(entrant.seeds)
        for fold in entrant.folds_of(len(question.laid))
        for part in entrant.parts
    ]


def compute(root: Path, question: Question, entrants: Sequence[Entrant]) -> Iterator[Progress]:
    """Compute every missing cell, one after the other, and tell after each.

    Cells that another process is at are left to it and waited for at the end, so that all are there
    afterwards.

    Raises:
        TrainingError: a training cannot start or diverged.
    """
    wanted = [cell for entrant in entrants for cell in cells_of(entrant, question)]
    seconds = 0.0
    for patient in (False, True):
        for cell in wanted:
            path = cell.path(root, question)
            if path.is_file():
                continue
            with _mine(path, patient) as mine:
                if mine and not path.is_file():
                    seconds += _compute(path, question, cell)
                    done = sum(one.path(root, question).is_file() for one in wanted)
                    yield Progress(done, len(wanted), seconds)


def probabilities(root: Path, question: Question, cell: Cell) -> Array:
    """A computed cell's probabilities of `question.tested(fold)`. (rows, 3)

    Raises:
        DataError: it is not there.
    """
    path = cell.path(root, question)
    if not path.is_file():
        raise DataError(f"no cell at {path}; run the same command without `--only-table` to compute it")
    with np.load(path) as found:
        return np.asarray(found["probabilities"], dtype=np.float64)


def spent(root: Path, question: Question, cell: Cell) -> float:
    """CPU seconds that a computed cell took."""
    with np.load(cell.path(root, question)) as found:
        return float(found["seconds"])


def trials(root: Path) -> int:
    """Different recipes of which the folder holds a cell, over all labels: what was tried here."""
    return len({path.parent.name for path in root.glob("cells/*/*/*.npz")})


def _compute(path: Path, question: Question, cell: Cell) -> float:
    begin = time.process_time()
    found = answer(question, cell.entrant, cell.part, cell.fold, cell.seed)
    seconds = time.process_time() - begin
    with aside(path) as place:
        np.savez(
            place,
            probabilities=found.probabilities.astype(np.float32),
            temperature=found.temperature,
            seconds=seconds,
        )
    name = f"{question.name} {cell.entrant.name} {cell.part} fold {cell.fold} seed {cell.seed}"
    log.info("%s: %.1f s of CPU", name, seconds)
    return seconds


@contextmanager
def _mine(path: Path, patient: bool) -> Iterator[bool]:
    """Whether no other process is at this cell; `patient` waits until none is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
