"""The epochs of one training, anew or from a checkpoint. Enters: a loop, a lesson. Leaves: a history.

What an epoch does follows from the history and one generator alone, so a training that was interrupted after
any epoch goes on as if it had not been.
"""

import logging
import time
from pathlib import Path

import numpy as np

from xrl.errors import TrainingError
from xrl.experts import checkpoint, remedies
from xrl.experts.batches import Lesson
from xrl.experts.checkpoint import Checkpoint, State
from xrl.experts.loop import Loop
from xrl.experts.monitor import Figures, Looks, Watch
from xrl.experts.schedules import plateau_factor, stops

log = logging.getLogger(__name__)

_DIVERGED = 3.0 * np.log(3)  # nats: three times the loss of a network that knows nothing


class Training:
    """One run over the epochs of a preset.

    Attributes:
        history: figures of the epochs so far.
        kept: weights of the best epoch, or of the last ones.
    """

    def __init__(self, loop: Loop, taught: Lesson, judged: Looks, seed: int, watch: Watch | None) -> None:
        self._loop, self._taught, self._judged = loop, taught, judged
        self._schedule = taught.preset.schedule
        self._steps = taught.steps
        self._patience = None if judged.held is None else self._schedule.patience
        self._seed, self._order = seed, np.random.default_rng(seed)
        self._watch = watch
        self.history: list[Figures] = []
        self.kept: list[State] = []

    def run(self, folder: Path | None = None, identity: str = "") -> Figures:
        """Train to the end, leave the loop with the weights that are kept, and return their figures.

        Args:
            folder: of the checkpoint that is resumed from and written after every epoch; None for none.
            identity: of this training, see `checkpoint.identity`.

        Raises:
            TrainingError: the loss is not finite or runs away.
        """
        found = None if folder is None else checkpoint.load(folder, identity)
        if found is not None:
            self._resume(found)
        while len(self.history) < self._schedule.epochs and not stops(self._scores(), self._patience):
            self._epoch(len(self.history) + 1)
            if folder is not None:
                checkpoint.save(folder, identity, self._standing(None))
        self._loop.weights = [np.mean(same, axis=0) for same in zip(*self.kept)]
        if found is not None and found.final is not None:
            return found.final
        final = self._judged.figures(self._loop)
        if folder is not None:
            checkpoint.save(folder, identity, self._standing(final))
        return final

    @property
    def epochs(self) -> int:
        """Epochs behind the weights that are kept."""
        scores = self._scores()
        return int(np.argmax(scores)) + 1 if self._patience is not None else len(self.history)

    def _epoch(self, number: int) -> None:
        """One pass over the lesson, a look, a line in the history."""
        started = time.perf_counter()
        self._loop.reseed(self._seed, number)
        self._loop.follow(self._schedule, self._steps, self._factor())
        loss = self._pass(number)
        record = {"epoch": float(number), "loss": loss, "learning_rate": self._loop.learning_rate}
        record |= self._judge(number)
        self.history.append(record)
        self._keep(number)
        log.info("epoch %d/%d %s", number, self._schedule.epochs, _line(record))
        if self._watch is not None:
            self._watch(record | {"seconds": time.perf_counter() - started}, self._schedule.epochs)

    def _pass(self, number: int) -> float:
        starts = self._taught.starts(number, self._order)
        losses = []
        for x, y in self._taught.batches(starts, number, self._seed):
            losses.append(self._loop.step(x, y))
            if not np.isfinite(losses[-1]):
                raise TrainingError(
                    f"training loss became {losses[-1]} in epoch {number}; it must stay finite. "
                    f"{remedies.not_finite(self._taught.preset)}"
                )
        return float(np.mean(losses))

    def _judge(self, number: int) -> Figures:
        found = self._judged.figures(self._loop)
        if found["train_loss"] > _DIVERGED:
            raise TrainingError(
                f"training diverged: after epoch {number} its log-loss on training bars is "
                f"{found['train_loss']:.3g}, knowing nothing costs {np.log(3):.3g}. "
                f"{remedies.not_finite(self._taught.preset)}"
            )
        return found

    def _keep(self, number: int) -> None:
        scores = self._scores()
        if self._patience is not None:
            if int(np.argmax(scores)) + 1 == number:
                self.kept = [self._loop.weights]
        elif number > self._schedule.epochs - self._schedule.average_epochs:
            self.kept.append(self._loop.weights)

    def _scores(self) -> list[float]:
        return [record.get("validation_f1", 0.0) for record in self.history]

    def _factor(self) -> float:
        name = "train_loss" if self._judged.held is None else "validation_loss"
        return plateau_factor([record[name] for record in self.history], self._schedule)

    def _standing(self, final: Figures | None) -> Checkpoint:
        order = self._order.bit_generator.state
        return Checkpoint(self._loop.state, tuple(self.kept), tuple(self.history), dict(order), final)

    def _resume(self, found: Checkpoint) -> None:
        self._loop.state = found.state
        self._order.bit_generator.state = found.order
        self.history, self.kept = list(found.history), list(found.kept)
        log.info("resumed after epoch %d of %d", len(self.history), self._schedule.epochs)


def _line(record: Figures) -> str:
    shown = ("loss", "train_loss", "validation_loss", "validation_f1")
    return " ".join(f"{name} {record[name]:.4f}" for name in shown if name in record)
