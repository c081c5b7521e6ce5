import keras
import numpy as np
import pytest

from xrl.experts import losses
from xrl.experts.losses import ExpertLoss


def _packed(y: int, weight: float = 1.0, trained: float = 1.0, score: float = np.nan, ranks=()) -> np.ndarray:
    """Target of one position; a NaN score or rank is unknown."""
    tasks = np.array([score, *ranks], dtype="float32")
    return np.concatenate([np.eye(3)[y], [weight], np.nan_to_num(tasks), [trained], np.isfinite(tasks)])


def _loss(
    p: list[float], y: int, said: tuple[float, ...] = (), weight=1.0, score=np.nan, ranks=(), **settings
):
    """Loss of one position whose class probabilities are `p` and whose further outputs are `said`."""
    target = _packed(y, weight, 1.0, score, ranks)[None, None].astype("float32")
    outputs = np.concatenate([np.log(p), said])[None, None].astype("float32")
    return float(ExpertLoss(**({"label_smoothing": 0.0} | settings))(target, outputs))


P = [0.5, 0.25, 0.25]


class TestClasses:
    def test_without_options_it_is_cross_entropy(self):
        assert _loss(P, 0) == pytest.approx(-np.log(0.5), rel=1e-5)

    def test_gamma_discounts_what_is_already_right(self):
        assert _loss(P, 0, focal_gamma=2.0) == pytest.approx(0.5**2 * -np.log(0.5), rel=1e-5)
        assert _loss(P, 1, focal_gamma=2.0) == pytest.approx(0.75**2 * -np.log(0.25), rel=1e-5)

    def test_alpha_scales(self):
        assert _loss(P, 0, focal_alpha=0.25) == pytest.approx(0.25 * -np.log(0.5), rel=1e-5)

    def test_smoothing_spreads_a_share_over_the_classes(self):
        expected = 0.8 * -np.log(0.5) + 0.1 * -np.log(0.25) + 0.1 * -np.log(0.25)
        assert _loss(P, 0, label_smoothing=0.3) == pytest.approx(expected, rel=1e-5)

    def test_a_position_counts_by_its_weight(self):
        assert _loss(P, 1, weight=3.0) == pytest.approx(3 * -np.log(0.25), rel=1e-5)

    def test_the_penalty_charges_the_opposite_direction_and_not_hold(self):
        plain, charged = _loss(P, 0), _loss(P, 0, directional_penalty=2.0)
        assert charged - plain == pytest.approx(2 * 0.25, rel=1e-5)  # P(BUY) where SELL came true
        assert _loss([0.5, 0.5, 0.0001], 0, directional_penalty=2.0) == pytest.approx(-np.log(0.5), abs=1e-3)
        assert _loss(P, 1, directional_penalty=2.0) == pytest.approx(_loss(P, 1), rel=1e-6)


class TestTasks:
    def test_the_return_is_learned_by_hubers_loss(self):
        extra = _loss(P, 0, (0.5,), score=1.0, return_weight=2.0) - _loss(P, 0)
        assert extra == pytest.approx(2 * 0.5 * 0.5**2, rel=1e-5)
        far = _loss(P, 0, (-2.0,), score=1.0, return_weight=1.0) - _loss(P, 0)
        assert far == pytest.approx(3 - 0.5, rel=1e-5)

    def test_confidence_is_whether_the_own_call_is_right(self):
        right = _loss(P, 0, (2.0,), confidence_weight=0.5) - _loss(P, 0)
        wrong = _loss(P, 1, (2.0,), confidence_weight=0.5) - _loss(P, 1)
        assert right == pytest.approx(0.5 * np.log1p(np.exp(-2)), rel=1e-4)
        assert wrong == pytest.approx(0.5 * np.log1p(np.exp(2)), rel=1e-4)

    def test_a_rank_is_a_probability(self):
        settings = {"rank_weight": 0.5, "rank_horizons": (6, 12)}
        extra = _loss(P, 0, (0.0, 1.0), ranks=(0.25, 0.75), **settings) - _loss(P, 0)
        s = 1 / (1 + np.exp(-1))
        expected = np.mean([np.log(2), -(0.75 * np.log(s) + 0.25 * np.log(1 - s))])
        assert extra == pytest.approx(0.5 * expected, rel=1e-4)

    def test_what_is_unknown_counts_for_nothing(self):
        settings = {"rank_weight": 0.5, "rank_horizons": (6, 12)}
        one = _loss(P, 0, (9.0, 0.0), ranks=(np.nan, 0.5), **settings) - _loss(P, 0)
        assert one == pytest.approx(0.5 * np.log(2), rel=1e-5)  # the mean is over the known one alone
        assert _loss(P, 0, (9.0,), return_weight=1.0) == pytest.approx(_loss(P, 0), rel=1e-6)

    def test_tasks_are_read_in_the_order_in_which_they_are_packed(self):
        settings = {"return_weight": 1.0, "confidence_weight": 1.0, "rank_weight": 1.0, "rank_horizons": (6,)}
        whole = _loss(P, 0, (1.0, 2.0, 3.0), score=0.0, ranks=(1.0,), **settings)
        parts = 0.5 + np.log1p(np.exp(-2)) + np.log1p(np.exp(-3))
        assert whole == pytest.approx(_loss(P, 0) + parts, rel=1e-4)


def test_positions_that_do_not_train_count_for_nothing():
    target = np.stack([_packed(0), _packed(1, trained=0.0)])[None].astype("float32")
    logits = np.log(np.array([[P, [0.9, 0.05, 0.05]]], "float32"))
    assert float(ExpertLoss(label_smoothing=0.0)(target, logits)) == pytest.approx(-np.log(0.5), rel=1e-5)


def test_no_trained_position_gives_zero_and_no_nan():
    target = _packed(0, trained=0.0)[None, None].astype("float32")
    assert float(ExpertLoss()(target, np.zeros((1, 1, 3), "float32"))) == 0.0


def test_certain_predictions_stay_finite():
    logits = np.array([[[1e4, 0.0, 0.0]]], "float32")
    for y in (0, 1):
        target = _packed(y)[None, None].astype("float32")
        assert np.isfinite(float(ExpertLoss(focal_gamma=0.5)(target, logits)))


def test_config_is_complete():
    loss = ExpertLoss(focal_gamma=1.5, focal_alpha=0.25, label_smoothing=0.1, rank_horizons=(6, 12))
    again = ExpertLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    assert keras.saving.get_registered_name(ExpertLoss) == "xrl>ExpertLoss"


def test_a_packed_target_has_a_channel_for_each_value_and_flag():
    assert losses.channels(0) == len(_packed(0)) == 7
    assert losses.channels(4) == len(_packed(0, ranks=(0.5,) * 4)) == 15
