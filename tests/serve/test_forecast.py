"""The served forecast: the batch path's numbers from a request's candles, at any hour."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.serve import tiny, tiny_forecast
from xrl.errors import BundleError, RequestError
from xrl.features import longbars
from xrl.registry.bundle import Bundle, write_bundle
from xrl.serve import forecast
from xrl.serve.candles import Needs, read_candles
from xrl.serve.forecast import Forecaster

NEEDS = Needs(tiny.SYMBOLS, tiny.REQUIRED_BARS, tiny.BAR_MS)
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def files(tiny_bundle: Bundle) -> dict[str, bytes]:
    own = {
        path.name: path.read_bytes() for path in tiny_bundle.path.iterdir() if path.name != "checksums.json"
    }
    return {**own, **tiny_forecast.files()}


@pytest.fixture(scope="module")
def forecaster(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Forecaster:
    found = forecast.read(write_bundle(tmp_path_factory.mktemp("bundle") / "bundle", files))
    assert found is not None
    return found


def changed(files: dict[str, bytes], folder: Path, **spec: object) -> Bundle:
    """The bundle with other keys in forecast.json."""
    text = json.dumps({**json.loads(files["forecast.json"]), **spec}).encode()
    return write_bundle(folder / "bundle", {**files, "forecast.json": text})


def made(forecaster: Forecaster, **asked: object) -> forecast.Made:
    sent = tiny_forecast.request(**asked)
    return forecaster.make(read_candles(sent["symbol"], sent["candles"], forecaster.needs(NEEDS)))


def test_a_bundle_without_a_forecast_has_none(tiny_bundle: Bundle) -> None:
    assert forecast.read(tiny_bundle) is None


def test_golden_pairs_of_the_batch_path_are_answered(forecaster: Forecaster) -> None:
    assert forecaster.replayed(NEEDS) < 1e-6


def test_another_network_does_not_pass_for_it(files: dict[str, bytes], tmp_path: Path) -> None:
    other = {**files, "forecast.onnx": tiny_forecast.files(seed=1)["forecast.onnx"]}
    found = forecast.read(write_bundle(tmp_path / "bundle", other))
    assert found is not None
    assert found.replayed(NEEDS) > 1e-2


def test_another_bar_does_not_pass_for_it(files: dict[str, bytes], tmp_path: Path) -> None:
    golden = json.loads(files["forecast.json"])["golden"]
    golden["pairs"][1]["expected"]["bar"] += longbars.STEP_MS
    found = forecast.read(changed(files, tmp_path, golden=golden))
    assert found is not None
    assert found.replayed(NEEDS) == np.inf


def test_within_a_bar_the_forecast_stands_and_moves_on_when_it_closes(forecaster: Forecaster) -> None:
    """Seven hours in a row: six tell the same, the next closes a bar of 6 hours."""
    found = [made(forecaster, end=end) for end in range(980, 994)]
    closes = [(one.known_at - tiny.START_MS) // HOUR_MS for one in found]
    for end, one, close in zip(range(980, 994), found, closes):
        assert end - 6 < close <= end  # the newest candle closes at `end`
        assert one.known_at % longbars.STEP_MS == 0
        assert one.expected_at == one.known_at + longbars.STEP_MS
        close_of_bar = tiny_forecast.frame("BTCUSDT")["close"][close - 1]
        assert one.close == close_of_bar
    changes = [before != after for before, after in pairwise(found)]
    assert sum(changes) == len(set(closes)) - 1 == 2


def test_more_candles_than_asked_for_change_nothing(forecaster: Forecaster) -> None:
    assert made(forecaster, hours=900) == made(forecaster)


def test_the_price_follows_from_close_and_change(forecaster: Forecaster) -> None:
    one = made(forecaster)
    assert one.predicted_price == pytest.approx(one.close * (1 + one.change_percent / 100))
    assert np.sign(one.change_percent) == np.sign(one.forecast.change)
    assert 0 <= one.forecast.confidence <= 1


def test_fewer_candles_are_refused(forecaster: Forecaster) -> None:
    with pytest.raises(RequestError, match="671 candles are needed, received 670"):
        made(forecaster, hours=670)


def test_candles_out_of_range_are_refused(forecaster: Forecaster) -> None:
    sent = tiny_forecast.request()
    sent["candles"]["volume"] = [1e308] * longbars.REQUIRED_HOURS
    with pytest.raises(RequestError, match="prices or volumes are out of range"):
        forecaster.make(read_candles(sent["symbol"], sent["candles"], forecaster.needs(NEEDS)))


def test_other_inputs_than_this_version_computes_are_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    bundle = changed(files, tmp_path, definition={**longbars.definition(), "rsi_bars": 10})
    with pytest.raises(BundleError, match="trained on other inputs"):
        forecast.read(bundle)


def test_a_bundle_holds_all_three_files_or_none(files: dict[str, bytes], tmp_path: Path) -> None:
    files = {name: content for name, content in files.items() if name != "scaler_forecast.json"}
    with pytest.raises(BundleError, match=r"lacks scaler_forecast\.json beside"):
        write_bundle(tmp_path / "bundle", files)
