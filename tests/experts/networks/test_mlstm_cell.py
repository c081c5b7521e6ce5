"""Numbers in data/mlstm_cells.npz are the official reference cell's, in float64 (shared/cases/README.md)."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xrl.experts.networks.mlstm_cell import mlstm, mlstm_newest, mlstm_start, mlstm_step, running_max

CASES = Path(__file__).parents[2] / "data" / "mlstm_cells.npz"
FIELDS = ("q", "k", "v", "i", "f", "h", "w", "dq", "dk", "dv", "di", "df")
STEPS = 6
_parallel, _step = tf.function(mlstm), tf.function(mlstm_step)  # hundreds of calls


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "xla"])
@pytest.mark.parametrize("case", ["small", "long", "capped"])
def test_cell_and_its_gradients_match_the_reference(case, compiled):
    with np.load(CASES) as cases:
        data = {name: cases[f"mlstm_{case}_{name}"] for name in FIELDS}
    inputs = [tf.constant(data[name]) for name in "qkvif"]

    @tf.function(jit_compile=compiled)
    def taught(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            h = mlstm(*inputs)
            loss = tf.reduce_sum(h * data["w"])
        return h, tape.gradient(loss, inputs)

    h, gradients = taught(*inputs)
    assert _relative(h.numpy(), data["h"]) < 1e-5
    for name, gradient in zip("qkvif", gradients):
        assert _relative(gradient.numpy(), data[f"d{name}"]) < 1e-4, name


@pytest.mark.parametrize("case", ["small", "long", "capped"])
def test_the_recurrent_form_matches_the_reference_at_every_step(case):
    with np.load(CASES) as cases:
        data = {name: cases[f"mlstm_{case}_{name}"] for name in FIELDS}
    assert _relative(_streamed(*(data[name] for name in "qkvif")), data["h"]) < 1e-5


@pytest.mark.parametrize("case", ["small", "long", "capped"])
def test_the_newest_step_and_its_gradients_match_the_reference(case):
    with np.load(CASES) as cases:
        data = {name: cases[f"mlstm_{case}_{name}"] for name in FIELDS}
    q, k, v, i, f = (tf.constant(data[name][:, :1]) for name in "qkvif")  # its values are its rows: one head
    with tf.GradientTape() as tape:
        tape.watch((v, i, f))
        scores = tf.reduce_sum(q[:, :, -1:] * k, axis=-1) / np.sqrt(q.shape[-1])
        h = mlstm_newest(scores, v[:, 0], i, f)
    assert _relative(h.numpy()[:, 0], data["h"][:, 0, -1]) < 1e-5
    ours = tape.gradient(h, (v, i, f))
    with tf.GradientTape() as tape:
        tape.watch((v, i, f))
        whole = mlstm(q, k, v, i, f)[:, :, -1]
    for gradient, expected in zip(ours, tape.gradient(whole, (v, i, f))):
        np.testing.assert_allclose(gradient, expected, atol=1e-4 * float(np.abs(expected).max()))


def _streamed(q, k, v, i, f) -> np.ndarray:
    batch, heads, steps, width = q.shape
    state, found = mlstm_start(batch, heads, width, v.shape[-1]), []
    for t in range(steps):
        h, state = _step(state, *(tf.constant(part[:, :, t]) for part in (q, k, v, i, f)))
        found.append(keras.ops.convert_to_numpy(h))
    return np.stack(found, axis=2)


def _gates(size: float):
    """Gates of every size up to `size`, and gates wide open and shut."""
    value = st.one_of(st.floats(-size, size, width=32), st.sampled_from([-size, -1.0, 0.0, 1.0, size]))
    return arrays(np.float32, (1, 2, STEPS), elements=value)


@settings(deadline=None, max_examples=60)
@given(i=_gates(15.0), f=_gates(15.0), seed=st.integers(0, 1000))
def test_recurrent_and_parallel_form_are_one_at_the_gates_a_block_can_give(i, f, seed):
    _assert_same(i, f, seed)


@settings(deadline=None, max_examples=60)
@given(i=_gates(1000.0), f=_gates(1000.0), seed=st.integers(0, 1000))
def test_recurrent_and_parallel_form_are_one_at_gates_far_beyond(i, f, seed):
    _assert_same(i, f, seed)


def _assert_same(i: np.ndarray, f: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Positive products: a normaliser that cancels to nothing would divide rounding errors by it.
    q, k = (rng.uniform(0.5, 1.5, size=(1, 2, STEPS, 3)).astype("float32") for _ in range(2))
    v = rng.normal(size=(1, 2, STEPS, 4)).astype("float32")
    parallel = _parallel(*(tf.constant(part) for part in (q, k, v, i, f))).numpy()
    np.testing.assert_allclose(_streamed(q, k, v, i, f), parallel, rtol=2e-5, atol=2e-5)


def test_a_long_stream_keeps_its_precision():
    """500 steps in float32 against the same in float64, gates between -15 and 15."""
    rng = np.random.default_rng(0)
    q, k = (rng.uniform(0.5, 1.5, size=(1, 1, 500, 3)) for _ in range(2))
    v = rng.normal(size=(1, 1, 500, 2))
    i, f = rng.uniform(-15, 15, size=(2, 1, 1, 500))
    m, memory, normaliser, exact = -np.inf, np.zeros((3, 2)), np.zeros(3), []
    for t in range(500):
        decay = -np.logaddexp(0.0, -f[0, 0, t]) + m
        m = max(decay, i[0, 0, t])
        kept, entered = np.exp(decay - m), np.exp(i[0, 0, t] - m)
        memory = kept * memory + entered * np.outer(k[0, 0, t], v[0, 0, t])
        normaliser = kept * normaliser + entered * k[0, 0, t]
        asked = q[0, 0, t] / np.sqrt(3)
        exact.append(asked @ memory / max(abs(asked @ normaliser), np.exp(-m)))
    ours = _streamed(*(part.astype("float32") for part in (q, k, v, i, f)))[0, 0]
    np.testing.assert_allclose(ours, np.array(exact), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("form", ["every", "newest"])
@pytest.mark.parametrize("input_gate", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("forget_gate", [-1e4, 0.0, 1e4])
def test_gradients_stay_finite_at_extreme_gates(input_gate, forget_gate, form):
    rng = np.random.default_rng(0)
    q, k, v = (tf.constant(rng.normal(size=(1, 2, 20, 4)).astype("float32")) for _ in range(3))
    signs = np.sign(rng.normal(size=(1, 2, 20))).astype("float32")
    inputs = [q, k, v, tf.constant(input_gate * signs), tf.constant(forget_gate * signs)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        h = mlstm(*inputs) if form == "every" else mlstm_newest(k[..., 0], v[:, 0], *inputs[3:])
        loss = tf.reduce_sum(h**2)
    assert np.isfinite(h.numpy()).all()
    gradients = [found for found in tape.gradient(loss, inputs) if found is not None]
    assert len(gradients) == (5 if form == "every" else 4)
    assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)


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
