"""The LSTM predictor on series whose next bar is known."""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from xrl.config import ForecastParams
from xrl.errors import TrainingError
from xrl.experts.forecaster import Forecaster, ForecastLoss, build, fit, to_onnx
from xrl.features import longbars, scaling
from xrl.features.longbars import BARS, COLUMNS

SMALL = {
    "enabled": True, "units": (6, 4), "dense": (4,), "dropout": 0.0, "epochs": 6, "batch": 32,
    "learning_rate": 0.02, "weight_decay": 0.0, "seed": 0, "held_share": 0.1, "minimum_confidence": 0.6,
    "vote_weight": 1.5, "golden_pairs": 2,
}  # fmt: skip
PARAMS = ForecastParams.model_validate(SMALL)
SOURCE = ForecastParams.model_validate({**SMALL, "units": (128, 64, 32), "dense": (32, 16), "dropout": 0.2})


def series(bars: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Seven series of a price whose every second move repeats the sign of the last; next log returns."""
    rng = np.random.default_rng(seed)
    signs = np.repeat(rng.choice([-1.0, 1.0], bars), 2)[:bars]
    log_close = np.cumsum(0.01 * signs * rng.uniform(0.5, 1.5, bars))
    close = 100 * np.exp(log_close)
    volume = rng.lognormal(0, 0.3, bars)
    found = np.stack([close, volume, close, close, 50 + 10 * signs, close, close], axis=1)
    return found, np.append(np.diff(log_close), np.nan)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Series, next log returns, and the rows after which the move repeats."""
    found, outcome = series(1200)
    ends = np.arange(BARS - 1, len(found) - 1)
    return found, outcome, ends[ends % 2 == 0]


@pytest.fixture(scope="module")
def trained(data) -> Forecaster:
    found, outcome, ends = data
    return fit(found, ends[:400], outcome[ends[:400]], PARAMS, seed=0)


def test_it_learns_direction_change_and_that_it_is_right(trained, data):
    found, outcome, ends = data
    said, truth = trained.predict(found, ends[400:]), outcome[ends[400:]]
    right = (said.up > 0.5) == (truth > 0)
    assert right.mean() > 0.9
    assert np.abs(said.change - truth).mean() < 0.6 * np.abs(truth).mean()
    assert said.right.mean() > 0.7
    assert said.up.min() >= 0
    assert said.right.max() <= 1


def test_it_has_the_layers_of_the_source():
    model = build(SOURCE)
    assert model.input_shape == (None, 60, 7)
    assert model.output_shape == (None, 3)
    sizes = [getattr(layer, "units", getattr(layer, "rate", None)) for layer in model.layers]
    assert [(type(layer).__name__, size) for layer, size in zip(model.layers, sizes)][1:] == [
        *(("LSTM", 128), ("Dropout", 0.2), ("BatchNormalization", None)),
        *(("LSTM", 64), ("Dropout", 0.2), ("BatchNormalization", None)),
        *(("LSTM", 32), ("Dropout", 0.2), ("BatchNormalization", None)),
        *(("Dense", 32), ("Dropout", 0.2), ("Dense", 16), ("Dense", 3)),
    ]


def test_untrained_it_says_even_odds_and_no_change(data):
    found, _, ends = data
    keras.utils.set_random_seed(0)
    scaler = scaling.fit(longbars.windows(found, ends).reshape(-1, len(COLUMNS)), COLUMNS)
    said = Forecaster(build(PARAMS), scaler, 0.01).predict(found, ends[:5])
    np.testing.assert_array_equal(np.stack(said), [[0.5] * 5, [0.0] * 5, [0.5] * 5])


def test_a_prediction_depends_on_its_own_window_alone(trained, data):
    """Prefix test, and the same alone as in company."""
    found, _, ends = data
    at = ends[[300, 420]]
    changed = found.copy()
    changed[at[1] + 1 :] = 1.0
    changed[: at[0] - BARS + 1] = 2.0
    before, after = trained.predict(found, at), trained.predict(changed, at)
    np.testing.assert_array_equal(np.stack(before), np.stack(after))
    alone = trained.predict(found, at[1:])
    np.testing.assert_allclose(np.stack(alone)[:, 0], np.stack(before)[:, 1], atol=1e-6)


def test_it_learns_from_its_training_windows_alone(data):
    """Neither scaler nor weights change with what lies outside of them."""
    found, outcome, ends = data
    few = PARAMS.model_copy(update={"epochs": 1})
    changed = found.copy()
    changed[ends[100] + 1 :] = 7.0
    one, other = (fit(x, ends[:100], outcome[ends[:100]], few, seed=3) for x in (found, changed))
    assert one.scaler == other.scaler
    assert one.change_scale == other.change_scale
    for ours, theirs in zip(one.model.get_weights(), other.model.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file_of_it_says_the_same(trained, data, tmp_path):
    found, _, ends = data
    assert to_onnx(trained, tmp_path / "f.onnx") < 1e-5
    session = onnxruntime.InferenceSession(str(tmp_path / "f.onnx"))
    x = trained.scaler.transform(longbars.windows(found, ends[:3]))
    up, change, right = session.run(["up", "change", "right"], {"x": x})
    said = trained.predict(found, ends[:3])
    np.testing.assert_allclose(up[:, 0], said.up, atol=1e-6)
    np.testing.assert_allclose(change[:, 0] * trained.change_scale, said.change, atol=1e-6)
    np.testing.assert_allclose(right[:, 0], said.right, atol=1e-6)


class TestLoss:
    @staticmethod
    def parts(outcome: float, *raw: float) -> float:
        return float(ForecastLoss()(np.array([[outcome]], "float32"), np.array([raw], "float32")))

    def test_by_hand(self):
        """Even odds cost log 2 each; a change missed by 0.5 costs 0.125, by 3 it costs 2.5."""
        assert self.parts(0.5, 0.0, 0.0, 0.0) == pytest.approx(2 * np.log(2) + 0.125, rel=1e-5)
        assert self.parts(3.0, 0.0, 0.0, 0.0) == pytest.approx(2 * np.log(2) + 2.5, rel=1e-5)

    def test_a_right_call_is_cheap_and_confidence_in_a_wrong_one_dear(self):
        assert self.parts(1.0, 5.0, 1.0, 5.0) == pytest.approx(2 * np.log1p(np.exp(-5)), rel=1e-4)
        assert self.parts(1.0, -5.0, 1.0, 5.0) == pytest.approx(2 * (5 + np.log1p(np.exp(-5))), rel=1e-4)
        assert self.parts(1.0, -5.0, 1.0, -5.0) < self.parts(1.0, -5.0, 1.0, 5.0)

    def test_a_bar_without_change_is_half_up_and_half_right(self):
        assert self.parts(0.0, 2.0, 0.0, 1.0) == pytest.approx(
            np.log1p(np.exp(2)) - 1.0 + np.log1p(np.exp(1)) - 0.5, rel=1e-5
        )

    def test_confidence_does_not_bend_the_direction(self):
        """The gradient at the direction is that of its own cross-entropy, whatever confidence says."""
        gradients = []
        for right in (-4.0, 4.0):
            raw = tf.constant([[0.3, 0.0, right]])
            with tf.GradientTape() as tape:
                tape.watch(raw)
                loss = ForecastLoss()(tf.constant([[1.0]]), raw)
            gradients.append(tape.gradient(loss, raw).numpy()[0, 0])
        assert gradients[0] == gradients[1] == pytest.approx(1 / (1 + np.exp(-0.3)) - 1)


@pytest.mark.parametrize("outcome", [[], [0.0, 0.0], [np.nan, 0.1]])
def test_what_cannot_be_learned_from_is_refused(data, outcome):
    found, _, ends = data
    with pytest.raises(TrainingError, match="finite, varying outcomes"):
        fit(found, ends[: len(outcome)], np.array(outcome), PARAMS, seed=0)
