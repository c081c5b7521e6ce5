"""A tiny market: the class follows the sign of one column summed over the last bars."""

import zipfile

import numpy as np
import pytest

from xrl.errors import TrainingError
from xrl.experts import loop, train
from xrl.experts.backend import compiles
from xrl.experts.export import to_onnx
from xrl.experts.monitor import Looks
from xrl.experts.storage import load_model, save_model
from xrl.experts.windows import Rows
from xrl.presets import Preset, chosen

WINDOW = 30


def _preset(name: str = "lean", **schedule: object) -> Preset:
    return chosen(name, {"loss": {"label_smoothing": 0.0}, "schedule": {"epochs": 2, **schedule}})


@pytest.fixture(scope="module")
def market() -> tuple[Rows, np.ndarray, np.ndarray]:
    """Two symbols of 1500 bars: rows, bars to learn, bars held out."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 3)).astype(np.float32)
    position = np.tile(np.arange(1500), 2)
    drift = np.convolve(x[:, 0], np.ones(5) / np.sqrt(5))[:3000]
    label = np.digitize(drift + 0.3 * rng.normal(size=3000), [-0.45, 0.45]).astype(np.int8)
    return Rows(x, position, label), position < 1100, position >= 1150


@pytest.fixture(scope="module")
def fitted(market) -> train.Fitted:
    rows, learned, held = market
    return train.fit_expert(rows, learned, held, _preset(epochs=12), WINDOW, seed=0)


def _predict(fitted: train.Fitted, rows: Rows, at: np.ndarray) -> train.Predicted:
    return train.predict(fitted.model, rows, at, WINDOW)


def test_it_learns_what_the_last_bars_tell(fitted, market):
    rows, _, held = market
    at = np.flatnonzero(held)
    accuracy = (_predict(fitted, rows, at).probabilities.argmax(axis=1) == rows.label[at]).mean()
    assert accuracy > 0.42  # chance is 1/3
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]
    assert {"epoch", "loss", "train_loss", "validation_loss", "validation_f1"} < set(fitted.history[0])


def test_predictions_are_probabilities_and_256_wide_embeddings(fitted, market):
    rows, _, held = market
    p, e = _predict(fitted, rows, np.flatnonzero(held)[:7])
    assert p.shape == (7, 3)
    assert e.shape == (7, 256)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-9)


def test_a_prediction_is_the_same_alone_and_in_company(fitted, market):
    rows, _, held = market
    at = np.flatnonzero(held)
    np.testing.assert_allclose(
        _predict(fitted, rows, at[:1]).probabilities, _predict(fitted, rows, at).probabilities[:1], atol=1e-6
    )


def test_later_bars_change_no_prediction(fitted, market):
    """Prefix test."""
    rows, _, _ = market
    changed = rows.x.copy()
    changed[1200:1500] = 3.0
    at = np.array([1100, 1199])
    before, after = (_predict(fitted, Rows(x, rows.position, rows.label), at) for x in (rows.x, changed))
    np.testing.assert_array_equal(before.probabilities, after.probabilities)


def test_no_rows_give_no_predictions(fitted, market):
    p, e = _predict(fitted, market[0], np.array([], dtype=np.int64))
    assert p.shape == (0, 3)
    assert e.shape == (0, 256)


def test_rows_without_a_full_window_are_refused(fitted, market):
    with pytest.raises(TrainingError, match=r"1 of 2 rows .* first row 1510"):
        _predict(fitted, market[0], np.array([1400, 1510]))


SMALL = {"units": 8, "memory_size": 8, "input_dropout": 0.0}
RECIPES = {
    "lean": _preset(epochs=1),
    "sLSTM and batch norm": chosen(
        "lean",
        {
            "network": SMALL | {"blocks": "sm", "norm": "batch", "dropout_mask": "window"},
            "schedule": {"epochs": 1},
        },
    ),
    "compiled by XLA": chosen(
        "source", {"network": SMALL | {"blocks": "m"}, "schedule": {"epochs": 1, "patience": None}}
    ),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_seed_gives_the_same_weights(market, recipe):
    """To the bit, the second time in a graph made anew."""
    rows, learned, _ = market
    few, none, preset = learned & (rows.position < 120), np.zeros_like(learned), RECIPES[recipe]
    assert compiles(preset.network, preset.schedule) == (recipe == "compiled by XLA")
    found = []
    for _ in range(2):
        loop._made.cache_clear()
        found.append(train.fit_expert(rows, few, none, preset, WINDOW, seed=5).model.get_weights())
    for ours, theirs in zip(*found):
        np.testing.assert_array_equal(ours, theirs)


def test_a_saved_expert_holds_no_clock_and_no_address(fitted, tmp_path):
    for name in "ab":
        save_model(fitted.model, tmp_path / f"{name}.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_saved_expert_predicts_the_same(fitted, market, tmp_path):
    save_model(fitted.model, tmp_path / "model.keras")
    again = fitted._replace(model=load_model(tmp_path / "model.keras"))
    at = np.array([1400, 2900])
    np.testing.assert_array_equal(
        _predict(fitted, market[0], at).probabilities, _predict(again, market[0], at).probabilities
    )


@pytest.mark.parametrize("projected", [True, False])
def test_the_exported_file_computes_the_same(fitted, market, tmp_path, projected):
    matrices = [np.random.default_rng(0).normal(size=(256, 4))] if projected else None
    assert to_onnx([fitted.model], tmp_path / "expert.onnx", 0.7, matrices) < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["expert.onnx"]


def test_source_stops_early_and_keeps_the_best_epoch(market, monkeypatch):
    rows, learned, held = market
    scores = iter([0.3, 0.5, *[0.4] * 20])
    seen = Looks.figures
    monkeypatch.setattr(Looks, "figures", lambda *given: seen(*given) | {"validation_f1": next(scores)})
    few = learned & (rows.position < 120)
    small = {"units": 8, "memory_size": 4, "blocks": "m"}
    often = {"epochs": 30, "learning_rate": 1e-3, "hop": 4, "batch": 8}  # one batch size: one compilation
    preset = chosen("source", {"network": small, "schedule": often})
    found = train.fit_expert(rows, few, held, preset, WINDOW, seed=0)
    assert found.epochs == 2
    assert len(found.history) == 9  # patience 7 after the best


def test_a_missing_class_is_named(market):
    rows, learned, held = market
    with pytest.raises(TrainingError, match="HOLD missing"):
        train.fit_expert(rows, learned & (rows.label != 1), held, _preset(), WINDOW, seed=0)


def test_runs_too_short_for_a_window_are_refused(market):
    rows, learned, held = market
    short = Rows(rows.x, rows.position % 20, rows.label)
    with pytest.raises(TrainingError, match="received 30, the longest run up to a training bar is 20"):
        train.fit_expert(short, learned, held, _preset(), WINDOW, seed=0)


def test_a_loss_that_is_no_number_ends_with_remedies(market):
    rows, learned, held = market
    x = rows.x.copy()
    x[50] = np.inf
    with pytest.raises(TrainingError, match=r"training loss became nan in epoch 1.*learning_rate"):
        train.fit_expert(Rows(x, rows.position, rows.label), learned, held, _preset(), WINDOW, seed=0)
