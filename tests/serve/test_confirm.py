"""The endpoint `confirm` without HTTP: a real bundle answers for a signal."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tests.serve import tiny, tiny_forecast
from xrl import columns
from xrl.errors import BundleError, RequestError
from xrl.registry.bundle import Bundle, write_bundle
from xrl.serve.candles import Window, read_candles
from xrl.serve.predictor import Predictor, load

with warnings.catch_warnings():  # BentoML 1.4 calls pathspec and pydantic by names that they deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from xrl.serve.confirm import ConfirmAnswer, ConfirmRequest, confirmed, required_bars


@pytest.fixture(scope="module")
def files(tiny_bundle: Bundle) -> dict[str, bytes]:
    own = {
        path.name: path.read_bytes() for path in tiny_bundle.path.iterdir() if path.name != "checksums.json"
    }
    return {**own, **tiny_forecast.files()}


@pytest.fixture(scope="module")
def predictor(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return load(write_bundle(tmp_path_factory.mktemp("bundle") / "bundle", files).path)


def asked(predictor: Predictor, signal: str, **more: object) -> dict[str, object]:
    body = {**tiny_forecast.request(), "signal": signal, **more}
    return confirmed(predictor, ConfirmRequest.model_validate(body))


def test_buy_and_sell_get_opposite_verdicts(predictor: Predictor) -> None:
    buy, sell = (asked(predictor, signal, minimum_confidence=0.0) for signal in ("buy", "sell"))
    assert {buy["verdict"], sell["verdict"]} == {"confirms", "contradicts"}
    assert buy["matches_signal"] is (buy["direction"] == "up")
    assert sell["matches_signal"] is (sell["direction"] == "down")
    assert {name for name in buy if buy[name] != sell[name]} == {"signal", "verdict", "matches_signal"}


def test_below_the_minimum_it_is_silent_and_does_not_vote(predictor: Predictor) -> None:
    sure = asked(predictor, "buy", minimum_confidence=0.0)
    confidence = sure["confidence"]
    assert 0 < confidence < 1
    silent = asked(predictor, "buy", minimum_confidence=min(1.0, confidence + 1e-6))
    assert (silent["verdict"], silent["matches_signal"]) == ("silent", None)
    assert silent["minimum_confidence"] == pytest.approx(confidence + 1e-6)
    assert silent["vote_share"] in (0.0, 0.5, 1.0)  # two experts alone
    assert round(sure["vote_share"] * 3.5 * 2) == pytest.approx(sure["vote_share"] * 3.5 * 2)  # 1 + 1 + 1.5


def test_the_models_own_minimum_is_the_default(predictor: Predictor) -> None:
    assert asked(predictor, "buy")["minimum_confidence"] == 0.6


def test_the_vote_counts_the_experts_own_calls(predictor: Predictor) -> None:
    found = asked(predictor, "buy", minimum_confidence=0.0)
    window = _window(predictor)
    calls = [columns.CLASSES[int(np.argmax(p))] for p in predictor.predict(window).experts.values()]
    side = {"up": "buy", "down": "sell"}[str(found["direction"])]
    weights = {name: calls.count(name) + 1.5 * (name == side) for name in columns.CLASSES}
    assert found["vote_share"] == pytest.approx(weights[str(found["vote"])] / 3.5)


def test_the_answer_is_whole(predictor: Predictor) -> None:
    found = asked(predictor, "sell")
    assert {*found, "lineage"} == set(ConfirmAnswer.model_fields)
    assert found["timestamp"] == tiny_forecast.request()["candles"]["timestamp"][-1]
    assert found["known_at"] <= found["timestamp"] + tiny.BAR_MS
    assert found["expected_at"] > found["timestamp"] + tiny.BAR_MS
    assert found["predicted_price"] == pytest.approx(found["close"] * (1 + found["change_percent"] / 100))


def test_a_bundle_without_a_forecast_says_what_to_do(tiny_bundle: Bundle) -> None:
    with pytest.raises(RequestError, match=r"brings no forecast; set `forecast\.enabled: true`"):
        asked(load(tiny_bundle.path), "buy")


def test_too_few_candles_are_refused_and_told_where_the_number_stands(predictor: Predictor) -> None:
    body = {**tiny_forecast.request(hours=670), "signal": "buy"}
    with pytest.raises(RequestError, match=r"671 candles are needed, received 670.*`confirm_bars`"):
        confirmed(predictor, ConfirmRequest.model_validate(body))


def test_another_signal_is_refused() -> None:
    with pytest.raises(ValidationError, match="signal"):
        ConfirmRequest.model_validate({**tiny_forecast.request(), "signal": "hold"})


def test_predictions_need_no_more_candles_than_without(predictor: Predictor, tiny_bundle: Bundle) -> None:
    plain = load(tiny_bundle.path)
    assert predictor.needs == plain.needs
    assert (required_bars(predictor), required_bars(plain)) == (671, None)
    for one, other in zip(predictor.predict(_window(predictor)), plain.predict(_window(plain))):
        np.testing.assert_equal(one, other)


def test_a_forecast_that_computes_something_else_is_not_served(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    other = {**files, "forecast.onnx": tiny_forecast.files(seed=1)["forecast.onnx"]}
    with pytest.raises(BundleError, match="compute something else than in training"):
        load(write_bundle(tmp_path / "bundle", other).path)


def _window(predictor: Predictor) -> Window:
    sent = tiny_forecast.request()
    return read_candles(sent["symbol"], sent["candles"], predictor.needs)
