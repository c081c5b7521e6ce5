"""Numbers in data/slstm_cells.npz are the official reference cell's, in float64 (shared/cases/README.md)."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from xrl.errors import ConfigError
from xrl.experts.networks.slstm import SLSTM, SLSTMCell

CASES = Path(__file__).parents[2] / "data" / "slstm_cells.npz"
with np.load(CASES) as _cases:
    NAMES = sorted({name.rsplit("_", 1)[0] for name in _cases.files})


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _dense(blocks: np.ndarray) -> np.ndarray:
    """(4, heads, in, out) blocks as one (units, 4 units) matrix."""
    gates, heads, width, _ = blocks.shape
    dense = np.zeros((heads * width, gates, heads * width), np.float32)
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        dense[own, :, own] = blocks[:, head].transpose(1, 0, 2)
    return dense.reshape(heads * width, -1)


@pytest.mark.parametrize("case", NAMES)
def test_cell_and_its_gradients_match_the_reference(case):
    with np.load(CASES) as cases:
        data = {name: cases[f"{case}_{name}"] for name in ("wx", "R", "b", "h", "w", "dwx", "dR", "db")}
    batch, steps, _, units = data["wx"].shape
    cell = SLSTMCell(units, heads=data["R"].shape[1])
    cell.build((None, 4 * units))
    cell.recurrent.assign(_dense(data["R"]))
    wx, b = tf.constant(data["wx"]), tf.constant(data["b"])
    recurrence = keras.layers.RNN(cell, return_sequences=True)

    @tf.function
    def taught(wx, b):
        with tf.GradientTape() as tape:
            tape.watch((wx, b))
            h = recurrence(tf.reshape(wx + b, (batch, steps, 4 * units)))
            loss = tf.reduce_sum(h * data["w"])
        return h, tape.gradient(loss, (wx, b, cell.recurrent.value))

    h, (dwx, db, dense) = taught(wx, b)
    assert _relative(h.numpy(), data["h"]) < 1e-5
    assert _relative(dwx.numpy(), data["dwx"]) < 1e-4
    assert _relative(db.numpy(), data["db"]) < 1e-4
    assert _relative(dense.numpy(), _dense(data["dR"])) < 1e-4


@pytest.mark.parametrize("input_gate", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("forget_gate", [-1e4, 0.0, 1e4])
def test_gradients_stay_finite_at_extreme_gates(input_gate, forget_gate):
    rng = np.random.default_rng(0)
    cell = SLSTMCell(units=4, heads=2)
    cell.build((None, 16))
    cell.recurrent.assign(rng.normal(size=(4, 16)))
    signs = np.sign(rng.normal(size=(2, 12, 4, 4)))
    sizes = np.array([input_gate, forget_gate, 1.0, 1.0])[:, None]
    rows = tf.constant((signs * sizes).reshape(2, 12, 16).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        total = tf.reduce_sum(keras.layers.RNN(cell, return_sequences=True)(rows) ** 2)
    gradients = tape.gradient(total, (rows, cell.recurrent.value))
    assert np.isfinite(total.numpy())
    assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)


def test_one_step_by_hand():
    """From nothing, i = 3, f = 0, z = 0.5, o = 0: h = sigmoid(0) tanh(0.5), whatever the input gate says."""
    cell = SLSTMCell(units=1, heads=1)
    cell.build((None, 4))
    h, (_, c, n, m) = cell(np.array([[3.0, 0.0, 0.5, 0.0]], "float32"), cell.get_initial_state(1))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(h), [[0.5 * np.tanh(0.5)]], rtol=1e-6)
    np.testing.assert_allclose([float(c[0, 0]), float(n[0, 0]), float(m[0, 0])], [np.tanh(0.5), 1, 3], 1e-6)


def test_a_head_sees_its_own_units_alone():
    cell = SLSTMCell(units=4, heads=2)
    cell.build((None, 16))
    cell.recurrent.assign(np.ones((4, 16)))
    said = []
    for first in (0.0, 1.0):
        states = cell.get_initial_state(1)
        states[0] = np.array([[first, 0.0, 0.0, 0.0]], "float32")
        said.append(keras.ops.convert_to_numpy(cell(np.ones((1, 16), "float32"), states)[0])[0])
    assert (said[0][:2] != said[1][:2]).all()
    np.testing.assert_array_equal(said[0][2:], said[1][2:])


def test_forget_gates_start_open():
    layer = SLSTM(units=4, heads=2)
    layer.build((None, 5, 4))
    bias = keras.ops.convert_to_numpy(layer.bias).reshape(4, 4)
    np.testing.assert_allclose(bias, [[0] * 4, [3, 6, 3, 6], [0] * 4, [0] * 4])


def test_units_that_heads_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="`units` must be a positive multiple of heads=2"):
        SLSTM(7, heads=2)
    with pytest.raises(ConfigError, match="units=8"):
        SLSTM(8)(np.zeros((2, 5, 6), "float32"))
