"""Columns that users declare: computed as they say, and held against what they declare."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import ta
from pydantic import ValidationError

from tests.features import peeks
from xrl.config import ExtraFeature
from xrl.errors import ConfigError, DataError
from xrl.features import extra, table, trial
from xrl.features.inputs import inputs
from xrl.sandbox import worlds

ROC = {"name": "roc_12", "ta": "momentum.ROCIndicator", "output": "roc", "inputs": ["close"]}
ROC |= {"params": {"window": 12}, "group": "indicator", "window": 13, "warmup": 12}
EMA = {"name": "ema_10", "ta": "trend.EMAIndicator", "output": "ema_indicator", "inputs": ["close"]}
EMA |= {"params": {"window": 10}, "group": "both", "window": 150, "warmup": 9, "relative": "atr"}
OWN = {"name": "own", "inputs": ["close"], "group": "pattern", "window": 2, "warmup": 1}

MODULE = """
import numpy as np
import pandas as pd

def log_return(bars, scale=1.0):
    close = bars["close"]
    return np.concatenate([[np.nan], np.diff(np.log(close))]) * scale

def tomorrow(bars):
    return np.concatenate([np.diff(np.log(bars["close"])), [0.0]])

def normalised(bars):
    r = log_return(bars)
    return (r - np.nanmean(r)) / np.nanstd(r)

def long_mean(bars):
    return pd.Series(log_return(bars)).ewm(span=40).mean().to_numpy()

def price(bars):
    return bars["close"]

def holes(bars):
    r = log_return(bars)
    r[np.abs(r) > 0.01] = np.nan
    return r

def premium(bars):
    return bars["funding_rate"] * 1e4

def short(bars):
    return bars["close"][1:]

not_a_function = 3
"""


def made(*declared, **changes):
    return tuple(ExtraFeature.model_validate({**one, **changes}) for one in declared)


@pytest.fixture(scope="module")
def my_module(tmp_path_factory):
    """A module of the user's own on the path, as PYTHONPATH would put it."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "my_features.py").write_text(MODULE)
    sys.path.insert(0, str(folder))
    yield folder / "my_features.py"
    sys.path.remove(str(folder))
    sys.modules.pop("my_features", None)


def function(name, **changes):
    return made({**OWN, "function": f"my_features:{name}"}, **changes)


def column(bars, params, declared):
    wide = params.model_copy(update={"extra": declared})
    matrix = table.build(bars, bars["timestamp"], wide)
    features = table.declared(wide)
    assert matrix.shape[1] == len(features)
    return {name: matrix[:, table.positions([name], features)[0]] for name in extra.names(declared)}


def test_a_ta_indicator_is_what_ta_computes_after_its_warm_up(planted, params):
    bars = planted.head(500)
    found = column(bars, params, made(ROC))["roc_12"]
    expected = ta.momentum.ROCIndicator(bars["close"], window=12).roc().to_numpy()
    assert np.isnan(found[:12]).all()
    np.testing.assert_allclose(found[12:], expected[12:])


def test_a_price_may_be_given_as_its_distance_to_the_close(planted, params):
    bars = planted.head(700)
    ema = ta.trend.EMAIndicator(bars["close"], 10).ema_indicator()
    atr = ta.volatility.AverageTrueRange(bars["high"], bars["low"], bars["close"]).average_true_range()
    in_atr = column(bars, params, made(EMA))["ema_10"]
    np.testing.assert_allclose(in_atr[400:], ((bars["close"] - ema) / atr)[400:], rtol=1e-9, atol=1e-9)
    share = column(bars, params, made(EMA, relative="close"))["ema_10"]
    np.testing.assert_allclose(share[9:], (1 - ema / bars["close"])[9:], rtol=1e-9, atol=1e-12)


def test_a_function_gets_its_inputs_and_params(planted, params, my_module):
    bars = planted.head(300)
    found = column(bars, params, function("log_return", params={"scale": 100.0}))["own"]
    np.testing.assert_allclose(found[1:], 100 * np.diff(np.log(bars["close"])))


def test_the_callers_bars_stay(planted, params, my_module):
    bars = planted.head(50)
    before = bars.copy()
    column(bars, params, function("price"))
    pd.testing.assert_frame_equal(bars, before)


def test_an_optional_input_brings_a_flag_and_zeros_where_it_is_unknown(planted, params, my_module):
    bars = planted.head(300)
    declared = function("premium", inputs=["funding_rate"])
    found = column(bars, params, declared)
    known = np.isfinite(bars["funding_rate"].to_numpy())
    known[0] = False  # its warm-up
    np.testing.assert_array_equal(found["own_available"], known)
    assert (found["own"][~known] == 0).all() and (found["own"][known] != 0).all()
    absent = column(bars.drop(columns="funding_rate"), params, declared)
    assert not absent["own"].any() and not absent["own_available"].any()


def test_the_declaration_reaches_table_window_and_schema(params, my_module):
    wide = params.model_copy(update={"extra": made(ROC, {**EMA, "window": 600})})
    features = table.declared(wide)
    assert table.required_bars(60, features) == 59 + 600
    roc, ema = (table.feature(name, features) for name in ("roc_12", "ema_10"))
    assert roc.groups == {"indicator"} and ema.groups == {"pattern", "indicator"}
    assert ema.warmup == 14  # of the ATR
    assert "`ta` momentum.ROCIndicator(window=12).roc" in roc.formula
    other = table.declared(wide.model_copy(update={"extra": made({**ROC, "params": {"window": 11}})}))
    assert table.schema_hash(["roc_12"], features) != table.schema_hash(["roc_12"], other)


def test_a_changed_file_changes_the_schema(my_module):
    before = extra.features(function("price"))[0].formula
    text = my_module.read_text()
    my_module.write_text(text + "\n# mended\n")
    assert extra.features(function("price"))[0].formula != before
    my_module.write_text(text)
    assert extra.features(function("price"))[0].formula == before


@pytest.mark.parametrize("declared", [ROC, EMA])
def test_what_is_declared_rightly_passes_the_trial(declared, planted):
    trial.check(made(declared), planted, planted["timestamp"])


@pytest.mark.parametrize(
    ("name", "changes", "wrong"),
    [
        ("tomorrow", {}, "sees later bars.*compute a bar from those up to it"),
        ("normalised", {}, "sees later bars"),
        ("long_mean", {"window": 60}, "needs more bars than its `window` of 60.*declare a longer"),
        ("price", {}, "absolute price or amount.*set `relative: close`"),
        ("holes", {}, "unknown after its `warmup`"),
        ("log_return", {"window": 5000}, "longer than the history"),
    ],
)
def test_what_is_not_as_declared_is_refused_with_the_remedy(name, changes, wrong, planted, my_module):
    with pytest.raises(DataError, match=rf"feature `own`.*{wrong}"):
        trial.check(function(name, **changes), planted, planted["timestamp"])


def test_an_average_passes_with_the_window_it_needs(planted, my_module):
    trial.check(function("long_mean", window=600), planted, planted["timestamp"])
    trial.check(function("price", relative="close"), planted, planted["timestamp"])


START, SEEDS = pd.Timestamp("2025-01-01", tz="UTC"), range(40)
RARE = {"window": 66, "warmup": 61}


def rare(name, **params):
    return made({**OWN, "function": f"tests.features.peeks:{name}", "params": params, **RARE})


@pytest.fixture(scope="module")
def histories():
    """Forty histories of 1500 hours, half of them without anything to foresee."""
    end = START + pd.Timedelta(hours=1500)
    return [worlds.bars(("planted", "random_walk")[s % 2], "BTCUSDT", START, end, s) for s in SEEDS]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("name", "params"), [("peek", {"of": "leap"}), ("peek", {"of": "still"}), ("mixed", {})]
)
def test_a_column_that_rarely_peeks_is_caught_every_time(name, params, k, histories):
    for bars in histories:
        with pytest.raises(DataError, match="sees later bars"):
            trial.check(rare(name, **params, k=k), bars, bars["timestamp"])


@pytest.mark.parametrize("width", [0.001, 0.0025])
def test_a_column_of_ordinary_numbers_that_peeks_on_one_bar_in_hundreds_is_caught_every_time(
    width, histories
):
    declared = {**OWN, "inputs": ["close", "high", "low"], "function": "tests.features.peeks:middle"}
    for bars in histories:
        position = (bars["close"] - bars["low"]) / (bars["high"] - bars["low"])
        if not (np.abs(position[2:-1] - 0.5) < width).any():
            continue
        with pytest.raises(DataError, match="sees later bars"):
            trial.check(made({**declared, "params": {"width": width}}), bars, bars["timestamp"])


@pytest.mark.parametrize("how", ["bfill", "interpolate"])
def test_a_gap_filled_from_behind_is_caught_every_time_and_one_filled_from_before_passes(how, histories):
    """One hour of taker volume is unknown, anywhere in the history."""
    declared = {**OWN, "inputs": ["taker_buy_volume", "volume"]}
    for seed, bars in enumerate(histories):
        row = int(np.random.default_rng(seed).integers(5, len(bars) - 5))
        gap = bars.assign(taker_buy_volume=bars["taker_buy_volume"].where(bars.index != row))
        with pytest.raises(DataError, match="sees later bars"):
            filled = made({**declared, "function": "tests.features.peeks:filled", "params": {"how": how}})
            trial.check(filled, gap, gap["timestamp"])
        if seed % 8 == 0:
            trial.check(made({**declared, "function": "tests.features.peeks:carried"}), gap, gap["timestamp"])


def test_an_average_with_the_window_that_is_advised_passes(histories):
    declared = {**OWN, "inputs": ["volume"], "window": 260, "function": "tests.features.peeks:settling"}
    for bars in histories[:4]:
        trial.check(made(declared), bars, bars["timestamp"])


@pytest.mark.parametrize("name", ["once", "unclosed"])
def test_a_column_that_is_constant_but_once_and_an_unclosed_bar_are_caught_every_time(name, histories):
    for bars in histories:
        with pytest.raises(DataError, match="sees later bars"):
            trial.check(rare(name), bars, bars["timestamp"])


def test_one_peek_far_back_in_a_long_history_is_caught():
    """Bar 3000 alone, thousands before those that are cut off evenly; no other future brings it about."""
    bars = worlds.bars("random_walk", "BTCUSDT", START, START + pd.Timedelta(hours=9000), 1)
    moved = np.diff(np.log(bars["close"]))
    moved = np.where(np.abs(moved) < 1e-4, 2e-4, moved)
    moved[3000] = 0.0
    close = 100 * np.exp(np.concatenate([[0.0], np.cumsum(moved)]))
    calm = dict.fromkeys(("open", "high", "low", "close"), close) | {"volume": bars["volume"].to_numpy()}
    assert peeks.peek(calm, of="still").nonzero()[0].tolist() == [3000]
    with pytest.raises(DataError, match=f"sees later bars.*first at {bars['timestamp'][3000]:%Y-%m-%d}"):
        trial.check(rare("peek", of="still"), calm, bars["timestamp"])


@pytest.mark.parametrize("name", ["leap", "still"])
def test_a_rare_column_that_does_not_peek_passes_every_time(name, histories):
    found = 0.0
    for bars in histories[::3]:
        trial.check(rare(name), bars, bars["timestamp"])
        found += np.nansum(extra.values_of(rare(name)[0], bars, inputs(bars, bars["timestamp"])))
    assert found > 30


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"ta": "momentum.NoSuchIndicator"}, "`ta` has no momentum.NoSuchIndicator"),
        ({"ta": "nothing.ROCIndicator"}, "`ta` has no nothing.ROCIndicator"),
        ({"output": "rocket"}, "has no output `rocket`"),
        ({"params": {"span": 3}}, "takes no `span`; it takes close, window, fillna"),
        ({"inputs": ["high"]}, "takes no `high`"),
        ({"inputs": ["hgih"]}, "no input `hgih`"),
        ({"ta": "momentum.StochasticOscillator", "output": "stoch"}, "check its `inputs`"),
    ],
)
def test_a_wrong_ta_declaration_says_what_is_wrong(changes, wrong, planted, params):
    with pytest.raises(ConfigError, match=f"feature `roc_12`.*{wrong}"):
        declared = made({**ROC, "params": {}, **changes})
        extra.features(declared)
        column(planted.head(100), params, declared)


@pytest.mark.parametrize(
    ("function_name", "wrong"),
    [
        ("my_features:nothing", "`my_features` has no function `nothing`"),
        ("my_features:not_a_function", "has no function"),
        ("no_such_module:f", "no module `no_such_module`.*PYTHONPATH"),
    ],
)
def test_a_wrong_function_says_what_is_wrong(function_name, wrong, planted, params, my_module):
    with pytest.raises(ConfigError, match=f"feature `own`.*{wrong}"):
        column(planted.head(100), params, made({**OWN, "function": function_name}))


def test_a_function_must_return_one_number_a_bar(planted, params, my_module):
    with pytest.raises(DataError, match=r"one number a bar, shape \(100,\); received \(99,\)"):
        column(planted.head(100), params, function("short"))


def test_a_name_that_is_taken_is_refused(params):
    with pytest.raises(ConfigError, match="a column `rsi` already"):
        table.declared(params.model_copy(update={"extra": made({**ROC, "name": "rsi"})}))


@pytest.mark.parametrize(
    "changes",
    [
        {"output": None},
        {"function": "a:b"},
        {"warmup": 13},
        {"name": "Roc"},
        {"ta": "os.system()"},
        {"speed": 1},
    ],
)
def test_a_declaration_that_says_nothing_clear_is_refused(changes):
    with pytest.raises(ValidationError):
        made({**ROC, **changes})


def test_ta_is_imported_only_where_it_is_declared():
    code = (
        "import sys; from pathlib import Path; from xrl.config import load_config\n"
        "from xrl.features import table\n"
        "p = load_config(Path('params.yaml')).features; table.declared(p); print('ta' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
