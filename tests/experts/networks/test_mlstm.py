"""Numbers in data/mlstm_cells.npz are the official reference cell's, in float64 (shared/cases/README.md)."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from xrl.errors import ConfigError
from xrl.experts.networks.mlstm import GateBias, MLSTMBlock, mlstm, running_max, soft_cap

CASES = Path(__file__).parents[2] / "data" / "mlstm_cells.npz"
FIELDS = ("q", "k", "v", "i", "f", "h", "w", "dq", "dk", "dv", "di", "df")


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize("case", ["small", "long", "capped"])
def test_cell_and_its_gradients_match_the_reference(case):
    with np.load(CASES) as cases:
        data = {name: cases[f"mlstm_{case}_{name}"] for name in FIELDS}
    inputs = [tf.constant(data[name]) for name in "qkvif"]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        h = mlstm(*inputs)
        loss = tf.reduce_sum(h * data["w"])
    gradients = tape.gradient(loss, inputs)
    assert _relative(h.numpy(), data["h"]) < 1e-5
    for name, gradient in zip("qkvif", gradients):
        assert _relative(gradient.numpy(), data[f"d{name}"]) < 1e-4, name


@pytest.mark.parametrize("input_gate", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("forget_gate", [-1e4, 0.0, 1e4])
def test_gradients_stay_finite_at_extreme_gates(input_gate, forget_gate):
    rng = np.random.default_rng(0)
    q, k, v = (tf.constant(rng.normal(size=(1, 2, 20, 4)).astype("float32")) for _ in range(3))
    signs = np.sign(rng.normal(size=(1, 2, 20))).astype("float32")
    inputs = [q, k, v, tf.constant(input_gate * signs), tf.constant(forget_gate * signs)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        h = mlstm(*inputs)
        loss = tf.reduce_sum(h**2)
    assert np.isfinite(h.numpy()).all()
    assert all(np.isfinite(gradient.numpy()).all() for gradient in tape.gradient(loss, inputs))


def test_two_steps_by_hand():
    """d = 1, q = k = 1, i = 0, f -> log sigmoid(0) = -log 2: h_1 = (v_0 / 2 + v_1) / max(1.5, 1)."""
    ones = np.ones((1, 1, 2, 1), "float32")
    v = np.array([2.0, 5.0], "float32").reshape(1, 1, 2, 1)
    zeros = np.zeros((1, 1, 2), "float32")
    h = keras.ops.convert_to_numpy(mlstm(ones, ones, v, zeros, zeros)).ravel()
    np.testing.assert_allclose(h, [2.0, 6.0 / 1.5], rtol=1e-5)


def test_running_max_by_hand():
    x = np.array([[1.0, 3.0, 2.0, 5.0, 4.0], [-1.0, -2.0, -3.0, -4.0, -5.0]], "float32")
    np.testing.assert_array_equal(running_max(tf.constant(x)).numpy(), np.maximum.accumulate(x, axis=1))


def test_soft_cap_is_the_identity_near_zero_and_bounded():
    x = np.array([0.01, 1e4, -1e4], "float32")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(soft_cap(x)), [0.01, 15.0, -15.0], rtol=1e-5)


def test_forget_bias_is_spread_over_3_to_6():
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(GateBias(4)((8,))), [0, 0, 0, 0, 3.0, 4.0, 5.0, 6.0], atol=1e-6
    )


@pytest.mark.parametrize("feedforward", [0.0, 2.0])
def test_block_is_causal(feedforward):
    """What comes after bar t changes nothing at or before t."""
    keras.utils.set_random_seed(0)
    block = MLSTMBlock(units=8, memory_size=4, heads=2, feedforward=feedforward)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 12, 8)).astype("float32")
    changed = x.copy()
    changed[:, 7:] = rng.normal(size=(3, 5, 8))
    before, after = (keras.ops.convert_to_numpy(block(rows)) for rows in (x, changed))
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert not np.allclose(before[:, 7:], after[:, 7:])


class TestBlockLayer:
    def test_basics(self):
        block = MLSTMBlock(units=8, memory_size=4, heads=2, feedforward=2.0, dropout=0.3)
        out = block(np.zeros((2, 5, 8), "float32"))
        assert out.shape == (2, 5, 8)
        assert block.compute_output_shape((None, 5, 8)) == (None, 5, 8)
        # norm 8, projection 8*(4+4+8+8), gates 8*4+4, head weight 8, output 64; norm 8, up 8*32, down 16*8
        assert block.count_params() == 8 + 192 + 36 + 8 + 64 + 8 + 256 + 128

    def test_config_is_complete(self):
        block = MLSTMBlock(units=8, memory_size=4, heads=2, feedforward=1.5, dropout=0.3, name="b")
        again = MLSTMBlock.from_config(block.get_config())
        assert again.get_config() == block.get_config()

    def test_saved_and_loaded_it_computes_the_same(self, tmp_path):
        x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
        inputs = keras.Input((5, 8))
        model = keras.Model(inputs, MLSTMBlock(8, 4, 2, feedforward=2.0)(inputs))
        model.save(tmp_path / "m.keras")
        loaded = keras.models.load_model(tmp_path / "m.keras")
        np.testing.assert_array_equal(model(x).numpy(), loaded(x).numpy())

    def test_dropout_acts_in_training_only(self):
        block = MLSTMBlock(8, 4, 2, dropout=0.5)
        x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
        np.testing.assert_array_equal(block(x).numpy(), block(x, training=False).numpy())
        assert not np.allclose(block(x, training=True).numpy(), block(x).numpy())

    @pytest.mark.parametrize(
        ("units", "memory_size", "word"), [(7, 4, "`units`"), (8, 3, "`memory_size`"), (0, 4, "`units`")]
    )
    def test_widths_that_heads_do_not_divide_are_refused(self, units, memory_size, word):
        with pytest.raises(ConfigError, match=rf"{word} must be a positive multiple of heads=2\. Received"):
            MLSTMBlock(units, memory_size, heads=2)

    def test_a_wrong_input_width_is_refused(self):
        with pytest.raises(ConfigError, match="units=8"):
            MLSTMBlock(8, 4, 2)(np.zeros((2, 5, 6), "float32"))
