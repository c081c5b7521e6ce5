"""A market and a network so small that a training takes a blink. Run as a script, it trains and is killed."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xrl.experts.targets import Targets
from xrl.experts.windows import Rows
from xrl.presets import Preset, chosen

WINDOW, BARS = 10, 240
#: Bars to learn from, and held out.
LEARNED, HELD = np.arange(BARS) < 160, np.arange(BARS) >= 180
NETWORK = {"units": 4, "memory_size": 4, "dropout": 0.2}
SCHEDULE = {"epochs": 3, "batch": 8, "hop": 6, "context": 4}


def market() -> Rows:
    """One symbol; the class follows the first column; further targets know everything."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BARS, 3)).astype(np.float32)
    score = x[:, 0] + 0.3 * rng.normal(size=BARS)
    label = np.digitize(score, [-0.45, 0.45]).astype(np.int8)
    ranks = rng.random((BARS, 4))
    targets = Targets(*(part.astype(np.float32) for part in (score, ranks, np.sign(rng.normal(size=BARS)))))
    return Rows(x, np.arange(BARS), label, targets)


def preset(**parts: Mapping[str, Any]) -> Preset:
    """`lean` with the small network and what `parts` set otherwise."""
    own = {"network": NETWORK, "schedule": SCHEDULE}
    merged = {name: {**own.get(name, {}), **parts.get(name, {})} for name in {*own, *parts}}
    return chosen("lean", merged)


#: A recipe whose every epoch depends on the ones before: augmentation, plateau, averaged weights.
INTERRUPTED = preset(
    augment={"noise": 0.05, "mixup": 0.2},
    schedule={"decay": "plateau", "plateau_patience": 1, "average_epochs": 3, "epochs": 5},
)
KILLED_IN = 4


def _kill(record: Mapping[str, float], epochs: int) -> None:
    if record["epoch"] == KILLED_IN:  # before this epoch is written
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from xrl.experts.backend import prepare

    prepare()
    from xrl.experts.train import fit_expert

    fit_expert(market(), LEARNED, HELD, INTERRUPTED, WINDOW, 3, Path(sys.argv[1]), _kill)
