"""Which windows an epoch shows and what it wants of their bars, on a market of forty visible rows."""

from typing import ClassVar

import numpy as np
import pytest

from xrl.experts import losses
from xrl.experts.batches import lesson, window_repeats, window_starts
from xrl.experts.targets import Targets
from xrl.experts.windows import Rows
from xrl.presets import Schedule, chosen

ROWS, WINDOW = 40, 6
#: One column that says which row it is; classes in turn; a run of 40 bars.
ROW = np.arange(ROWS)
LABEL = (ROW % 3).astype(np.int8)
LEARNED = ROW < 30
SMALL = {"schedule": {"hop": 4, "context": 2, "batch": 3}}


def _rows(
    vsa: np.ndarray | None = None, score: np.ndarray | None = None, ranks: np.ndarray | None = None
) -> Rows:
    unknown = np.full(ROWS, np.nan, dtype=np.float32)
    targets = Targets(
        unknown if score is None else score.astype(np.float32),
        np.empty((ROWS, 0), np.float32) if ranks is None else ranks.astype(np.float32),
        unknown if vsa is None else vsa.astype(np.float32),
    )
    return Rows(ROW[:, None].astype(np.float32), ROW, LABEL, targets)


def _lesson(override: dict | None = None, rows: Rows | None = None, learned: np.ndarray = LEARNED):
    merged = {
        part: SMALL.get(part, {}) | (override or {}).get(part, {}) for part in {*SMALL, *(override or {})}
    }
    return lesson(rows or _rows(), learned, chosen("lean", merged), WINDOW)


def _epoch(taught, epoch: int = 1, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    starts = taught.starts(epoch, np.random.default_rng(seed))
    return list(taught.batches(starts, epoch, seed))


def _trained(taught, epoch: int = 1) -> list[int]:
    """Rows whose class an epoch trains on."""
    flag = losses.flags(taught.ranks)
    found = []
    for x, y in _epoch(taught, epoch):
        found += x[:, -y.shape[1] :, 0][y[..., flag] > 0].astype(int).tolist()
    return sorted(found)


class TestEvery:
    def test_windows_are_the_rows_they_say_and_targets_sit_beside_their_bars(self):
        for x, y in _epoch(_lesson()):
            known = y[..., losses.flags(0)] > 0
            np.testing.assert_array_equal(
                y[known][:, losses.TARGET].argmax(axis=1), LABEL[x[..., 0][known].astype(int)]
            )

    def test_no_bar_outside_the_training_bars_is_trained_on_and_none_twice(self):
        trained = _trained(_lesson())
        assert set(trained) <= set(np.flatnonzero(LEARNED))
        assert len(set(trained)) == len(trained)

    def test_context_is_read_and_not_trained_on(self):
        for _, y in _epoch(_lesson()):
            assert (y[:, :2, losses.flags(0)] == 0).all()

    def test_no_window_shows_a_bar_after_the_last_it_trains_on(self):
        """Prefix test: with batch normalisation even a causal network would learn from such a bar."""
        learned = LEARNED & (ROW != 12)
        for seed in range(6):
            for x, y in _epoch(_lesson(learned=learned), seed=seed):
                trained = y[..., losses.flags(0)] > 0
                for window, own in zip(x[..., 0], trained):
                    last = np.flatnonzero(own).max()
                    assert (np.diff(window[: last + 1]) == 1).all()
                    assert not window[last + 1 :].any()
                assert x.max() < 30

    def test_another_epoch_shows_the_bars_in_another_phase(self):
        taught, order = _lesson(), np.random.default_rng(3)
        phases = {int(taught.starts(1, order)[0] % 4) for _ in range(20)}
        assert phases == {0, 1, 2, 3}

    def test_nothing_is_said_of_bars_that_do_not_train(self):
        assert not _lesson().packed[~LEARNED].any()


class TestLast:
    LAST: ClassVar = {"schedule": {"positions": "last", "hop": 1, "batch": 1}}

    def test_every_training_bar_that_ends_a_window_is_the_newest_once(self):
        assert _trained(_lesson(self.LAST)) == list(range(WINDOW - 1, 30))

    def test_a_target_is_that_of_the_newest_bar(self):
        for x, y in _epoch(_lesson(self.LAST)):
            assert y.shape[1] == 1
            assert y[0, 0, losses.TARGET].argmax() == LABEL[int(x[0, -1, 0])]


def test_the_last_batch_is_whole_and_few_windows_make_one():
    assert [len(x) for x, _ in _epoch(_lesson())] == [3, 3]
    assert [len(x) for x, _ in _epoch(_lesson({"schedule": {"batch": 99}}))] == [7]


def test_runs_hardly_longer_than_a_window_are_seen_in_every_epoch():
    rows = _rows()
    short = Rows(rows.x, ROW % 7, LABEL)
    taught = lesson(short, LEARNED, chosen("lean", {"schedule": {"hop": 4, "context": 0}}), WINDOW)
    assert all(len(taught.starts(1, np.random.default_rng(seed))) for seed in range(8))


class TestWeights:
    def test_class_weights_follow_the_class(self):
        learned = LEARNED & ~((LABEL == 0) & (ROW > 15))  # SELL is rarer
        packed = _lesson(learned=learned).packed
        counts = np.bincount(LABEL[learned])
        for number in range(3):
            own = packed[learned & (number == LABEL), losses.WEIGHT]
            np.testing.assert_allclose(own, learned.sum() / 3 / counts[number], rtol=1e-6)
        plain = _lesson({"balance": {"class_weights": "none"}}, learned=learned).packed
        assert set(plain[learned, losses.WEIGHT]) == {1.0}

    def test_a_bar_that_volume_denies_counts_less(self):
        vsa = np.where(ROW < 15, 0.4, -0.4)
        vsa[0] = np.nan
        override = {"loss": {"vsa_weight": 0.75}, "balance": {"class_weights": "none"}}
        weight = _lesson(override, _rows(vsa=vsa)).packed[:30, losses.WEIGHT]
        denied = ((LABEL == 0) & (ROW > 0) & (ROW < 15)) | ((LABEL == 2) & (ROW >= 15))
        np.testing.assert_array_equal(weight, np.where(denied[:30], np.float32(0.25), np.float32(1)))

    def test_volume_counts_for_nothing_without_its_weight(self):
        loud, silent = (_lesson(rows=_rows(vsa=sign * np.ones(ROWS))).packed for sign in (1, -1))
        np.testing.assert_array_equal(loud, silent)


class TestTasks:
    def test_unknown_targets_carry_a_flag_of_zero(self):
        score = np.where(ROW < 5, np.nan, 0.5 * ROW)
        ranks = np.stack([np.full(ROWS, 0.25), np.where(ROW < 10, np.nan, 0.75)], axis=1)
        override = {"loss": {"return_weight": 1.0, "rank_weight": 0.5, "rank_horizons": (6, 12)}}
        packed = _lesson(override, _rows(score=score, ranks=ranks)).packed
        first = losses.flags(2)
        np.testing.assert_array_equal(packed[:30, first + 1], ROW[:30] >= 5)
        np.testing.assert_array_equal(
            packed[:30, first + 2 :], np.stack([ROW[:30] >= 0, ROW[:30] >= 10], axis=1)
        )
        assert packed[20, losses.SCORE] == 10.0
        np.testing.assert_array_equal(packed[20, losses.RANKS : first], [0.25, 0.75])
        assert np.isfinite(packed).all()
        assert not packed[30:].any()


class TestOversampling:
    LEARNED = LEARNED & ~((LABEL == 2) & (ROW > 8))  # three BUY against ten of the others

    def test_a_window_is_repeated_by_the_rarity_of_its_bars(self):
        last = Schedule(positions="last", hop=1)
        starts = window_starts(_rows(), self.LEARNED, WINDOW, last)
        times = window_repeats(LABEL, self.LEARNED, starts, WINDOW, last)
        newest = LABEL[starts + WINDOW - 1]
        np.testing.assert_allclose(times, np.where(newest == 2, 10 / 3, 1.0))

    def test_an_epoch_shows_the_classes_about_equally_often(self):
        override = {"schedule": {"positions": "last", "hop": 1, "batch": 1}, "balance": {"oversample": True}}
        taught = _lesson(override, learned=self.LEARNED)
        shown_rows = [taught.starts(1, np.random.default_rng(seed)) + WINDOW - 1 for seed in range(30)]
        counts = np.bincount(LABEL[np.concatenate(shown_rows)], minlength=3)
        before = np.bincount(LABEL[WINDOW - 1 :][self.LEARNED[WINDOW - 1 :]], minlength=3)
        shown = counts / 30 / before
        assert shown[2] == pytest.approx(10 / 3, rel=0.1)
        assert shown[:2].tolist() == [1.0, 1.0]

    def test_weights_then_follow_what_is_shown(self):
        override = {"schedule": {"positions": "last", "hop": 1}, "balance": {"oversample": True}}
        once = _lesson({"schedule": override["schedule"]}, learned=self.LEARNED).packed
        often = _lesson(override, learned=self.LEARNED).packed
        assert once[2, losses.WEIGHT] > 2
        assert often[2, losses.WEIGHT] < 1.5  # shown three times as often, so weighed less


class TestCurriculum:
    SCORE = np.where(LABEL == 0, -1.0, 1.0) * (1 + ROW / 10)

    def test_the_first_epoch_trains_on_the_clear_bars_and_later_ones_on_all(self):
        override = {"curriculum": {"epochs": 2, "first_share": 0.5}, "schedule": {"hop": 1, "context": 0}}
        taught = _lesson(override, _rows(score=self.SCORE))
        first, last = (set(_trained(taught, epoch)) for epoch in (1, 3))
        assert first < last
        assert 0 not in first and 29 in first  # the largest moves come late
        assert taught.trained(3) is taught.learned

    def test_the_rates_course_counts_the_batches_there_are(self):
        override = {
            "curriculum": {"epochs": 2, "first_share": 0.5},
            "schedule": {"positions": "last", "hop": 1, "batch": 1, "epochs": 3},
        }
        taught = _lesson(override, _rows(score=self.SCORE))
        windows = [len(taught.starts(epoch, np.random.default_rng(0))) for epoch in (1, 2, 3)]
        assert windows[0] < windows[1] < windows[2]
        assert taught.steps == sum(windows) // 3


def test_batches_depend_on_seed_epoch_and_place_alone():
    """So that a resumed training sees what an uninterrupted one would have."""
    taught = _lesson({"augment": {"noise": 0.1}})
    starts = taught.starts(1, np.random.default_rng(0))
    whole = [x for x, _ in taught.batches(starts, 2, 7)]
    again = [x for x, _ in taught.batches(starts, 2, 7)]
    other = [x for x, _ in taught.batches(starts, 3, 7)]
    for a, b, c in zip(whole, again, other):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
