"""One training after another: reproducible, resumable, and every switch of schedule and batches felt."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.experts import small
from tests.experts.small import BARS, HELD, LEARNED, WINDOW
from xrl.errors import TrainingError
from xrl.experts import checkpoint, loop, train
from xrl.experts.loop import loop_of
from xrl.experts.monitor import Looks
from xrl.experts.train import Fitted, fit_expert
from xrl.experts.windows import Rows
from xrl.presets import Preset

NONE = np.zeros(BARS, dtype=bool)


def _fit(preset: Preset | None = None, seed: int = 0, held: np.ndarray = HELD, **more) -> Fitted:
    return fit_expert(small.market(), LEARNED, held, preset or small.preset(), WINDOW, seed, **more)


def _same(first: Fitted, second: Fitted) -> bool:
    pairs = zip(first.model.get_weights(), second.model.get_weights())
    return all((one == other).all() for one, other in pairs)


@pytest.fixture(scope="module")
def plain() -> Fitted:
    return _fit()


class TestSameSeed:
    def test_it_gives_the_same_weights_whatever_the_loop_trained_before(self, plain):
        assert not _same(_fit(seed=1), plain)
        again = _fit()
        assert _same(again, plain)
        assert again.history == plain.history

    def test_a_loop_compiled_anew_gives_the_same_weights(self, plain):
        loop._made.cache_clear()
        assert _same(_fit(), plain)

    def test_trainings_of_one_shape_share_a_compiled_loop(self):
        longer = small.preset(schedule={"epochs": 9, "learning_rate": 0.1, "warmup_epochs": 1})
        assert loop_of(3, WINDOW, small.preset()) is loop_of(3, WINDOW, longer)
        other = small.preset(network={"units": 8})
        assert loop_of(3, WINDOW, small.preset()) is not loop_of(3, WINDOW, other)


SWITCHES = {
    "class weights": {"balance": {"class_weights": "source"}},
    "oversampling": {"balance": {"oversample": True}},
    "mixup": {"augment": {"mixup": 0.2}},
    "time mask": {"augment": {"time_mask": 0.3}},
    "noise": {"augment": {"noise": 0.1}},
    "feature dropout": {"augment": {"feature_dropout": 0.3}},
    "curriculum": {"curriculum": {"epochs": 3}},
    "warm-up": {"schedule": {"warmup_epochs": 2}},
    "floor": {"schedule": {"min_learning_rate": 1e-3}},
    "plateau": {"schedule": {"decay": "plateau"}},
    "averaging": {"schedule": {"average_epochs": 3}},
    "context": {"schedule": {"context": 2}},
    "hop": {"schedule": {"hop": 3}},
    "epochs": {"schedule": {"epochs": 2}},
}


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_leads_to_other_weights(name, plain):
    assert not _same(_fit(small.preset(**SWITCHES[name])), plain)


def test_all_tasks_at_once_train_and_leave_two_outputs():
    """And `vsa_weight` is felt: the loss differs from the one without."""
    tasks = {"return_weight": 0.2, "confidence_weight": 0.2, "rank_weight": 0.5, "directional_penalty": 0.5}
    found = _fit(small.preset(loss={**tasks, "vsa_weight": 0.9}))
    assert [tuple(output.shape) for output in found.model.output] == [(None, 3), (None, 256)]
    other = _fit(small.preset(loss={**tasks, "vsa_weight": 0.1}))
    assert found.history[0]["loss"] != other.history[0]["loss"]
    assert found.history[-1]["loss"] < found.history[0]["loss"]


def test_the_newest_position_alone_can_be_trained():
    preset = small.preset(schedule={"positions": "last", "hop": 2, "epochs": 8, "learning_rate": 0.01})
    found = _fit(preset)
    assert found.history[-1]["train_loss"] < found.history[0]["train_loss"]
    assert found.final["validation_accuracy"] > 0.5
    wanted = np.flatnonzero(HELD)
    p = train.predict(found.model, small.market(), wanted, WINDOW).probabilities
    right = p.argmax(axis=1) == small.market().label[wanted]
    said = right[wanted % 2 == 1].mean()  # windows start at even bars, so odd ones are looked at
    assert said == pytest.approx(found.final["validation_accuracy"], abs=0.03)


class TestSchedule:
    def test_the_learning_rate_is_told_at_every_epochs_end(self, plain):
        rates = [record["learning_rate"] for record in plain.history]
        assert rates == sorted(rates, reverse=True)
        assert rates[-1] == pytest.approx(0.0, abs=1e-9)

    def test_a_plateau_halves_the_rate(self, monkeypatch):
        _judge_by(monkeypatch, "validation_loss", [1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
        preset = small.preset(
            schedule={"decay": "plateau", "plateau_patience": 1, "epochs": 4, "learning_rate": 0.01}
        )
        rates = [record["learning_rate"] for record in _fit(preset).history]
        assert rates == pytest.approx([0.01, 0.01, 0.005, 0.0025])

    def test_early_stopping_keeps_the_weights_of_the_best_f1(self, monkeypatch):
        _judge_by(monkeypatch, "validation_f1", [0.3, 0.5, *[0.4] * 9])
        preset = small.preset(schedule={"patience": 3, "epochs": 9, "decay": "plateau"})
        found = _fit(preset)
        assert (found.epochs, len(found.history)) == (2, 5)
        two = small.preset(schedule={"epochs": 2, "average_epochs": 1, "decay": "plateau"})
        assert _same(found, _fit(two))

    def test_without_held_out_bars_all_epochs_are_run(self):
        found = _fit(small.preset(schedule={"patience": 1}), held=NONE)
        assert (found.epochs, len(found.history)) == (3, 3)
        assert "validation_loss" not in found.final
        assert found.final["train_loss"] > 0


@pytest.fixture(scope="module")
def whole() -> Fitted:
    return fit_expert(small.market(), LEARNED, HELD, small.INTERRUPTED, WINDOW, 3)


class TestResumption:
    @pytest.mark.slow
    def test_a_training_that_was_killed_ends_with_the_same_bits(self, whole, tmp_path, caplog):
        folder = tmp_path / "checkpoint"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
        killed = subprocess.run(
            [sys.executable, "-m", "tests.experts.small", str(folder)], env=environment, check=False
        )
        assert killed.returncode == -signal.SIGKILL
        assert [path.name for path in folder.iterdir()] == [checkpoint.FILE]
        told: list[float] = []
        with caplog.at_level("INFO"):
            resumed = fit_expert(
                small.market(),
                LEARNED,
                HELD,
                small.INTERRUPTED,
                WINDOW,
                3,
                folder,
                lambda record, _: told.append(record["epoch"]),
            )
        assert told == [4.0, 5.0]
        assert f"resumed after epoch {small.KILLED_IN - 1} of 5" in caplog.text
        assert _same(resumed, whole)
        assert resumed.history == whole.history
        assert resumed.final == whole.final

    def test_a_finished_training_is_restored_without_an_epoch(self, whole, tmp_path):
        def fit(watch):
            return fit_expert(small.market(), LEARNED, HELD, small.INTERRUPTED, WINDOW, 3, tmp_path, watch)

        first = fit(None)
        restored = fit(lambda *_: pytest.fail("no epoch is left to train"))
        assert _same(first, whole) and _same(restored, whole)
        assert restored.history == whole.history
        assert restored.final == whole.final

    def test_another_training_does_not_read_it(self, plain, tmp_path):
        _fit(folder=tmp_path, seed=9)
        told: list[float] = []
        found = _fit(folder=tmp_path, watch=lambda record, _: told.append(record["epoch"]))
        assert told == [1.0, 2.0, 3.0]
        assert _same(found, plain)

    def test_a_torn_file_is_told_of_and_not_read(self, plain, tmp_path, caplog):
        (tmp_path / checkpoint.FILE).write_bytes(b"PK torn")
        assert _same(_fit(folder=tmp_path), plain)
        assert "cannot be read" in caplog.text

    def test_what_it_led_to_is_written_it_goes(self, tmp_path):
        _fit(folder=tmp_path / "0")
        checkpoint.discard(tmp_path / "0")
        assert not (tmp_path / "0").exists()
        checkpoint.discard(tmp_path / "0")


class TestIdentity:
    def _identity(
        self, rows: Rows | None = None, seed: int = 0, learned: np.ndarray = LEARNED, **parts
    ) -> str:
        masks = (learned, HELD)
        return checkpoint.identity(rows or small.market(), masks, small.preset(**parts), WINDOW, seed)

    def test_it_is_the_same_for_the_same_training(self):
        assert self._identity() == self._identity()

    def test_every_input_changes_it(self):
        market = small.market()
        label, x, score = market.label.copy(), market.x.copy(), market.targets.score.copy()
        label[5], x[5, 1], score[5] = (label[5] + 1) % 3, 9.0, 9.0
        targets = type(market.targets)(score, market.targets.ranks, market.targets.vsa)
        learned = LEARNED.copy()
        learned[5] = False
        found = {
            self._identity(),
            self._identity(Rows(market.x, market.position, label, market.targets)),
            self._identity(Rows(x, market.position, market.label, market.targets)),
            self._identity(Rows(market.x, market.position, market.label, targets)),
            self._identity(learned=learned),
            self._identity(seed=1),
            self._identity(loss={"focal_gamma": 1.0}),
        }
        assert len(found) == 7


class TestMistakes:
    def test_a_window_longer_than_the_training_bars(self):
        few = np.arange(BARS) < WINDOW - 2
        with pytest.raises(TrainingError, match="received 10, the longest run up to a training bar is 8"):
            fit_expert(small.market(), few, HELD, small.preset(), WINDOW, 0)

    def test_an_empty_validation(self):
        rows = small.market()
        position = rows.position.copy()
        position[HELD] = position[HELD] % 5  # runs of five bars
        broken = Rows(rows.x, position, rows.label)
        with pytest.raises(TrainingError, match="validation is empty: none of the 60 held-out bars"):
            fit_expert(broken, LEARNED, HELD, small.preset(), WINDOW, 0)

    def test_a_loss_that_runs_away(self):
        wild = small.preset(schedule={"learning_rate": 3.0, "weight_decay": 0.0, "epochs": 9})
        with pytest.raises(
            TrainingError, match=r"training diverged: after epoch 1 its log-loss .* `schedule.learning_rate`"
        ):
            _fit(wild)

    def test_targets_that_a_recipe_weighs_and_nobody_brings(self):
        rows = small.market()
        bare = Rows(rows.x, rows.position, rows.label)
        with pytest.raises(TrainingError, match="hold no such targets"):
            fit_expert(bare, LEARNED, HELD, small.preset(loss={"rank_weight": 0.5}), WINDOW, 0)


def test_a_stalled_training_is_told_the_sources_remedies(caplog):
    rows = small.market()
    label = np.where(HELD, (rows.label + 1) % 3, rows.label)  # what held for training holds no more
    fit_expert(Rows(rows.x, rows.position, label), LEARNED, HELD, small.preset(), WINDOW, 0)
    assert "accuracy on held-out bars is" in caplog.text
    assert "labels.percentiles" in caplog.text


def test_every_epoch_is_told_as_plain_numbers(plain):
    told: list[dict] = []
    _fit(watch=lambda record, epochs: told.append({**record, "of": epochs}))
    assert [record["epoch"] for record in told] == [1.0, 2.0, 3.0]
    assert {record["of"] for record in told} == {3}
    assert all(record["seconds"] > 0 for record in told)
    json.dumps(told)
    assert [record["loss"] for record in told] == [record["loss"] for record in plain.history]


def _judge_by(monkeypatch: pytest.MonkeyPatch, name: str, values: list[float]) -> None:
    """Let the epochs, and the last look, be judged by given values of one figure."""
    given, seen = iter([*values, *[0.0] * 9]), Looks.figures
    monkeypatch.setattr(Looks, "figures", lambda *asked: seen(*asked) | {name: next(given)})
