"""Each alteration of a batch, alone: what it changes, and what it must not."""

import numpy as np
import pytest

from xrl.experts import losses
from xrl.experts.augment import augmented, feature_dropout, mixup, time_mask
from xrl.presets import Augment

COUNT, WINDOW, COLUMNS, RANKS = 200, 10, 4, 1
FLAG = losses.flags(RANKS)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    """Windows without a zero in them; every position trained on, SELL in even windows and BUY in odd ones."""
    x = 1 + _rng().random((COUNT, WINDOW, COLUMNS), dtype=np.float32)
    y = np.ones((COUNT, WINDOW, losses.channels(RANKS)), dtype=np.float32)
    y[..., losses.TARGET] = np.eye(3)[np.arange(COUNT) % 2 * 2][:, None]
    return x, y


def test_nothing_turned_on_changes_nothing(batch):
    x, y = augmented(*batch, Augment(), RANKS, _rng())
    assert x is batch[0] and y is batch[1]


@pytest.mark.parametrize("key", Augment.model_fields)
def test_every_key_alters_the_windows_and_none_its_argument(batch, key):
    before = [array.copy() for array in batch]
    x, _ = augmented(*batch, Augment(**{key: 0.3}), RANKS, _rng())
    assert x.dtype == np.float32
    assert (x != batch[0]).any()
    for array, own in zip(batch, before):
        np.testing.assert_array_equal(array, own)
    again, _ = augmented(*batch, Augment(**{key: 0.3}), RANKS, _rng())
    np.testing.assert_array_equal(x, again)  # the generator alone decides


def test_noise_has_the_deviation_asked_for(batch):
    x, _ = augmented(*batch, Augment(noise=0.01), RANKS, _rng())
    assert (x - batch[0]).std() == pytest.approx(0.01, rel=0.05)


def test_feature_dropout_blanks_columns_over_the_whole_window(batch):
    x = feature_dropout(batch[0], 0.25, _rng())
    blank = x == 0
    np.testing.assert_array_equal(blank.all(axis=1), blank.any(axis=1))
    assert blank.mean() == pytest.approx(0.25, abs=0.05)
    np.testing.assert_array_equal(x[~blank], batch[0][~blank])


class TestTimeMask:
    def test_it_blanks_one_span_and_never_the_newest_bar(self, batch):
        x, _ = time_mask(*batch, 0.5, RANKS, _rng())
        blank = (x == 0).all(axis=2)
        assert not blank[:, -1].any()
        assert blank.sum(axis=1).max() == 5
        edges = np.abs(np.diff(np.pad(blank, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1)
        assert set(edges) == {0, 2}  # none, or one span
        np.testing.assert_array_equal(x[~blank], batch[0][~blank])

    def test_it_never_blanks_the_newest_bar_of_the_longest_mask(self, batch):
        x, _ = time_mask(*batch, 0.99, RANKS, _rng())
        assert (x[:, -1] == batch[0][:, -1]).all()

    def test_a_blanked_bar_is_not_trained_on(self, batch):
        x, y = time_mask(*batch, 0.5, RANKS, _rng())
        np.testing.assert_array_equal(y[..., FLAG] == 0, (x == 0).all(axis=2))

    def test_with_the_newest_position_alone_all_windows_train(self, batch):
        x, y = time_mask(batch[0], batch[1][:, -1:], 0.5, RANKS, _rng())
        assert (x == 0).any()
        assert (y[..., FLAG] == 1).all()


class TestMixUp:
    def test_windows_and_targets_are_mixed_in_the_same_share(self):
        x = np.arange(8, dtype=np.float32)[:, None, None] * np.ones((1, 3, 2), dtype=np.float32)
        y = np.ones((8, 3, losses.channels(RANKS)), dtype=np.float32)
        y[..., losses.SCORE] = x[..., 0]  # the score says which window it was
        mixed, target = mixup(x, y, 0.4, RANKS, _rng())
        np.testing.assert_allclose(target[..., losses.SCORE], mixed[..., 0], rtol=1e-6)
        assert (mixed != x).any()

    def test_class_targets_stay_shares(self, batch):
        _, y = mixup(*batch, 1.0, RANKS, _rng())
        np.testing.assert_allclose(y[..., losses.TARGET].sum(axis=-1), 1.0, rtol=1e-6)
        soft = y[..., 0]
        assert ((soft > 0.05) & (soft < 0.95)).any()

    def test_what_one_of_both_does_not_know_is_not_trained_on(self, batch):
        x, y = batch
        y[0, :, FLAG] = 0
        _, target = mixup(x, y, 0.4, RANKS, _rng())
        unknown = np.flatnonzero((target[..., FLAG] == 0).all(axis=1))
        assert len(unknown) == 2  # window 0, and the one that is mixed with it
        assert 0 in unknown
