"""The lesson of a training: which windows an epoch shows, and what is wanted of their bars. Pure numpy.

Enters: rows, training bars, a preset. Leaves: batches of windows and packed targets. Rows and targets are
kept once; a batch gathers what it needs, so memory does not grow with the number of windows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrl.columns import CLASSES, HOLD
from xrl.experts import losses
from xrl.experts.augment import augmented
from xrl.experts.balance import class_weights
from xrl.experts.curriculum import admitted, clearness
from xrl.experts.targets import check_targets
from xrl.experts.windows import Rows, training_starts
from xrl.presets import Preset, Schedule

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Lesson:
    """All that the epochs of one training are made of.

    Attributes:
        rows: all bars.
        learned: (rows,) bars that train once the curriculum is over.
        packed: (rows, channels) targets as `xrl.experts.losses` packs them, flag 0 where not trained on.
        clear: (rows,) ease of each bar for the curriculum; None without one.
        ranks: number of rank targets.
    """

    rows: Rows
    learned: Mask
    packed: Numbers
    clear: NDArray[np.float64] | None
    ranks: int
    window: int
    preset: Preset

    def trained(self, epoch: int) -> Mask:
        """Bars that `epoch` (from 1) trains on. (rows,)"""
        if self.clear is None or epoch > self.preset.curriculum.epochs:
            return self.learned
        return admitted(self.clear, epoch, self.preset.curriculum)

    def starts(self, epoch: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """First rows of the windows of `epoch`, in the order shown; a whole number of batches."""
        schedule, trained = self.preset.schedule, self.trained(epoch)
        phase = int(rng.integers(schedule.hop))
        found = window_starts(self.rows, trained, self.window, schedule, phase)
        if not len(found):  # runs hardly longer than a window: not every phase has one
            found = window_starts(self.rows, trained, self.window, schedule)
        if self.preset.balance.oversample:
            times = window_repeats(self.rows.label, trained, found, self.window, schedule)
            whole = np.floor(times)
            found = np.repeat(found, (whole + (rng.random(len(found)) < times - whole)).astype(np.int64))
        found = rng.permutation(found)
        batch = min(schedule.batch, len(found))
        return np.asarray(found[: len(found) // batch * batch])

    def batches(self, starts: NDArray[np.int64], epoch: int, seed: int) -> Iterator[tuple[Numbers, Numbers]]:
        """Windows (batch, window, columns) and packed targets (batch, positions, channels), augmented."""
        schedule, trained = self.preset.schedule, self.trained(epoch)
        flag = losses.flags(self.ranks)
        size = min(schedule.batch, len(starts))
        for number, first in enumerate(range(0, len(starts), size)):
            inside = starts[first : first + size, None] + np.arange(self.window)  # (batch, window)
            asked = inside[:, -1:] if schedule.positions == "last" else inside
            y = self.packed[asked]
            y[..., flag] *= trained[asked]
            if schedule.positions == "every":
                y[:, : schedule.context, flag] = 0.0
            x = self.rows.x[inside]
            if schedule.positions == "every":
                _blank_after(x, y[..., flag])
            rng = np.random.default_rng((seed, epoch, number))
            yield augmented(x, y, self.preset.augment, self.ranks, rng)

    @property
    def steps(self) -> float:
        """Batches of an average epoch, for the learning rate's course; at least 1."""
        counts = [self._windows(epoch) for epoch in range(1, self.preset.curriculum.epochs + 2)]
        late = max(self.preset.schedule.epochs - len(counts), 0) * counts[-1]
        epochs = min(len(counts), self.preset.schedule.epochs)
        windows = (sum(counts[:epochs]) + late) / self.preset.schedule.epochs
        return max(windows // self.preset.schedule.batch, 1.0)

    def _windows(self, epoch: int) -> float:
        trained, schedule = self.trained(epoch), self.preset.schedule
        found = window_starts(self.rows, trained, self.window, schedule)
        if not self.preset.balance.oversample:
            return float(len(found))
        return float(window_repeats(self.rows.label, trained, found, self.window, schedule).sum())


def lesson(rows: Rows, learned: Mask, preset: Preset, window: int) -> Lesson:
    """What the training bars `learned` teach by `preset`.

    Args:
        rows: all bars; with `targets` where the preset needs them.
        learned: (rows,) bars that train; all three classes among them.
        preset: the training recipe.
        window: bars of a window.

    Raises:
        TrainingError: a target that the preset weighs is missing, or a class.
    """
    check_targets(rows.targets, preset)
    ranks = losses.rank_count(preset.loss)
    clear = None
    if preset.curriculum.epochs and rows.targets is not None:
        clear = clearness(rows.label, rows.targets.score, learned)
    packed = _packed(rows, learned, preset, window, ranks)
    return Lesson(rows, learned, packed, clear, ranks, window, preset)


def window_starts(
    rows: Rows, mask: Mask, window: int, schedule: Schedule, phase: int = 0
) -> NDArray[np.int64]:
    """First rows of the windows that hold an asked-for bar beyond their context. (windows,)"""
    starts = training_starts(rows.position, window, schedule.hop, phase)
    if schedule.positions == "last":
        return np.asarray(starts[mask[starts + window - 1]])
    asked = np.concatenate([[0], np.cumsum(mask)])
    return np.asarray(starts[asked[starts + window] > asked[starts + schedule.context]])


def window_repeats(
    label: NDArray[np.integer], mask: Mask, starts: NDArray[np.int64], window: int, schedule: Schedule
) -> NDArray[np.float64]:
    """How often each window is shown: the mean, over its trained bars, of largest to own class size."""
    counts = np.bincount(label[mask].astype(np.int64), minlength=len(CLASSES))
    of_bar = np.where(mask, counts.max() / np.maximum(counts, 1)[label.astype(np.int64)], 0.0)
    first = window - 1 if schedule.positions == "last" else schedule.context
    total, number = (np.concatenate([[0.0], np.cumsum(of)]) for of in (of_bar, mask.astype(np.float64)))
    span = starts + first, starts + window
    return np.asarray((total[span[1]] - total[span[0]]) / (number[span[1]] - number[span[0]]))


def _blank_after(x: Numbers, trained: Numbers) -> None:
    """Blank what a window holds after its last trained bar: batch statistics must not see later bars."""
    last = trained.shape[1] - 1 - trained[:, ::-1].argmax(axis=1)
    x[np.arange(trained.shape[1]) > last[:, None]] = 0.0


def _packed(rows: Rows, learned: Mask, preset: Preset, window: int, ranks: int) -> Numbers:
    """Packed targets of every row; 0 all over where a row does not train."""
    found = np.zeros((len(learned), losses.channels(ranks)), dtype=np.float32)
    at = np.flatnonzero(learned)
    label = rows.label[at].astype(np.int64)
    first = losses.flags(ranks)
    found[at, label] = 1.0
    found[at, losses.WEIGHT] = _weights(rows, learned, preset, window)[label]
    found[at, first] = 1.0
    if rows.targets is None:
        return found
    if preset.loss.vsa_weight:
        against = (label - HOLD) * np.nan_to_num(rows.targets.vsa[at]) < 0
        found[at, losses.WEIGHT] *= np.where(against, 1.0 - preset.loss.vsa_weight, 1.0)
    tasks = np.concatenate([rows.targets.score[at, None], rows.targets.ranks[at][:, :ranks]], axis=1)
    found[at, losses.SCORE : first] = np.nan_to_num(tasks)
    found[at, first + 1 :] = np.isfinite(tasks)
    return found


def _weights(rows: Rows, learned: Mask, preset: Preset, window: int) -> NDArray[np.float64]:
    """Class weights for the bars as often as they are shown."""
    label = rows.label[learned]
    if not preset.balance.oversample:
        return class_weights(label, preset.balance.class_weights)
    starts = window_starts(rows, learned, window, preset.schedule)
    times = window_repeats(rows.label, learned, starts, window, preset.schedule)
    shown = np.zeros(len(learned))
    first = window - 1 if preset.schedule.positions == "last" else preset.schedule.context
    for place in range(first, window):
        shown[starts + place] += times
    counts = np.bincount(label.astype(np.int64), weights=shown[learned], minlength=len(CLASSES))
    return class_weights(label, preset.balance.class_weights, counts)
