"""How a training goes: figures of every epoch. Enters: a loop, rows, bars to look at. Leaves: plain numbers.

The same look, without dropout, at bars that train and bars held out, so that the gap between both losses is
one of learning by heart and not of two ways to measure.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.columns import CLASSES
from xrl.errors import TrainingError
from xrl.evaluation import calibration, metrics
from xrl.experts.batches import window_starts
from xrl.experts.loop import Loop
from xrl.experts.windows import Rows, gather
from xrl.presets import Schedule

Figures = dict[str, float]
#: Told of each epoch: its figures, and how many epochs there are at most.
Watch = Callable[[Mapping[str, float], int], None]

#: Training bars looked at in each epoch.
TRAIN_BARS: Final = 4000
_PART = 256  # windows gathered at a time


class Look(NamedTuple):
    """Windows whose asked-for bars are looked at, the same in every epoch."""

    rows: Rows
    mask: NDArray[np.bool_]
    starts: NDArray[np.int64]
    window: int
    schedule: Schedule

    def confusion(self, loop: Loop) -> tuple[NDArray[np.float64], float]:
        """Counts (3, 3), truth in rows, and the mean log-loss in nats."""
        matrix, loss, bars = np.zeros((3, 3)), 0.0, 0
        for part in np.array_split(self.starts, max(len(self.starts) // _PART, 1)):
            logits = loop.logits(gather(self.rows.x, part, self.window)).astype(np.float64)
            asked = (part[:, None] + np.arange(self.window))[:, -logits.shape[1] :]
            wanted = self.mask[asked]
            if self.schedule.positions == "every":
                wanted[:, : self.schedule.context] = False
            truth, p = self.rows.label[asked[wanted]], softmax(logits[wanted])
            matrix += metrics.confusion(truth, p.argmax(axis=1))
            loss += float(calibration.log_losses(p, truth).sum())
            bars += len(truth)
        return matrix, loss / max(bars, 1)


class Looks(NamedTuple):
    """What every epoch is judged by; `held` is None for a training that holds nothing back."""

    train: Look
    held: Look | None

    def figures(self, loop: Loop) -> Figures:
        """Losses, accuracies, F1, confusion and shares of predictions; of held-out bars if there are any."""
        matrix, loss = self.train.confusion(loop)
        found = {"train_loss": loss, "train_accuracy": float(metrics.accuracy(matrix))}
        if self.held is not None:
            matrix, loss = self.held.confusion(loop)
            found |= {
                "validation_loss": loss,
                "validation_accuracy": float(metrics.accuracy(matrix)),
                "validation_f1": float(metrics.f1_macro(matrix)),
            }
            f1 = metrics.f1_per_class(matrix)
            found |= {f"validation_f1_{name}": float(own) for name, own in zip(CLASSES, f1)}
        shares = metrics.class_shares(matrix)
        found |= {f"predicted_{name}": float(own) for name, own in zip(CLASSES, shares)}
        found["collapsed"] = float(metrics.is_collapsed(shares))
        for truth, counts in zip(CLASSES, matrix):
            found |= {f"confusion_{truth}_{said}": float(own) for said, own in zip(CLASSES, counts)}
        return found


def looks(
    rows: Rows, learned: NDArray[np.bool_], held: NDArray[np.bool_], window: int, schedule: Schedule
) -> Looks:
    """A sample of the training windows, and the newest `validation_bars` of the held-out bars.

    Raises:
        TrainingError: bars are held out and none of them can be looked at.
    """
    of_train = window_starts(rows, learned, window, schedule)
    enough = max(TRAIN_BARS // _bars_a_window(schedule, window), 1)
    chosen = np.unique(np.linspace(0, len(of_train) - 1, min(enough, len(of_train))).astype(np.int64))
    train = Look(rows, learned, of_train[chosen], window, schedule)
    if not held.any():
        return Looks(train, None)
    newest = _newest(held, schedule.validation_bars)
    of_held = window_starts(rows, newest, window, schedule)
    if not len(of_held):
        raise TrainingError(
            f"validation is empty: none of the {int(held.sum())} held-out bars lies in an unbroken window of "
            f"{window} bars. Hold out more (`experts.calibration_share`) or shorten `experts.window_bars`."
        )
    return Looks(train, Look(rows, newest, of_held, window, schedule))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities along the last axis; an empty array stays empty."""
    if not logits.size:
        return logits
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def _bars_a_window(schedule: Schedule, window: int) -> int:
    return 1 if schedule.positions == "last" else window - schedule.context


def _newest(held: NDArray[np.bool_], bars: int | None) -> NDArray[np.bool_]:
    """About `bars` of the held-out rows: the last ones of each unbroken stretch, in proportion."""
    total = int(held.sum())
    if bars is None or bars >= total:
        return held
    edges = np.flatnonzero(np.diff(np.concatenate([[0], held.astype(np.int8), [0]])))
    kept = np.zeros_like(held)
    for first, end in zip(edges[::2], edges[1::2]):
        kept[end - max(round((end - first) * bars / total), 1) : end] = True
    return kept
