"""The boosted expert in onnxruntime says what LightGBM says, on the very thresholds of its trees too."""

from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnxruntime
import pytest

from xrl.errors import ExportError
from xrl.experts import boosted, boosted_export
from xrl.stages import onnx_order

ROWS, COLUMNS = 1200, 4


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    x[:, 3] = rng.random(ROWS) < 0.3  # a flag: split at zero
    return x, np.digitize(x[:, 0] * x[:, 1] + 0.3 * rng.normal(size=ROWS), [-0.4, 0.4])


@pytest.fixture(scope="module")
def bags(table) -> tuple[lgb.Booster, ...]:
    return boosted.fit(*table, seed=0)


def _run(path: Path, x: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = list(boosted_export.OUTPUTS)
    return dict(zip(names, session.run(names, {"x": x})))


@pytest.mark.parametrize("contrasts", [True, False])
def test_the_file_says_what_the_bags_say(table, bags, tmp_path, contrasts):
    path = tmp_path / "boosted.onnx"
    assert boosted_export.to_onnx(bags, path, 1.4, contrasts) < 1e-5
    said, found = boosted.answer(bags, table[0], 1.4), _run(path, table[0])
    np.testing.assert_allclose(found["probabilities"], said.probabilities, atol=1e-5)
    np.testing.assert_allclose(found["uncertainty"][:, 0], said.uncertainty, atol=1e-5)
    np.testing.assert_allclose(found["block"], said.embedding if contrasts else said.probabilities, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["boosted.onnx"]


def test_thresholds_between_neighbouring_numbers_keep_every_row_on_its_side(tmp_path):
    """LightGBM splits two float32 neighbours at their midpoint, which rounds onto the upper one here."""
    rng = np.random.default_rng(0)
    low = np.nextafter(np.float32(1.0), np.float32(2.0))
    high = np.nextafter(low, np.float32(2.0))
    is_high = rng.random(ROWS) < 0.5
    x = np.stack([np.where(is_high, high, low), rng.normal(size=ROWS)], axis=1).astype(np.float32)
    called = np.where(rng.random(ROWS) < 0.2, 1, 2 * is_high)
    bags = boosted.fit(x, called, seed=0, bags=1)
    path = tmp_path / "boosted.onnx"
    boosted_export.to_onnx(bags, path, 1.0, True)
    rows = np.array([[low, 0.0], [high, 0.0]], dtype=np.float32)
    said = boosted.answer(bags, rows).probabilities
    assert said.argmax(axis=1).tolist() == [0, 2]
    np.testing.assert_allclose(_run(path, rows)["probabilities"], said, atol=1e-5)


def test_equal_trees_are_equal_files(bags, tmp_path):
    written = []
    for name in ("one.onnx", "other.onnx"):
        boosted_export.to_onnx(bags, tmp_path / name, 1.0, True)
        written.append(onnx_order.canonical((tmp_path / name).read_bytes()))
    assert written[0] == written[1]


def test_bags_are_read_as_they_were_written(table, bags, tmp_path):
    for number, bag in enumerate(bags):
        boosted.save(bag, tmp_path / boosted.BAG.format(number))
    np.testing.assert_array_equal(
        boosted.predict(boosted.load(tmp_path), table[0]), boosted.predict(bags, table[0])
    )


def test_a_file_that_differs_is_refused_and_leaves_nothing(bags, tmp_path):
    with pytest.raises(ExportError, match="differs from LightGBM by"):
        boosted_export.to_onnx(bags, tmp_path / "boosted.onnx", 1.0, True, tolerance=0.0)
    assert not list(tmp_path.iterdir())
