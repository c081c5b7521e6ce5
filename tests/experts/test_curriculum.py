"""Easy bars first: ten visible bars."""

import numpy as np
import pytest

from xrl.experts.curriculum import admitted, clearness
from xrl.presets import Curriculum

LABEL = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
SCORE = np.array([-4.0, -1.0, -3.0, -2.0, 0.3, 0.1, 1.0, 2.0, np.nan, 3.0])
LEARNED = np.array([True] * 9 + [False])


def test_clear_outcomes_lie_far_out_and_hold_in_the_middle():
    found = clearness(LABEL, SCORE, LEARNED)
    assert found[:4].tolist() == [1.0, 0.25, 0.75, 0.5]  # SELL: the lower the clearer
    assert found[6:9].tolist() == pytest.approx(
        [2 / 3, 1.0, 1 / 3]
    )  # BUY; an unknown score is the least clear
    assert np.isnan(found[9])  # does not train
    holds = clearness(np.ones(3, dtype=int), np.array([0.0, 0.1, 0.9]), np.ones(3, dtype=bool))
    assert holds.argmax() == 1  # nearest to the median


def test_the_share_grows_evenly_to_all():
    clear = clearness(
        np.repeat([0, 2], 10), np.concatenate([-np.arange(10.0), np.arange(10.0)]), np.ones(20, bool)
    )
    settings = Curriculum(epochs=2, first_share=0.5)
    assert [int(admitted(clear, epoch, settings).sum()) for epoch in (1, 2, 3, 9)] == [10, 16, 20, 20]
    assert admitted(clear, 1, settings)[5:10].all()  # the clearest half of SELL


def test_classes_keep_their_shares():
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=3000)
    first = admitted(clearness(label, rng.normal(size=3000), np.ones(3000, bool)), 1, Curriculum(epochs=3))
    shares = np.bincount(label[first]) / np.bincount(label)
    np.testing.assert_allclose(shares, 0.5, atol=0.01)


def test_without_a_curriculum_every_training_bar_is_in():
    clear = clearness(LABEL, SCORE, LEARNED)
    np.testing.assert_array_equal(admitted(clear, 1, Curriculum()), LEARNED)
