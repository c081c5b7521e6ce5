"""A compiled training step that every training of the same shape reuses.

Enters: the shape of an expert and what it is trained to say. Leaves: steps, outputs, its state as arrays.
Tracing the graph costs as much as an epoch of a small expert, and nothing in it depends on seed, fold or
length: weights, optimizer and the course of the learning rate are set anew before each training.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from xrl.errors import TrainingError
from xrl.experts.backend import compiles
from xrl.experts.losses import OUTPUTS, TARGET, ExpertLoss
from xrl.experts.model import Expert, build_expert
from xrl.experts.schedules import RateCourse
from xrl.presets import Loss, Network, Preset, Schedule

Numbers = NDArray[np.float32]
State = list[NDArray[Any]]

_CLIP_NORM = 1.0
_ASKED = 64  # windows of one call when looking: small enough to stay in the cache
_KEPT = 4  # compiled loops


class Loop:
    """One expert's graph with its optimizer; belongs to whoever called `start` last.

    Args:
        expert: whose graph it is.
        loss, schedule: what is trained, and at which positions.
        compiled: whether XLA compiles the step, which then goes through the batch in chunks.
    """

    def __init__(self, expert: Expert, loss: Loss, schedule: Schedule, compiled: bool = False) -> None:
        self._schedule = schedule
        self._model = _training_view(expert, schedule)
        statistics = self._model.non_trainable_weights  # of a batch: those of a chunk would be others
        if compiled and not statistics:
            from xrl.experts.chunks import InChunks  # TensorFlow only

            self._model = InChunks(self._model.input, self._model.output, name=self._model.name)
        self._course = RateCourse()
        self._optimizer = keras.optimizers.AdamW(
            self._course, weight_decay=schedule.weight_decay, global_clipnorm=_CLIP_NORM
        )
        self._optimizer.build(self._model.trainable_variables)  # else the step is traced twice
        self._course.attach(self._optimizer)
        self._model.compile(
            optimizer=self._optimizer, loss=ExpertLoss(**loss.model_dump()), jit_compile=compiled
        )

    def start(self, expert: Expert) -> None:
        """Take over the weights and random states of `expert`; forget what was trained before."""
        theirs = _training_view(expert, self._schedule).variables
        _assign(self._model.variables, [_array(variable) for variable in theirs])
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape, dtype=variable.dtype))

    def finish(self, expert: Expert) -> None:
        """Hand the weights over to `expert`."""
        _training_view(expert, self._schedule).set_weights(self._model.get_weights())

    def reseed(self, seed: int, epoch: int) -> None:
        """Begin an epoch's random numbers where the backend keeps them outside of `state`.

        Keras on torch draws dropout from torch's global generator; elsewhere from variables of the model.
        """
        if keras.backend.backend() == "torch":
            own = np.random.SeedSequence((seed, epoch)).generate_state(1)[0]
            keras.utils.set_random_seed(int(own))

    def follow(self, schedule: Schedule, steps_per_epoch: float, factor: float) -> None:
        """Set the course of the learning rate, see `RateCourse.set`."""
        self._course.set(schedule, steps_per_epoch, factor)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(_array(self._optimizer.learning_rate))

    def step(self, x: Numbers, y: Numbers) -> float:
        """One update; the loss of this batch.

        Args:
            x: (batch, window, columns).
            y: (batch, positions, channels), see `xrl.experts.losses`.
        """
        return float(self._model.train_on_batch(x, y))

    def logits(self, x: Numbers) -> Numbers:
        """Class logits (windows, positions, 3) of windows (windows, window, columns), without dropout."""
        found = []
        for first in range(0, len(x), _ASKED):
            part = x[first : first + _ASKED]
            filled = np.concatenate([part, np.repeat(part[-1:], _ASKED - len(part), axis=0)])
            found.append(self._model.predict_on_batch(filled)[: len(part), :, TARGET])
        return np.concatenate(found)

    @property
    def weights(self) -> State:
        return list(self._model.get_weights())

    @weights.setter
    def weights(self, values: Sequence[NDArray[Any]]) -> None:
        self._model.set_weights(values)

    @property
    def state(self) -> State:
        """Weights, random states and optimizer: all that the next step depends on."""
        return [_array(variable) for variable in (*self._model.variables, *self._optimizer.variables)]

    @state.setter
    def state(self, values: Sequence[NDArray[Any]]) -> None:
        _assign([*self._model.variables, *self._optimizer.variables], values)


def loop_of(columns: int, window: int, preset: Preset) -> Loop:
    """The compiled loop for experts of this shape, made once a process.

    Args:
        columns: features of a bar.
        window: bars of a window.
        preset: network, loss and schedule of the training.
    """
    schedule = Schedule(positions=preset.schedule.positions, weight_decay=preset.schedule.weight_decay)
    loss = preset.loss.model_copy(update={"vsa_weight": 0.0})  # travels with the targets
    return _made(columns, window, preset.network, loss, schedule)


@functools.lru_cache(maxsize=_KEPT)
def _made(columns: int, window: int, network: Network, loss: Loss, schedule: Schedule) -> Loop:
    expert = build_expert(columns, window, network, loss)
    return Loop(expert, loss, schedule, compiles(network, schedule))


def _training_view(expert: Expert, schedule: Schedule) -> keras.Model:
    """Windows -> all that is said of their trained positions, packed along the last axis."""
    view = expert.newest if schedule.positions == "last" else expert.every
    outputs = view.output
    if isinstance(outputs, dict):
        outputs = keras.layers.Concatenate(name="packed")([outputs[n] for n in OUTPUTS if n in outputs])
    return keras.Model(view.input, outputs, name="training")


def _array(variable: Any) -> NDArray[Any]:
    return np.array(keras.ops.convert_to_numpy(variable))


def _assign(variables: Sequence[Any], values: Sequence[NDArray[Any]]) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise TrainingError("these weights are of another network; delete the checkpoint and train anew")
    for variable, value in zip(variables, values):
        variable.assign(value)
