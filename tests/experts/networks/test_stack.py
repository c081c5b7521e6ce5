"""The xLSTM stack: what each option does, and that no combination breaks what an expert must keep."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from xrl.experts.export import to_onnx
from xrl.experts.model import build_expert
from xrl.experts.networks.architectures import body_of
from xrl.experts.storage import load_model, save_model
from xrl.presets import Network

WINDOW, UNITS = 8, 8
OPTIONS = {
    "m": {},
    "m with feed-forward": {"feedforward": 1.5},
    "s": {"blocks": "s"},
    "ms": {"blocks": "ms", "feedforward": 1.5, "dropout_mask": "window"},
    "sm with attention": {"blocks": "sm", "attention": True, "feedforward": 1.5},
    "mm with batch norm": {"blocks": "mm", "norm": "batch"},
    "ms with all, no residual": {
        "blocks": "ms",
        "attention": True,
        "norm": "batch",
        "residual": False,
        "feedforward": 1.5,
    },
}


def shape(**more: object) -> Network:
    small = {"units": UNITS, "memory_size": UNITS, "dropout": 0.3, "input_dropout": 0.0}
    return Network.model_validate({**small, **more})


def model(**more: object) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((WINDOW, UNITS))
    body = body_of(shape(**more))
    network = keras.Model(x, [body.every(x), body.last(x)])
    rng = np.random.default_rng(0)  # gates and recurrent weights start at zero and would hide a fault
    network.set_weights(
        [weight + np.abs(0.3 * rng.normal(size=weight.shape)) for weight in network.get_weights()]
    )
    return network


def windows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, WINDOW, UNITS)).astype("float32")


@pytest.mark.parametrize("option", OPTIONS)
def test_later_rows_change_nothing_before_them(option):
    """Prefix test, at every position."""
    network, x, other = model(**OPTIONS[option]), windows(), windows(1)
    every, _ = network(x)
    for end in (1, 4, 7):
        found, _ = network(np.concatenate([x[:, :end], other[:, end:]], axis=1))
        np.testing.assert_array_equal(every[:, :end], found[:, :end])
        assert not np.allclose(every[:, end:], found[:, end:])


@pytest.mark.parametrize("option", OPTIONS)
def test_a_window_is_read_alike_alone_and_in_company(option):
    network, x = model(**OPTIONS[option]), windows()
    np.testing.assert_allclose(network(x)[0][:1], network(x[:1])[0], atol=1e-5)


@pytest.mark.parametrize("option", OPTIONS)
def test_the_newest_position_alone_is_the_last_of_all(option):
    every, last = model(**OPTIONS[option])(windows())
    np.testing.assert_allclose(every[:, -1], last, atol=5e-6)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_weight_is_taught_and_none_by_infinity(option):
    network = model(**OPTIONS[option])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(network(100 * windows(), training=True)[0] ** 2)
    for weight, gradient in zip(
        network.trainable_variables, tape.gradient(loss, network.trainable_variables)
    ):
        assert np.isfinite(np.asarray(gradient)).all(), weight.path
        assert np.abs(np.asarray(gradient)).max() > 0, weight.path


@pytest.mark.parametrize("option", OPTIONS)
def test_an_expert_of_it_is_saved_and_exported(option, tmp_path):
    keras.utils.set_random_seed(0)
    trained = build_expert(3, WINDOW, shape(**OPTIONS[option])).last
    rng = np.random.default_rng(0)
    trained.set_weights(
        [weight + np.abs(0.2 * rng.normal(size=weight.shape)) for weight in trained.get_weights()]
    )
    save_model(trained, tmp_path / "model.keras")
    loaded, asked = load_model(tmp_path / "model.keras"), windows()[:, :, :3]
    np.testing.assert_array_equal(trained(asked)[0], loaded(asked)[0])
    assert to_onnx([loaded], tmp_path / "expert.onnx", 1.0, None) < 1e-4


def test_blocks_come_in_the_order_named():
    names = [layer.name for layer in model(blocks="msm").layers if "lstm" in layer.name and "_" in layer.name]
    memories = [name for name in names if name in ("mlstm_0", "slstm_1", "mlstm_2")]
    assert memories == ["mlstm_0", "slstm_1", "mlstm_2"]
    assert not [name for name in names if name.startswith(("slstm_0", "mlstm_1"))]


def test_attention_stands_between_blocks_alone():
    found = {layer.name for layer in model(blocks="mmm", attention=True).layers}
    assert {"attention_1", "attention_2"} <= found
    assert "attention_0" not in found
    assert not [name for name in {layer.name for layer in model(blocks="mm").layers} if "attention" in name]


def test_a_norm_is_of_the_kind_named():
    kinds = {norm: type(model(norm=norm).get_layer("mlstm_0_norm")) for norm in ("layer", "batch")}
    assert kinds == {"layer": keras.layers.LayerNormalization, "batch": keras.layers.BatchNormalization}


@pytest.mark.parametrize("residual", [True, False])
def test_without_residual_a_branch_stands_alone(residual):
    """A memory whose output weighs nothing leaves the input, or nothing at all."""
    network = model(residual=residual)
    memory = network.get_layer("mlstm_0")
    memory.output_kernel.assign(np.zeros((UNITS, UNITS)))
    every, _ = network(windows())
    np.testing.assert_allclose(every, windows() if residual else np.zeros_like(windows()), atol=1e-6)


@pytest.mark.parametrize("mask", ["bar", "window"])
def test_a_window_mask_drops_the_same_units_at_every_bar(mask):
    keras.utils.set_random_seed(0)
    network = model(residual=False, dropout_mask=mask, dropout=0.5)
    dropped = np.asarray(network(windows(), training=True)[0]) == 0.0
    assert 0.2 < dropped.mean() < 0.8
    same = (dropped == dropped[:, :1]).all()
    assert same == (mask == "window")


def test_feedforward_counts_units_of_a_plain_one():
    """Three matrices of two thirds of 1.5 x 8 units: 8 * 16 + 8 * 8 weights, and the scale."""
    assert model(feedforward=1.5).get_layer("forward_0").count_params() == 8 + 8 * 16 + 8 * 8


@pytest.mark.parametrize("stem", [True, False])
def test_the_linear_stem_is_in_the_embedding_or_left_out(stem):
    expert = build_expert(3, WINDOW, shape(stem=stem)).last
    logits, embedding = expert(windows()[:, :, :3])
    assert (logits.shape, embedding.shape) == ((3, 3), (3, 256))
    assert ("beside_stem" in {layer.name for layer in expert.layers}) is stem
