"""Pictures of a trained expert: its epochs, and what it said of held-out bars against what came true.

Enters: histories, probabilities, classes. Leaves: PNG files, each aside and renamed.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.backtest.plots import draw_confusion, draw_reliability
from xrl.evaluation import calibration, metrics
from xrl.experts.plots import draw_training
from xrl.stages.aside import aside


def draw(
    folder: Path,
    name: str,
    history: pd.DataFrame | None,
    said: NDArray[np.float64],
    truth: NDArray[np.integer],
) -> None:
    """Write training.png where there were epochs, confusion.png and reliability.png.

    Args:
        folder: of the expert.
        name: of fold and expert, for the titles.
        history: of all its networks; None for trees.
        said: (n, 3) probabilities of held-out bars, temperature applied.
        truth: (n,) their classes.
    """
    if history is not None:
        with aside(folder / "training.png") as place:
            draw_training(history, place, f"{name}: training")
    with aside(folder / "confusion.png") as place:
        matrix = metrics.confusion(truth, said.argmax(axis=1))
        f1 = float(metrics.f1_macro(matrix))
        draw_confusion(matrix, place, f"{name}: held-out classes (F1 {f1:.3f})")
    with aside(folder / "reliability.png") as place:
        events = {"top label": calibration.reliability(*calibration.top_label(said, truth))}
        for number, own in enumerate(columns.CLASSES):
            events[own] = calibration.reliability(said[:, number], truth == number)
        draw_reliability({name: events}, place, "said and came true, held out")
