"""The learning rate of every step, by hand; plateaus and early stopping from a history."""

import keras
import numpy as np
import pytest

from xrl.experts.schedules import RateCourse, plateau_factor, stops
from xrl.presets import Schedule


def _rates(schedule: Schedule, steps: list[int], per_epoch: int = 10, factor: float = 1.0) -> list[float]:
    course = RateCourse()
    optimizer = keras.optimizers.AdamW(course)
    course.attach(optimizer)
    course.set(schedule, per_epoch, factor)
    return [float(course(step)) for step in steps]


def test_the_cosine_falls_from_the_peak_to_the_floor():
    schedule = Schedule(epochs=2, learning_rate=1.0, min_learning_rate=0.2)
    assert _rates(schedule, [0, 10, 20, 99]) == pytest.approx([1.0, 0.6, 0.2, 0.2], abs=1e-6)


def test_warm_up_climbs_to_the_peak_and_the_cosine_starts_there():
    schedule = Schedule(epochs=3, warmup_epochs=1, learning_rate=1.0)
    assert _rates(schedule, [0, 4, 9, 10, 20, 30]) == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.5, 0.0], abs=1e-6)


def test_a_plateau_schedule_keeps_the_peak_but_for_its_factor():
    schedule = Schedule(epochs=3, decay="plateau", learning_rate=1.0, min_learning_rate=0.2)
    assert _rates(schedule, [0, 15, 29]) == pytest.approx([1.0] * 3)
    assert _rates(schedule, [29], factor=0.5) == pytest.approx([0.5])
    assert _rates(schedule, [29], factor=0.125) == pytest.approx([0.2])


def test_the_optimizer_follows_the_course_it_owns():
    """One step of plain gradient descent by the rate of step 0; the numbers are the optimizer's variable."""
    course = RateCourse()
    optimizer = keras.optimizers.SGD(course)
    weight = keras.Variable(np.array([1.0], dtype=np.float32))
    optimizer.build([weight])
    course.attach(optimizer)
    course.set(Schedule(epochs=2, warmup_epochs=1, learning_rate=0.4), 4)
    optimizer.apply([np.array([1.0], dtype=np.float32)], [weight])
    assert float(weight[0]) == pytest.approx(1.0 - 0.1)
    assert any(variable is course.numbers for variable in optimizer.variables)


class TestPlateau:
    schedule = Schedule(decay="plateau", plateau_patience=2)

    def test_it_halves_after_patience_in_vain_and_again(self):
        losses = [1.0, 0.9, 0.9, 0.95, 0.95, 0.95]
        found = [plateau_factor(losses[:count], self.schedule) for count in range(len(losses) + 1)]
        assert found == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25]

    def test_a_better_loss_begins_the_wait_anew(self):
        assert plateau_factor([1.0, 1.0, 0.9, 0.9], self.schedule) == 1.0

    def test_a_cosine_has_none(self):
        assert plateau_factor([1.0] * 9, Schedule(plateau_patience=2)) == 1.0


def test_training_stops_when_the_best_lies_patience_epochs_back():
    scores = [0.3, 0.5, 0.4, 0.5, 0.4]
    assert [stops(scores[:count], 3) for count in range(6)] == [False] * 5 + [True]
    assert not stops(scores, None)
