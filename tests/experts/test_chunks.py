"""A batch learned in chunks is the batch: same loss, same gradient, same bits when run again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from xrl.experts import losses
from xrl.experts.backend import compiles
from xrl.experts.chunks import CHUNK, InChunks
from xrl.experts.loop import Loop
from xrl.experts.model import build_expert
from xrl.presets import PRESETS, Loss, Network, Schedule

WINDOW, COLUMNS, RANKS = 6, 3, 2
LOSS = Loss(return_weight=0.5, confidence_weight=0.3, rank_weight=0.7, rank_horizons=(6, 12))
LAST = Schedule(positions="last")


def network(**more: object) -> Network:
    return Network.model_validate({"units": 4, "memory_size": 4, "input_dropout": 0.0, **more})


def batch(windows: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows and targets, of which many are unknown and the first chunk knows fewer than the rest."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((windows, WINDOW, COLUMNS), dtype=np.float32)
    y = rng.random((windows, 1, losses.channels(RANKS)), dtype=np.float32)
    first = losses.flags(RANKS)
    y[..., first:] = y[..., first:] < 0.6
    y[: CHUNK // 2, :, first] = 0.0
    return x, y


def chunked(dropout: float) -> InChunks:
    keras.utils.set_random_seed(0)
    expert = build_expert(COLUMNS, WINDOW, network(dropout=dropout), LOSS)
    packed = keras.layers.Concatenate()(list(expert.newest.output.values()))
    model = InChunks(expert.newest.input, packed)
    model.set_weights([weight + 0.1 for weight in model.get_weights()])  # heads start at zero
    model.compile(loss=losses.ExpertLoss(**LOSS.model_dump()))
    return model


@pytest.mark.parametrize("windows", [3 * CHUNK, CHUNK + 8])
def test_chunks_add_up_to_the_gradient_of_the_whole_batch(windows):
    model, (x, y) = chunked(dropout=0.0), batch(windows)
    with tf.GradientTape() as tape:
        whole = model.loss(y, model(x, training=True))
    expected = tape.gradient(whole, model.trainable_weights)
    loss, found = tf.function(model.learned)(x, y)
    assert float(loss) == pytest.approx(float(whole), rel=1e-5)
    for gradient, right in zip(found, expected):
        np.testing.assert_allclose(gradient, right, atol=1e-5 * max(1.0, float(np.abs(right).max())))


def test_each_chunk_draws_its_own_dropout():
    model, (x, y) = chunked(dropout=0.5), batch(CHUNK)
    one, _ = model.learned(x, y)
    again, _ = model.learned(x, y)
    both, _ = chunked(dropout=0.5).learned(np.concatenate([x, x]), np.concatenate([y, y]))
    assert float(one) != float(again)
    assert float(both) == pytest.approx((float(one) + float(again)) / 2, rel=1e-5)


def test_compiled_training_in_chunks_repeats_to_the_bit():
    x, y = batch(2 * CHUNK)
    loop = Loop(build_expert(COLUMNS, WINDOW, network(), LOSS), LOSS, LAST, compiled=True)

    def trained() -> list[np.ndarray]:
        keras.utils.set_random_seed(1)
        loop.start(build_expert(COLUMNS, WINDOW, network(), LOSS))
        loop.follow(LAST, 10.0, 1.0)
        assert loop.step(x, y) > loop.step(x, y) > 0
        return loop.state

    for first, second in zip(trained(), trained()):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("norm", "expected"), [("layer", True), ("batch", False)])
def test_a_network_with_batch_statistics_is_not_chunked(norm, expected):
    loop = Loop(build_expert(COLUMNS, WINDOW, network(norm=norm)), Loss(), LAST, compiled=True)
    assert isinstance(loop._model, InChunks) is expected


@pytest.mark.parametrize(
    ("own", "positions", "expected"),
    [
        ({}, "last", True),
        ({"input_dropout": 0.2}, "last", False),
        ({"blocks": "sm"}, "last", False),
        ({"architecture": "lstm"}, "last", False),
        ({}, "every", False),
    ],
)
def test_xla_compiles_what_it_makes_faster(own, positions, expected, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    shape = PRESETS["source"].network.model_copy(update=own)
    assert compiles(shape, Schedule(positions=positions)) is expected
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert not compiles(shape, Schedule(positions=positions))
