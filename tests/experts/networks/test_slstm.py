"""Numbers in data/slstm_cells.npz are the official reference cell's, in float64 (shared/cases/README.md)."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from xrl.errors import ConfigError
from xrl.experts.networks.slstm import SLSTM
from xrl.experts.networks.slstm_cell import SLSTMState, own_head, signs, slstm_start, slstm_step

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


def _read(rows, recurrent):
    """Outputs (batch, time, units) of gate inputs (batch, time, 4 units)."""
    state, outputs = slstm_start(rows.shape[0], rows.shape[2] // 4), []
    for row in tf.unstack(rows, axis=1):
        state = slstm_step(state, row, recurrent)
        outputs.append(state.output)
    return tf.stack(outputs, axis=1)


@pytest.mark.parametrize("case", NAMES)
def test_cell_and_its_gradients_match_the_reference(case):
    with np.load(CASES) as cases:
        data = {name: cases[f"{case}_{name}"] for name in ("wx", "R", "b", "h", "w", "dwx", "dR", "db")}
    batch, steps, _, units = data["wx"].shape
    inputs = [tf.constant(found) for found in (data["wx"], data["b"], _dense(data["R"]))]

    @tf.function
    def taught(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            wx, b, recurrent = inputs
            sign = signs(units)
            h = _read(tf.reshape(wx + b, (batch, steps, 4 * units)) * sign, recurrent * sign)
            loss = tf.reduce_sum(h * data["w"])
        return h, tape.gradient(loss, inputs)

    h, (dwx, db, dense) = taught(*inputs)
    assert _relative(h.numpy(), data["h"]) < 1e-5
    assert _relative(dwx.numpy(), data["dwx"]) < 1e-4
    assert _relative(db.numpy(), data["db"]) < 1e-4
    dense = dense.numpy() * own_head(units, data["R"].shape[1])
    assert _relative(dense, _dense(data["dR"])) < 1e-4


@pytest.mark.parametrize("input_gate", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("forget_gate", [-1e4, 0.0, 1e4])
def test_gradients_stay_finite_at_extreme_gates(input_gate, forget_gate):
    rng = np.random.default_rng(0)
    recurrent = tf.constant(rng.normal(size=(4, 16)).astype("float32"))
    signs = np.sign(rng.normal(size=(2, 12, 4, 4)))
    sizes = np.array([input_gate, forget_gate, 1.0, 1.0])[:, None]
    rows = tf.constant((signs * sizes).reshape(2, 12, 16).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch((rows, recurrent))
        total = tf.reduce_sum(_read(rows, recurrent) ** 2)
    gradients = tape.gradient(total, (rows, recurrent))
    assert np.isfinite(total.numpy())
    assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)


def test_two_steps_by_hand():
    """i = log 3, z = .5; i = 0, z = 1: n is 3, then 3 / 2 + 1; c is 3 tanh .5, then half of it + tanh 1."""
    none = np.zeros((1, 4), "float32")
    first = slstm_step(slstm_start(1, 1), np.array([[np.log(3), 0.0, 0.5, 0.0]], "float32"), none)
    second = slstm_step(first, np.array([[0.0, 0.0, 1.0, 0.0]], "float32"), none)
    found = [[float(part[0, 0]) for part in state] for state in (first, second)]
    np.testing.assert_allclose(found[0], [0.5 * np.tanh(0.5), np.tanh(0.5), np.log(3)], rtol=1e-6)
    ratio = (1.5 * np.tanh(0.5) + np.tanh(1.0)) / 2.5
    np.testing.assert_allclose(found[1], [0.5 * ratio, ratio, np.log(2.5)], rtol=1e-6)


def test_a_head_sees_its_own_units_alone():
    layer = SLSTM(units=4, heads=2)
    layer.build((None, 5, 4))
    layer.recurrent.assign(np.ones((4, 16)))
    row, said = np.ones((1, 4), "float32"), []
    for first in (0.0, 1.0):
        output = np.array([[first, 0.0, 0.0, 0.0]], "float32")
        _, state = layer.step(row, SLSTMState(output, *layer.start(1)[1:]))
        said.append(keras.ops.convert_to_numpy(state.output)[0])
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
