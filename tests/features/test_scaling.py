import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xrl.errors import DataError
from xrl.features.scaling import Scaler, fit

X = np.array([[0.0, 7.0, 0.0], [1.0, 7.0, 0.0], [2.0, 7.0, 0.0], [3.0, 7.0, 0.0], [4.0, 7.0, 1.0]])


def test_center_is_the_median_and_scale_the_normal_iqr():
    scaler = fit(X, ["a", "b", "c"])
    assert scaler.center == (2.0, 7.0, 0.0)
    assert scaler.scale[0] == pytest.approx(2 / 1.3489795)


def test_a_constant_column_has_scale_one():
    assert fit(X, ["a", "b", "c"]).scale[1] == 1.0


def test_a_rare_flag_falls_back_to_its_deviation():
    assert fit(X, ["a", "b", "c"]).scale[2] == pytest.approx(0.4)


def test_transform_is_float32_within_the_clip_and_keeps_nan():
    scaler = Scaler(("a",), (1.0,), (2.0,), 5.0)
    found = scaler.transform(np.array([[3.0], [1e9], [-np.inf], [np.nan]]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], [1, 5, -5, np.nan])


def test_a_crash_in_training_moves_neither_center_nor_scale():
    """One bar in fifty a hundred times as large: a standard deviation would grow fourteenfold."""
    calm = np.random.default_rng(0).normal(size=(5000, 1))
    crash = np.where(np.arange(5000)[:, None] % 50, calm, 100 * calm)
    assert crash.std() > 10 * calm.std()
    before, after = fit(calm, ["a"]), fit(crash, ["a"])
    assert after.scale[0] == pytest.approx(before.scale[0], rel=0.05)
    assert after.center[0] == pytest.approx(before.center[0], abs=0.05)


def test_warm_up_rows_do_not_move_the_fit():
    warm = np.vstack([np.full((3, 3), np.nan), X])
    assert fit(warm, ["a", "b", "c"]) == fit(X, ["a", "b", "c"])


def test_json_restores_an_equal_scaler():
    scaler = fit(X, ["a", "b", "c"])
    assert Scaler.from_json(scaler.to_json()) == scaler


@pytest.mark.parametrize(
    "text", ["", "[]", '{"columns": ["a"]}', '{"columns": ["a"], "center": [], "scale": [1], "clip": 5}']
)
def test_what_is_no_scaler_is_refused(text):
    with pytest.raises(DataError, match="scaler"):
        Scaler.from_json(text)


def test_a_column_without_values_is_named():
    with pytest.raises(DataError, match="`b`"):
        fit(np.array([[1.0, np.nan]]), ["a", "b"])


def test_another_number_of_columns_is_refused():
    scaler = fit(X, ["a", "b", "c"])
    with pytest.raises(DataError, match="3 columns"):
        scaler.transform(X[:, :2])
    with pytest.raises(DataError, match=r"\(bars, 2\)"):
        fit(X, ["a", "b"])


@given(arrays(np.float64, (12, 2), elements=st.floats(-1e12, 1e12)))
def test_any_finite_column_scales_to_finite_values(matrix):
    scaled = fit(matrix, ["a", "b"]).transform(matrix)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= 5
