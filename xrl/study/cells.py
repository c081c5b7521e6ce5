"""One training and its predictions of one fold's test bars: a job of its own, whose result is kept.

Enters: a question, an entrant. Leaves: `OUT/cells/LABEL/MODEL-DIGEST/PART-FOLD-SEED.npz`, whole or not there.
A killed run goes on where it was: what is there is not computed again. Several processes may work on the same
folder: each locks the cell it is at, and a lock goes with its process.
"""

import fcntl
import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.stages.aside import aside
from xrl.study.learners import answer
from xrl.study.question import Question
from xrl.study.roster import Entrant

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

#: Code that decides what a cell holds, below the package.
_CODE: Final = ("experts/**/*.py", "presets.py", "features/scaling.py", "study/learners.py")
_PACKAGE: Final = Path(__file__).parents[1]


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
    """Every cell of an entrant; those of one fold follow each other and share its scaled rows."""
    return [
        Cell(entrant, part, fold, seed)
        for fold in entrant.folds_of(len(question.laid))
        for seed in range(entrant.seeds)
        for part in entrant.parts
    ]


def compute(
    root: Path, question: Question, entrants: Sequence[Entrant], fresh: bool = False
) -> Iterator[Progress]:
    """Compute every missing cell, one after the other, and tell after each.

    Cells that another process is at are left to it and waited for at the end, so that all are there
    afterwards.

    Args:
        root: folder of the study.
        question: what is predicted.
        entrants: whose cells are wanted.
        fresh: cells that other code computed count as missing.

    Raises:
        TrainingError: a training cannot start or diverged.
    """
    wanted = [cell for entrant in entrants for cell in cells_of(entrant, question)]
    seconds = 0.0
    for patient in (False, True):
        for cell in wanted:
            took = complete(root, question, cell, fresh, patient)
            if took:
                seconds += took
                done = sum(_is_there(one.path(root, question), fresh) for one in wanted)
                yield Progress(done, len(wanted), seconds)


def complete(root: Path, question: Question, cell: Cell, fresh: bool = False, patient: bool = True) -> float:
    """Compute one cell unless it is there; the CPU seconds it took, 0 if it was.

    Args:
        root, question, fresh: as in `compute`.
        cell: which.
        patient: wait for another process that is at it; else leave it to that one.
    """
    path = cell.path(root, question)
    if _is_there(path, fresh):
        return 0.0
    with _mine(path, patient) as mine:
        return _compute(path, question, cell) if mine and not _is_there(path, fresh) else 0.0


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


def spent(paths: Iterable[Path]) -> float:
    """CPU seconds that computed cells took."""
    return float(sum(_stored(path, "seconds") for path in paths))


def is_stale(path: Path) -> bool:
    """Whether a computed cell is of other code than today's."""
    return str(_stored(path, "code")) != code_digest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Ten hex digits over the code that decides what a cell holds."""
    files = sorted(path for pattern in _CODE for path in _PACKAGE.glob(pattern))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:10]


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
            code=code_digest(),
        )
    name = f"{question.name} {cell.entrant.name} {cell.part} fold {cell.fold} seed {cell.seed}"
    log.info("%s: %.1f s of CPU", name, seconds)
    return seconds


def _stored(path: Path, name: str) -> Any:
    with np.load(path) as found:
        return found[name].item()


def _is_there(path: Path, fresh: bool) -> bool:
    return path.is_file() and not (fresh and is_stale(path))


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
