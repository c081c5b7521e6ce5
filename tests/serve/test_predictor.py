"""Truths of a loaded bundle: it computes what the batch path computed, and refuses what does not fit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.serve import tiny
from xrl import columns
from xrl.errors import BundleError, RequestError
from xrl.evaluation.committee import mutual_information
from xrl.registry.bundle import Bundle, write_bundle
from xrl.serve import sources
from xrl.serve.candles import Window, read_candles
from xrl.serve.predictor import AccountState, Predictor, leaning, load, replay_bundle


@pytest.fixture(scope="module")
def predictor(tiny_bundle: Bundle) -> Predictor:
    return load(tiny_bundle.path)


def window(predictor: Predictor, bars: int = tiny.REQUIRED_BARS, end: int = 700) -> Window:
    found = {name: values[:end] for name, values in tiny.candles().items()}
    return read_candles("BTCUSDT", tiny.newest(found, bars), predictor.needs)


def test_golden_pairs_of_the_batch_path_are_reproduced(tiny_bundle: Bundle) -> None:
    parity = replay_bundle(tiny_bundle)
    assert parity.difference < 1e-6
    assert parity.disagreements == 0


def test_a_prediction_is_the_mean_of_the_experts(predictor: Predictor) -> None:
    found = predictor.predict(window(predictor))
    pattern, indicator = found.experts["pattern"], found.experts["indicator"]
    np.testing.assert_allclose(found.probabilities, (pattern + indicator) / 2, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.probabilities.sum(), 1.0, atol=1e-6)
    assert found.direction == columns.CLASSES[int(found.probabilities.argmax())]
    assert found.timestamp == tiny.START_MS + 699 * tiny.BAR_MS


def test_uncertainty_is_that_among_the_experts_and_within_each(predictor: Predictor) -> None:
    found = predictor.predict(window(predictor))
    assert found.expert_uncertainty == pytest.approx({"pattern": 0.01, "indicator": 0.03})
    among = mutual_information(np.stack([found.experts["pattern"], found.experts["indicator"]]))
    assert found.uncertainty == pytest.approx(float(among) + 0.02)


def test_a_boosted_expert_votes_with_its_weight(tmp_path: Path) -> None:
    """Its golden pairs were computed by numpy from the newest bar alone; loading replays them."""
    bundle = write_bundle(tmp_path / "three", tiny.files(shares=tiny.THREE))
    assert replay_bundle(bundle).difference < 1e-6
    predictor = load(bundle.path)
    found = predictor.predict(window(predictor))
    assert list(found.experts) == ["pattern", "indicator", "boosted"]
    expected = sum(share * found.experts[name] for name, share in tiny.THREE.items())
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-12)


def test_an_uncertainty_that_training_did_not_compute_is_refused(
    tmp_path: Path, tiny_files: dict[str, bytes]
) -> None:
    golden = json.loads(tiny_files["golden.json"])
    golden["pairs"][0]["expected"]["uncertainty"][2] += 2e-4
    with pytest.raises(BundleError, match=r"expected differences <= 0\.0001"):
        load(spoil(tmp_path, tiny_files, golden__json=json.dumps(golden).encode()))


def test_confidence_is_the_training_percentile_of_the_spread(predictor: Predictor) -> None:
    found = predictor.predict(window(predictor))
    sell, _, buy = found.probabilities
    assert found.confidence == pytest.approx(abs(buy - sell) / 0.8)  # quantiles are 0, 0.008, ... 0.8
    assert found.leaning["pattern"] == pytest.approx(leaning(found.experts["pattern"]))


def test_leaning_is_the_buy_share_of_both_sides() -> None:
    assert leaning(np.array([0.2, 0.5, 0.3])) == pytest.approx(0.6)
    assert leaning(np.array([0.0, 1.0, 0.0])) == 0.5


def test_a_longer_history_changes_nothing(predictor: Predictor) -> None:
    short, long = window(predictor), window(predictor, bars=700)
    np.testing.assert_array_equal(
        predictor.predict(short).probabilities, predictor.predict(long).probabilities
    )


def test_candles_after_the_newest_change_nothing(predictor: Predictor) -> None:
    """Prefix test: what is said at bar 600 does not depend on bars that come later."""
    then = predictor.predict(window(predictor, end=600))
    assert then.timestamp == tiny.START_MS + 599 * tiny.BAR_MS
    spoiled = {name: [*values[:600], *[1e9] * 100] for name, values in tiny.candles().items()}
    cut = {name: values[:600] for name, values in spoiled.items()}
    again = predictor.predict(read_candles("BTCUSDT", tiny.newest(cut), predictor.needs))
    np.testing.assert_array_equal(then.probabilities, again.probabilities)


def test_an_action_moves_the_target_by_the_account_rules(predictor: Predictor) -> None:
    prediction, action = predictor.act(window(predictor), AccountState())
    assert action.action == columns.ACTIONS[int(action.probabilities.argmax())]
    np.testing.assert_allclose(action.probabilities.sum(), 1.0, atol=1e-6)
    np.testing.assert_array_equal(
        prediction.probabilities, predictor.predict(window(predictor)).probabilities
    )
    targets = {"hold": 0.0, "buy_1x": 1.0, "buy_0.5x": 0.5, "buy_2x": 2.0, "sell_1x": -1.0, "close": 0.0}
    targets |= {"sell_0.5x": -0.5, "sell_2x": -2.0, "increase": 0.0, "reduce": 0.0}
    assert action.target_exposure == targets[action.action]


def test_the_account_changes_the_action_probabilities(predictor: Predictor) -> None:
    flat = predictor.act(window(predictor), AccountState())[1]
    held = predictor.act(window(predictor), AccountState(**tiny.LONG))[1]
    assert np.abs(flat.probabilities - held.probabilities).max() > 1e-3


def spoil(tmp_path: Path, files: dict[str, bytes], **changes: bytes) -> Path:
    """A well-sealed bundle with some contents replaced; `__` in a name stands for a dot."""
    named = {name.replace("__", "."): content for name, content in changes.items()}
    return write_bundle(tmp_path / "spoiled", {**files, **named}).path


def test_a_bundle_whose_models_compute_something_else_is_refused(
    tmp_path: Path, tiny_files: dict[str, bytes]
) -> None:
    other = tiny.files(seed=1)
    path = spoil(tmp_path, tiny_files, pattern__onnx=other["pattern.onnx"])
    with pytest.raises(
        BundleError, match=r"golden\.json: the models compute something else than in training"
    ):
        load(path)


def test_another_action_counts_as_a_disagreement(tmp_path: Path, tiny_files: dict[str, bytes]) -> None:
    golden = json.loads(tiny_files["golden.json"])
    expected = golden["pairs"][0]["expected"]["action"]
    best, worst = int(np.argmax(expected)), int(np.argmin(expected))
    expected[best], expected[worst] = expected[worst], expected[best]
    path = spoil(tmp_path, tiny_files, golden__json=json.dumps(golden).encode())
    with pytest.raises(BundleError, match="1 other decisions"):
        load(path)


def test_files_that_do_not_fit_are_named(tmp_path: Path, tiny_files: dict[str, bytes]) -> None:
    swapped = spoil(tmp_path, tiny_files, pattern__onnx=tiny_files["indicator.onnx"])
    with pytest.raises(BundleError, match=r"pattern\.onnx must take \(batch, 60, \d+\)"):
        load(swapped)
    policy = spoil(tmp_path, tiny_files, policy__onnx=tiny_files["indicator.onnx"])
    with pytest.raises(BundleError, match=r"policy\.onnx must take \(batch, 33\)"):
        load(policy)
    broken = spoil(tmp_path, tiny_files, indicator__onnx=b"not a model")
    with pytest.raises(BundleError, match=r"indicator\.onnx is no ONNX model"):
        load(broken)
    scaler = spoil(tmp_path, tiny_files, scaler_pattern__json=tiny_files["scaler_indicator.json"])
    with pytest.raises(BundleError, match=r"scaler_pattern\.json was fitted on other features"):
        load(scaler)
    text = spoil(tmp_path, tiny_files, scaler_policy__json=b"{}")
    with pytest.raises(BundleError, match=r"scaler_policy\.json: not a scaler"):
        load(text)


def test_a_tampered_bundle_is_not_loaded(tmp_path: Path, tiny_files: dict[str, bytes]) -> None:
    path = write_bundle(tmp_path / "bundle", tiny_files).path
    (path / "policy.onnx").write_bytes(tiny_files["indicator.onnx"])
    with pytest.raises(BundleError, match=r"policy\.onnx was changed"):
        load(path)


def test_a_column_held_neutral_in_training_is_neutral_in_serving(
    tmp_path: Path, tiny_files: dict[str, bytes]
) -> None:
    spec = json.loads(tiny_files["features.json"])
    spec["neutral"] = ["funding_z"]
    bundle = write_bundle(tmp_path / "bundle", {**tiny_files, "features.json": json.dumps(spec).encode()})
    predictor = Predictor(bundle)
    found = tiny.newest(tiny.candles())
    other = {**found, "funding_rate": [None if x is None else -5 * x for x in found["funding_rate"]]}
    states = [
        predictor._see(read_candles("BTCUSDT", candles, predictor.needs)).state[9]
        for candles in (found, other)
    ]
    assert states[0] == states[1]


def test_a_source_that_training_always_had_is_asked_for(tiny_bundle: Bundle) -> None:
    predictor = Predictor(tiny_bundle)
    predictor._sources = sources.needed({"taker_imbalance"}, tiny.WINDOW)
    found = tiny.newest(tiny.candles())
    del found["taker_buy_volume"]
    with pytest.raises(RequestError, match="`taker_buy_volume` is missing"):
        predictor.predict(read_candles("BTCUSDT", found, predictor.needs))


def test_a_bundle_cannot_widen_its_own_parity(tmp_path: Path, tiny_files: dict[str, bytes]) -> None:
    golden = json.loads(tiny_files["golden.json"])
    golden["tolerance"] = 10.0
    golden["pairs"][0]["expected"]["pattern"][0] += 2e-4
    with pytest.raises(BundleError, match=r"expected differences <= 0\.0001"):
        load(spoil(tmp_path, tiny_files, golden__json=json.dumps(golden).encode()))


@pytest.mark.parametrize("tolerance", [None, float("nan"), -1.0, 0.0])
def test_a_tolerance_that_bounds_nothing_is_refused(
    tmp_path: Path, tiny_files: dict[str, bytes], tolerance: float | None
) -> None:
    golden = {**json.loads(tiny_files["golden.json"]), "tolerance": tolerance}
    with pytest.raises(BundleError, match=r"golden\.json cannot be replayed"):
        load(spoil(tmp_path, tiny_files, golden__json=json.dumps(golden).encode()))


def test_an_expectation_that_is_unknown_or_absent_proves_nothing(
    tmp_path: Path, tiny_files: dict[str, bytes]
) -> None:
    golden = json.loads(tiny_files["golden.json"])
    empty = {**golden, "pairs": []}
    with pytest.raises(BundleError, match=r"golden\.json cannot be replayed"):
        load(spoil(tmp_path, tiny_files, golden__json=json.dumps(empty).encode()))
    golden["pairs"][0]["expected"]["pattern"][0] = None
    with pytest.raises(BundleError, match=r"received inf"):
        load(spoil(tmp_path, tiny_files, golden__json=json.dumps(golden).encode()))


@pytest.mark.parametrize("name", ["features.json", "labels.json", "account.json", "lineage.json"])
@pytest.mark.parametrize("content", [b"{}", b"[]", b"{", b'{"params": {"taker_fee_bps": "many"}}'])
def test_a_file_of_another_shape_is_a_bundle_error(
    tmp_path: Path, tiny_files: dict[str, bytes], name: str, content: bytes
) -> None:
    with pytest.raises(BundleError, match="cannot be loaded"):
        load(write_bundle(tmp_path / "spoiled", {**tiny_files, name: content}).path)


def test_an_account_beyond_all_numbers_is_refused(predictor: Predictor) -> None:
    absurd = AccountState(exposure=1.0, entry_price=float("nan"), equity=1.0, peak_equity=1.0)
    with pytest.raises(RequestError, match="no finite observation"):
        predictor.act(window(predictor), absurd)


_IMPORTS = """
import sys
from pathlib import Path
import xrl.registry.store
import xrl.serve.service
from xrl.serve.predictor import load

load(Path(sys.argv[1]))
forbidden = {"tensorflow", "keras", "torch", "ccxt", "stable_baselines3", "gymnasium", "lightgbm", "ta"}
print(sorted((forbidden | {"airflow", "sklearn", "matplotlib"}) & sys.modules.keys()))
"""


def test_serving_imports_neither_training_nor_exchange_libraries(tiny_bundle: Bundle) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _IMPORTS, str(tiny_bundle.path)], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "[]"
