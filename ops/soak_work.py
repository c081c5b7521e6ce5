"""One worker of the soak: its own sandbox exchange, trial after trial.

Enters: numbers of trials. Leaves: lines of JSON.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, NamedTuple

import xrl.market.expectations  # noqa: F401  its libraries take seconds to import; here it happens once
from ops.soak_case import draw
from ops.soak_run import run, sandbox

WORLD_SEED: Final = 7


class Task(NamedTuple):
    """Trials `numbers` of a soak, each in its own part of `folder`, a line in `trials` for each."""

    seed: int
    commit: str
    numbers: Sequence[int]
    trials: Path
    folder: Path
    keep: bool


def work(task: Task) -> None:
    """Carry the trials out; `keep` leaves their stores and logs."""
    task.folder.mkdir(parents=True)
    with sandbox(WORLD_SEED, task.folder / "sandbox.log") as venue:
        for number in task.numbers:
            place = task.folder / str(number)
            trial = run(draw(task.seed, number), venue, place)
            _append(task.trials, json.dumps({**asdict(trial), "commit": task.commit}))
            if not task.keep:
                shutil.rmtree(place, ignore_errors=True)


def _append(path: Path, line: str) -> None:
    """One write, so that the workers' lines do not mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)
