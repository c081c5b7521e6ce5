"""How fast is learned when: warm-up, cosine, or halving on a plateau. Enters: epochs' figures. Leaves: rates.

The rate of a step is computed in the graph from a few numbers that the optimizer owns, so that one compiled
training step serves every length of training on every backend.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from xrl.presets import Schedule

_FACTOR = 0.5  # of the learning rate at a plateau
_NEVER = 1e30  # steps to the end of a cosine that does not fall


@keras.saving.register_keras_serializable(package="xrl")
class RateCourse(keras.optimizers.schedules.LearningRateSchedule):
    """`peak (step + 1) / warm` up to step `warm`, then a cosine to `floor` at step `total`, times `factor`.

    The five numbers are a variable of the optimizer; `attach` before the first step, `set` before a training.
    """

    def __init__(self) -> None:
        self.numbers: Any = None

    def attach(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Let `optimizer` own the numbers, so that every backend carries them into its compiled step."""
        self.numbers = optimizer.add_variable((5,), initializer="zeros", name="course")

    def set(self, schedule: Schedule, steps_per_epoch: float, factor: float = 1.0) -> None:
        """Follow `schedule` from here on, over `steps_per_epoch` batches an epoch."""
        total = schedule.epochs * steps_per_epoch if schedule.decay == "cosine" else _NEVER
        warm = schedule.warmup_epochs * steps_per_epoch
        numbers = (schedule.learning_rate, schedule.min_learning_rate, warm, total, factor)
        self.numbers.assign(np.array(numbers, dtype=np.float32))

    def __call__(self, step: Any) -> Any:
        peak, floor, warm, total, factor = (self.numbers[place] for place in range(5))
        step = ops.cast(step, "float32")
        past = ops.clip((step - warm) / ops.maximum(total - warm, 1.0), 0.0, 1.0)
        cosine = floor + (peak - floor) * 0.5 * (1.0 + ops.cos(np.pi * past))
        rate = ops.where(step < warm, peak * (step + 1.0) / ops.maximum(warm, 1.0), cosine)
        return ops.maximum(factor * rate, ops.minimum(floor, rate))

    def get_config(self) -> dict[str, Any]:
        return {}


def plateau_factor(losses: Sequence[float], schedule: Schedule) -> float:
    """The factor on the rate after epochs with these losses: halved after `plateau_patience` in vain.

    Three losses 1.0, 0.9, 0.9 and a patience of 1 give 0.5; 1 for `decay: cosine`.
    """
    if schedule.decay == "cosine":
        return 1.0
    factor, best, waited = 1.0, np.inf, 0
    for loss in losses:
        if loss < best:
            best, waited = loss, 0
            continue
        waited += 1
        if waited == schedule.plateau_patience:
            factor, waited = factor * _FACTOR, 0
    return factor


def stops(scores: Sequence[float], patience: int | None) -> bool:
    """Whether the best of `scores` lies at least `patience` epochs back."""
    if patience is None or not scores:
        return False
    return len(scores) - 1 - int(np.argmax(scores)) >= patience
