import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrl.errors import DataError
from xrl.evaluation import calibration


def drawn(temperature=1.0, count=20_000):
    """Probabilities of a model whose truth is drawn from its own, cooled by `temperature`."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (count, 3))

    def softmax(values):
        return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)

    true = softmax(logits / temperature)
    return softmax(logits), (rng.random((count, 1)) > true.cumsum(axis=1)).sum(axis=1)


def test_an_honest_model_keeps_its_probabilities():
    assert calibration.fit_temperature(*drawn()) == pytest.approx(1.0, abs=0.03)


def test_an_overconfident_model_is_warmed():
    probabilities, truth = drawn(temperature=2.0)
    found = calibration.fit_temperature(probabilities, truth)
    assert found == pytest.approx(2.0, rel=0.05)
    before = calibration.expected_calibration_error(probabilities, truth)
    after = calibration.expected_calibration_error(calibration.apply(probabilities, found), truth)
    assert before > 0.1 > 0.02 > after


def test_scaling_never_raises_log_loss_on_its_own_bars():
    probabilities, truth = drawn(temperature=3.0, count=500)
    found = calibration.fit_temperature(probabilities, truth)
    after = calibration.log_loss(calibration.apply(probabilities, found), truth)
    assert after < calibration.log_loss(probabilities, truth)


def test_temperature_two_halves_log_odds():
    found = calibration.apply(np.array([[0.8, 0.1, 0.1]]), 2.0)
    assert found[0, 0] / found[0, 1] == pytest.approx(np.sqrt(8))
    assert found.sum() == pytest.approx(1)


def test_log_loss_of_two_bars():
    found = calibration.log_loss(np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]), np.array([0, 1]))
    assert found == pytest.approx((np.log(2) + np.log(4)) / 2)


def test_calibration_error_of_two_bins():
    """Two bars at .9 of which one is right, two at .5 of which one is right: (|1 - 1.8| + |1 - 1.0|) / 4."""
    probabilities = np.array([[0.9, 0.05, 0.05]] * 2 + [[0.5, 0.25, 0.25]] * 2)
    found = calibration.expected_calibration_error(probabilities, np.array([0, 1, 0, 1]))
    assert found == pytest.approx(0.2)


def test_calibration_error_of_certainty_that_is_right_is_zero():
    assert calibration.expected_calibration_error(np.eye(3), np.arange(3)) == 0
    assert calibration.expected_calibration_error(np.empty((0, 3)), np.empty(0, int)) == 0


def test_the_reliability_of_four_bars() -> None:
    """Two bins: .2 and .4 in the first, of which one came true; .9 in the second, which did; .5 opens it."""
    found = calibration.reliability(np.array([0.2, 0.4, 0.9, 0.5]), np.array([True, False, True, False]), 2)
    np.testing.assert_array_equal(found.rows, [2, 2])
    np.testing.assert_allclose(found.said, [0.3, 0.7])
    np.testing.assert_allclose(found.came_true, [0.5, 0.5])


def test_certainty_falls_into_the_last_bin() -> None:
    np.testing.assert_array_equal(calibration.bins_of(np.array([0.0, 0.999, 1.0]), 10), [0, 9, 9])


def test_the_calibration_error_of_one_class() -> None:
    """P(BUY) .2 on four bars of which two are BUY: off by .3; P(SELL) .3 on four of which one is: .05."""
    probabilities, truth = np.tile([0.3, 0.5, 0.2], (4, 1)), np.array([2, 2, 0, 1])
    assert calibration.class_calibration_error(probabilities, truth, 2) == pytest.approx(0.3)
    assert calibration.class_calibration_error(probabilities, truth, 0) == pytest.approx(0.05)


def test_a_direction_too_confident_hides_in_the_top_label_and_shows_in_its_class() -> None:
    """HOLD is the top label everywhere and right as often as it says; SELL is said twice as often as BUY."""
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 30_000, p=[0.2, 0.6, 0.2])
    probabilities = np.tile([0.3, 0.6, 0.1], (30_000, 1))
    assert calibration.expected_calibration_error(probabilities, truth) < 0.01
    assert calibration.class_calibration_error(probabilities, truth, 0) == pytest.approx(0.1, abs=0.01)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="received"):
        calibration.fit_temperature(np.ones((3, 3)) / 3, np.zeros(2, int))
    with pytest.raises(DataError, match="received"):
        calibration.fit_temperature(np.empty((0, 3)), np.zeros(0, int))


@given(st.integers(0, 10_000), st.booleans())
def test_scaled_rows_stay_probabilities_and_keep_their_order(seed, sharp):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.05 if sharp else 5.0] * 3, 30)
    found = calibration.fit_temperature(probabilities, rng.integers(0, 3, 30))
    scaled = calibration.apply(probabilities, found)
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    assert (
        np.take_along_axis(scaled, probabilities.argmax(1)[:, None], 1)[:, 0] >= scaled.max(1) - 1e-9
    ).all()
