"""What every plain network must do: LSTM, CNN-LSTM and Transformer as bodies of an expert."""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from xrl.errors import ConfigError
from xrl.experts import train
from xrl.experts.export import to_onnx
from xrl.experts.networks.architectures import body_of
from xrl.experts.networks.branches import gelu
from xrl.experts.storage import load_model, save_model
from xrl.experts.windows import Rows
from xrl.presets import Network, chosen

NAMES = ("lstm", "cnn_lstm", "transformer")
WINDOW, UNITS = 8, 8


def shape(name: str, **more: object) -> Network:
    small = {"units": UNITS, "memory_size": UNITS, "blocks": "mm", "feedforward": 1.5, "dropout": 0.3}
    return Network.model_validate({"architecture": name, "input_dropout": 0.0, **small, **more})


def model(name: str, **more: object) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((WINDOW, UNITS))
    body = body_of(shape(name, **more))
    return keras.Model(x, [body.every(x), body.last(x)])


def windows(count: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, WINDOW, UNITS)).astype("float32")


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("name", NAMES)
def test_later_rows_change_nothing_before_them(name, norm):
    """Prefix test, at every position."""
    network = model(name, norm=norm, attention=True)
    x, other = windows(), windows(seed=1)
    every, _ = network(x)
    for end in (1, 4, 7):
        changed = np.concatenate([x[:, :end], other[:, end:]], axis=1)
        found, _ = network(changed)
        np.testing.assert_array_equal(every[:, :end], found[:, :end])
        assert not np.allclose(every[:, end:], found[:, end:])


@pytest.mark.parametrize("name", NAMES)
def test_a_position_reads_rows_before_it(name):
    network, x = model(name), windows(1)
    changed = x.copy()
    changed[:, 3, 0] += 1.0
    assert np.abs(network(x)[0][:, -1] - network(changed)[0][:, -1]).max() > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_the_newest_position_alone_is_the_last_of_all(name):
    every, last = model(name)(windows())
    np.testing.assert_allclose(every[:, -1], last, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_gradients_stay_finite(name, size):
    network = model(name, norm="batch")
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(network(size * windows(), training=True)[0] ** 2)
    gradients = tape.gradient(loss, network.trainable_variables)
    assert all(np.isfinite(np.asarray(gradient)).all() for gradient in gradients)
    assert all(np.abs(np.asarray(gradient)).max() > 0 for gradient in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_in_training_only(name):
    network, x = model(name), windows()
    np.testing.assert_array_equal(network(x)[0], network(x, training=False)[0])
    assert not np.allclose(network(x, training=True)[0], network(x)[0])


@pytest.mark.parametrize("name", NAMES)
def test_without_residual_a_branch_stands_alone(name):
    """A branch whose norm multiplies by zero says nothing, and nothing is left of the input."""
    for residual in (True, False):
        network = model(name, residual=residual, feedforward=0.0, blocks="m")
        for layer in network.layers:
            if layer.name.endswith("_norm"):
                layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
        every, _ = network(windows())
        assert np.allclose(every, windows(), atol=1e-6) == residual
        assert np.allclose(every, 0.0, atol=1e-6) == (not residual)


@pytest.mark.parametrize("name", NAMES)
def test_an_expert_of_it_trains_is_saved_and_exported(name, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).astype(np.float32)
    position, label = np.arange(400), rng.integers(0, 3, 400).astype(np.int8)
    preset = chosen(
        "lean",
        {
            "network": shape(name, blocks="m").model_dump(),
            "schedule": {"epochs": 1, "hop": 8, "context": 2, "average_epochs": 1},
        },
    )
    learned, held = position < 300, position >= 320
    fitted = train.fit_expert(Rows(x, position, label), learned, held, preset, WINDOW, seed=0)
    assert np.isfinite(fitted.history[0]["loss"])
    assert fitted.model.output[1].shape == (None, 256)
    save_model(fitted.model, tmp_path / "model.keras")
    loaded, asked = load_model(tmp_path / "model.keras"), rng.normal(size=(4, WINDOW, 3)).astype(np.float32)
    np.testing.assert_array_equal(fitted.model(asked)[0], loaded(asked)[0])
    assert to_onnx([loaded], tmp_path / "expert.onnx", 1.3, None) < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "expert.onnx"))
    [served] = session.run(["probabilities"], {"x": asked})
    logits = np.asarray(loaded(asked)[0]) / 1.3
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(served, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("lstm", ["lstm_0", "lstm_1"]),
        ("cnn_lstm", ["cnn_0", "cnn_1", "lstm_0", "lstm_1", "attention"]),
        ("transformer", ["attention_0", "attention_1"]),
    ],
)
def test_blocks_count_its_layers(name, layers):
    found = {layer.name for layer in model(name).layers}
    assert set(layers) <= found
    assert not {f"{layer[:-1]}2" for layer in layers} & found


def test_the_hybrid_has_four_heads_whatever_the_shape_says():
    assert model("cnn_lstm", heads=2).get_layer("attention").heads == 4
    with pytest.raises(ConfigError, match="multiple of 4 for heads=4"):
        model("cnn_lstm", units=6, memory_size=6)


def test_the_convolutions_of_the_hybrid_widen():
    network = model("cnn_lstm")
    assert [network.get_layer(f"cnn_{number}").dilation_rate for number in (0, 1)] == [(1,), (2,)]


def test_every_expert_has_its_own_norm():
    kinds = {norm: type(model("lstm", norm=norm).get_layer("lstm_0_norm")) for norm in ("layer", "batch")}
    assert kinds == {"layer": keras.layers.LayerNormalization, "batch": keras.layers.BatchNormalization}


def test_gelu_by_hand():
    """x Phi(x): Phi(1) = 0.8413447, Phi(-2) = 0.0227501."""
    found = keras.ops.convert_to_numpy(gelu(np.array([0.0, 1.0, -2.0], "float32")))
    np.testing.assert_allclose(found, [0.0, 0.8413447, -0.0455003], rtol=1e-5)
