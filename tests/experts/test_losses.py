import keras
import numpy as np
import pytest

from xrl.experts.losses import FocalLoss


def _loss(p: list[float], y: int, **settings: float) -> float:
    """Loss of one position whose class probabilities are `p`."""
    loss = FocalLoss(**settings)
    return float(loss(np.array([[y]]), np.log(np.array([[p]], "float32"))))


P = [0.5, 0.25, 0.25]


class TestByHand:
    def test_without_options_it_is_cross_entropy(self):
        assert _loss(P, 0) == pytest.approx(-np.log(0.5), rel=1e-5)

    def test_gamma_discounts_what_is_already_right(self):
        assert _loss(P, 0, gamma=2.0) == pytest.approx(0.5**2 * -np.log(0.5), rel=1e-5)
        assert _loss(P, 1, gamma=2.0) == pytest.approx(0.75**2 * -np.log(0.25), rel=1e-5)

    def test_alpha_scales(self):
        assert _loss(P, 0, alpha=0.25) == pytest.approx(0.25 * -np.log(0.5), rel=1e-5)

    def test_smoothing_spreads_a_share_over_the_classes(self):
        expected = 0.8 * -np.log(0.5) + 0.1 * -np.log(0.25) + 0.1 * -np.log(0.25)
        assert _loss(P, 0, smoothing=0.3) == pytest.approx(expected, rel=1e-5)

    def test_class_weights_follow_the_true_class(self):
        assert _loss(P, 1, weights=(1.0, 3.0, 1.0)) == pytest.approx(3 * -np.log(0.25), rel=1e-5)

    def test_positions_without_weight_count_for_nothing(self):
        logits = np.log(np.array([[P, [0.9, 0.05, 0.05]]], "float32"))
        loss = FocalLoss()(np.array([[0, 1]]), logits, sample_weight=np.array([[1.0, 0.0]]))
        assert float(loss) == pytest.approx(-np.log(0.5), rel=1e-5)


def test_certain_predictions_stay_finite():
    logits = np.array([[[1e4, 0.0, 0.0]]], "float32")
    for y in (0, 1):
        assert np.isfinite(float(FocalLoss(gamma=0.5)(np.array([[y]]), logits)))


def test_config_is_complete():
    loss = FocalLoss(gamma=1.5, alpha=0.25, smoothing=0.1, weights=(1.2, 1.1, 0.8))
    again = FocalLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    assert keras.saving.get_registered_name(FocalLoss) == "xrl>FocalLoss"
