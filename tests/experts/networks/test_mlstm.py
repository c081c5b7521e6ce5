"""The mLSTM as a layer: gates, widths, forms that must agree."""

import keras
import numpy as np
import pytest

from xrl.errors import ConfigError
from xrl.experts.networks.gates import GateBias, soft_cap
from xrl.experts.networks.mlstm import MLSTM
from xrl.experts.networks.slstm import SLSTM


def rows(seed: int = 0, time: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, time, 8)).astype("float32")


def filled(layer: keras.layers.Layer, time: int = 12) -> keras.layers.Layer:
    """`layer` with weights that hide nothing: gates that differ, scales that are not 1."""
    layer.build((None, time, 8))
    rng = np.random.default_rng(1)
    layer.set_weights([weight + 0.5 * rng.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def numbers(x) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


LAYERS = {
    "mlstm": lambda: filled(MLSTM(units=8, memory_size=4, heads=2)),
    "mlstm of 4 heads": lambda: filled(MLSTM(units=8, memory_size=8, heads=4)),
    "slstm": lambda: filled(SLSTM(units=8, heads=2)),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_later_rows_change_nothing_before_them(layer):
    """Prefix test, at every position."""
    memory, x, other = LAYERS[layer](), rows(), rows(1)
    whole = numbers(memory(x))
    for end in (1, 5, 11):
        found = numbers(memory(np.concatenate([x[:, :end], other[:, end:]], axis=1)))
        np.testing.assert_array_equal(whole[:, :end], found[:, :end])
        assert not np.allclose(whole[:, end:], found[:, end:])


@pytest.mark.parametrize("layer", LAYERS)
def test_the_newest_position_alone_is_the_last_of_all(layer):
    memory, x = LAYERS[layer](), rows()
    np.testing.assert_allclose(
        numbers(memory(x, last=True)), numbers(memory(x))[:, -1:], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_row_by_row_it_says_what_it_says_of_a_window(layer):
    memory, x = LAYERS[layer](), rows()
    state, found = memory.start(3), []
    for t in range(12):
        h, state = memory.step(x[:, t], state)
        found.append(numbers(h))
    np.testing.assert_allclose(np.stack(found, axis=1), numbers(memory(x)), atol=2e-5)


def test_soft_cap_is_the_identity_near_zero_and_bounded():
    x = np.array([0.01, 1e4, -1e4], "float32")
    np.testing.assert_allclose(numbers(soft_cap(x)), [0.01, 15.0, -15.0], rtol=1e-5)


def test_forget_bias_is_spread_over_3_to_6():
    np.testing.assert_allclose(numbers(GateBias(4)((8,))), [0, 0, 0, 0, 3.0, 4.0, 5.0, 6.0], atol=1e-6)


def test_its_weights_are_counted():
    # scale 8, kernel 8*(4+4+8+8), gates 8*4+4, head scale 8, output 64
    assert filled(MLSTM(units=8, memory_size=4, heads=2)).count_params() == 8 + 192 + 36 + 8 + 64


@pytest.mark.parametrize("layer", LAYERS)
def test_config_is_complete(layer):
    memory = LAYERS[layer]()
    assert type(memory).from_config(memory.get_config()).get_config() == memory.get_config()


@pytest.mark.parametrize(
    ("units", "memory_size", "word"), [(7, 4, "`units`"), (8, 3, "`memory_size`"), (0, 4, "`units`")]
)
def test_widths_that_heads_do_not_divide_are_refused(units, memory_size, word):
    with pytest.raises(ConfigError, match=rf"{word} must be a positive multiple of heads=2\. Received"):
        MLSTM(units, memory_size, heads=2)


def test_a_wrong_input_width_is_refused():
    with pytest.raises(ConfigError, match="units=8"):
        MLSTM(8, 4, 2)(np.zeros((2, 5, 6), "float32"))
