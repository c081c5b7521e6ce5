"""Truths of a model that reads other symbols too: it asks for them by name and never guesses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serve import tiny
from xrl.config import ContextParams
from xrl.errors import RequestError
from xrl.features import context as among
from xrl.registry.bundle import Bundle, open_bundle, write_bundle
from xrl.serve.candles import Window, read_candles
from xrl.serve.predictor import Predictor, load, replay_bundle

ASKED = tiny.CONFIG.features.model_copy(
    update={"context": ContextParams(lead="BTCUSDT", market=("BTCUSDT", "ETHUSDT"))}
)
HISTORY = {symbol: tiny.candles(symbol) for symbol in tiny.SYMBOLS}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("context") / "bundle", tiny.files(asked=ASKED))


@pytest.fixture(scope="module")
def predictor(bundle: Bundle) -> Predictor:
    return load(bundle.path)


def sent(symbol: str = "ETHUSDT", **changes: Any) -> dict[str, Any]:
    """The context of a request, some of BTCUSDT's arrays changed."""
    found: dict[str, Any] = tiny.context(symbol, ASKED, HISTORY)
    for name, values in changes.items():
        found["BTCUSDT"][name] = values
    return found


def read(predictor: Predictor, context: dict[str, Any], symbol: str = "ETHUSDT") -> Window:
    return read_candles(symbol, tiny.newest(HISTORY[symbol]), predictor.needs, context)


def test_golden_pairs_of_the_batch_path_are_reproduced(bundle: Bundle) -> None:
    pairs = bundle.json("golden.json")["pairs"]
    assert [list(pair["context"]) for pair in pairs] == [["ETHUSDT"], ["BTCUSDT"], ["ETHUSDT"]]
    parity = replay_bundle(bundle)
    assert parity.difference < 1e-6
    assert parity.disagreements == 0


def test_it_says_which_symbols_it_needs_and_how_far_back(predictor: Predictor) -> None:
    """The window of 60, and 61 closes behind a volatility of 60 returns."""
    assert predictor.needs.context == ("BTCUSDT", "ETHUSDT")
    assert predictor.needs.context_bars == 59 + 61


def test_the_others_move_the_answer(predictor: Predictor) -> None:
    close = np.array(sent()["BTCUSDT"]["close"])
    other = sent(close=(close * np.exp(0.02 * np.arange(len(close)))).tolist())
    one, two = (predictor.predict(read(predictor, found)) for found in (sent(), other))
    assert np.abs(one.probabilities - two.probabilities).max() > 1e-3


def test_older_closes_than_needed_change_nothing(predictor: Predictor) -> None:
    longer = {"BTCUSDT": {name: HISTORY["BTCUSDT"][name] for name in ("timestamp", "close")}}
    one, two = (predictor.predict(read(predictor, found)) for found in (sent(), longer))
    np.testing.assert_array_equal(one.probabilities, two.probabilities)


def test_whole_candles_of_others_are_read_too(predictor: Predictor) -> None:
    read(predictor, {"BTCUSDT": HISTORY["BTCUSDT"]})


def test_without_the_others_it_abstains_in_one_sentence(predictor: Predictor) -> None:
    with pytest.raises(RequestError) as refusal:
        read(predictor, {})
    assert str(refusal.value) == (
        "`context` lacks BTCUSDT: this model reads them beside ETHUSDT; send for each the newest 120 "
        "candles, `timestamp` and `close` at least"
    )


TIMES = tiny.context("ETHUSDT", ASKED, HISTORY)["BTCUSDT"]["timestamp"]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        (
            {"timestamp": TIMES[1:], "close": [1.0] * 119},
            "120 candles are needed, received 119.*context_bars",
        ),
        ({"timestamp": [time - tiny.BAR_MS for time in TIMES]}, "newest candle opens at .* send both up to"),
        ({"timestamp": [TIMES[0] - tiny.BAR_MS, *TIMES[1:]]}, "1 candles are missing"),
        ({"close": [1.0] * 119 + [None]}, "`close` is no finite number"),
        ({"close": [1.0] * 119 + [0.0]}, "`close` is not above zero"),
        ({"close": [1.0] * 119}, "`close` has 119 values"),
        ({"price": [1.0] * 120}, "unknown arrays price; besides timestamp, close it may have open"),
    ],
)
def test_garbage_in_the_context_is_named_with_its_symbol(
    predictor: Predictor, changes: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(RequestError, match=rf"`context\.BTCUSDT`: .*{wrong}"):
        read(predictor, sent(**changes))


def test_a_context_without_closes_is_refused(predictor: Predictor) -> None:
    with pytest.raises(RequestError, match="lacks close; send one array for each of timestamp, close"):
        read(predictor, {"BTCUSDT": {"timestamp": TIMES}})


def test_a_lead_alone_needs_nothing_beside_itself() -> None:
    params = ContextParams(lead="BTCUSDT", market=())
    assert among.needed(params, "BTCUSDT") == ()


def test_a_model_of_its_own_symbol_asks_for_nothing_and_reads_no_context(tiny_bundle: Bundle) -> None:
    alone = load(tiny_bundle.path)
    assert alone.needs.context == () and alone.needs.context_bars == 0
    window = read_candles("ETHUSDT", tiny.newest(HISTORY["ETHUSDT"]), alone.needs, {"BTCUSDT": {"x": [1.0]}})
    assert not window.context


def test_context_that_training_lacked_is_not_asked_for(tmp_path: Path) -> None:
    """The market's columns were held at 0 in training: only the lead is asked for."""
    files = tiny.files(asked=ASKED)
    spec = json.loads(files["features.json"])
    spec["neutral"] = [feature.name for feature in among.FEATURES if feature.source == "market"]
    path = write_bundle(tmp_path / "neutral", {**files, "features.json": json.dumps(spec).encode()}).path
    assert Predictor(open_bundle(path)).needs.context == ("BTCUSDT",)
