"""Numbers by hand: one head, identity projections."""

import keras
import numpy as np
import pytest

from xrl.errors import ConfigError
from xrl.experts.networks.attention import CausalAttention


def identity(units: int, heads: int = 1, rotary: bool = False) -> CausalAttention:
    """An attention whose queries, keys, values and output are the input itself."""
    layer = CausalAttention(units, heads, rotary)
    layer.build((None, None, units))
    eye = np.eye(units, dtype="float32")
    layer.projection.set_weights([np.concatenate([eye, eye, eye], axis=1)])
    layer.output_projection.set_weights([eye])
    return layer


def attended(layer: CausalAttention, rows: list[list[float]]) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(layer(np.array([rows], "float32")))[0])


def test_two_rows_by_hand():
    """Row 1 scores row 0 with 0 and itself with 1 / sqrt(2): weights 1 / (1 + e^0.7071) = .3302 and .6698."""
    found = attended(identity(2), [[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(found, [[1.0, 0.0], [0.3302, 0.6698]], atol=1e-4)


def test_heads_attend_apart():
    """Two heads of width 1: each sees its own half, weights e^(q k)."""
    found = attended(identity(2, heads=2), [[1.0, 2.0], [1.0, 0.0]])
    np.testing.assert_allclose(found[1], [1.0, 1.0], atol=1e-6)  # equal scores in both heads: means of values


def test_a_rotated_score_depends_on_the_distance_alone():
    """The same two rows, three bars later: nothing between them differs."""
    layer = identity(4, rotary=True)
    rng = np.random.default_rng(0)
    pair = rng.normal(size=(2, 4))
    zeros = np.zeros((3, 4))
    early = attended(layer, [*pair, *zeros])[1]
    found = attended(layer, [*zeros, *pair])[4]
    # Zero rows have score 0 and value 0: they only share the weights. Undo that before comparing.
    scale = np.dot(found, early) / np.dot(early, early)
    np.testing.assert_allclose(found, scale * early, atol=1e-6)
    assert 0 < scale < 1


def test_rotation_tells_near_rows_from_far_ones():
    """Without positions two equal rows weigh the same wherever they stand."""
    rows = [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [0.5, 0.5, 0.5, 0.5]]
    swapped = [rows[1], rows[0], rows[2]]
    plain, turned = identity(4), identity(4, rotary=True)
    np.testing.assert_allclose(attended(plain, rows)[2], attended(plain, swapped)[2], atol=1e-6)
    assert np.abs(attended(turned, rows)[2] - attended(turned, swapped)[2]).max() > 1e-3


def test_later_rows_change_nothing_before_them():
    layer = CausalAttention(8, 4, rotary=True)
    rng = np.random.default_rng(0)
    x, other = (rng.normal(size=(2, 10, 8)).astype("float32") for _ in range(2))
    changed = np.concatenate([x[:, :6], other[:, 6:]], axis=1)
    before, after = (keras.ops.convert_to_numpy(layer(rows)) for rows in (x, changed))
    np.testing.assert_array_equal(before[:, :6], after[:, :6])
    assert not np.allclose(before[:, 6:], after[:, 6:])


def test_config_is_complete():
    layer = CausalAttention(8, 2, rotary=True, name="a")
    assert CausalAttention.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(("units", "rotary", "step"), [(6, False, 4), (12, True, 8), (0, False, 4)])
def test_widths_that_heads_do_not_divide_are_refused(units, rotary, step):
    with pytest.raises(ConfigError, match=f"multiple of {step} for heads=4. Received: {units}"):
        CausalAttention(units, 4, rotary)


def test_a_wrong_input_width_is_refused():
    with pytest.raises(ConfigError, match="width units=8"):
        CausalAttention(8, 2)(np.zeros((2, 5, 6), "float32"))
