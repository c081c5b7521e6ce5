"""TA-Lib's patterns: equal to TA-Lib where nothing is tied, and the same to the bit whatever came before."""

import numpy as np
import pandas as pd
import pytest
import talib

from xrl.features.candlesticks import FEATURES, candlesticks
from xrl.features.inputs import inputs

OHLC = ("open", "high", "low", "close")
#: Bearish mirrors that TA-Lib signs +100.
MIRRORED = {"CDLGRAVESTONEDOJI"}


def gapped(count: int, seed: int) -> pd.DataFrame:
    """Bars whose opens gap, so that stars, piercing lines and soldiers occur; no two prices are tied."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    before = np.concatenate([[100.0], close[:-1]])
    open_ = before * np.exp(rng.normal(0, 0.004, count) * (rng.random(count) < 0.7))
    high = np.maximum(open_, close) * np.exp(rng.exponential(0.003, count) * (rng.random(count) < 0.6))
    low = np.minimum(open_, close) * np.exp(-rng.exponential(0.003, count) * (rng.random(count) < 0.6))
    time = pd.Timestamp("2025-01-06", tz="UTC") + pd.to_timedelta(np.arange(count), "h")
    found = dict(zip(OHLC, (open_, high, low, close)))
    return pd.DataFrame({"timestamp": time, **found, "volume": np.ones(count)})


def theirs(bars: pd.DataFrame, formula: str) -> np.ndarray:
    prices = [bars[name].to_numpy() for name in OHLC]
    names = formula.removeprefix("TA-Lib ").split(", ")
    return sum((-1 if n in MIRRORED else 1) * np.sign(getattr(talib, n)(*prices)) for n in names)


@pytest.fixture(scope="module", params=["gapped", "planted", "real"])
def market(request):
    return gapped(60_000, seed=1) if request.param == "gapped" else request.getfixturevalue(request.param)


def test_every_pattern_equals_talib(market):
    found = candlesticks(inputs(market, market["timestamp"]))
    for feature in FEATURES:
        settled = feature.warmup + 5  # its lookback leaves the first bars at 0
        expected = theirs(market, feature.formula)[settled:]
        np.testing.assert_array_equal(found[feature.name][settled:], expected, err_msg=feature.name)


def test_every_pattern_occurs_where_bars_gap():
    """So that equality with TA-Lib is not that of two columns of zeros."""
    bars = gapped(60_000, seed=1)
    found = candlesticks(inputs(bars, bars["timestamp"]))
    signs = {feature.name: set(np.unique(found[feature.name][20:])) for feature in FEATURES}
    one_sided = {"long_legged_doji": {0, 1}, "matching_low": {0, 1}, "advance_block": {-1, 0}}
    for name, seen in signs.items():
        assert seen == one_sided.get(name, {-1, 0, 1}), name


def test_a_history_shorter_than_a_pattern_is_unknown(hours):
    bars = gapped(3, seed=0)
    for name, values in candlesticks(inputs(bars, hours(3))).items():
        assert np.isnan(values).all(), name


def shape(rows, hours):
    """Patterns of rows (open, high, low, close) after twelve bars of body 1 and range 2 at 100."""
    quiet = [(100, 101.5, 99.5, 101) if t % 2 else (101, 101.5, 99.5, 100) for t in range(12)]
    values = np.array([*quiet, *rows], dtype=float)
    bars = dict(zip(OHLC, values.T)) | {"volume": np.ones(len(values))}
    found = candlesticks(inputs(bars, hours(len(values))))
    return {name: column[-1] for name, column in found.items()}


def test_a_marubozu_has_no_shadows(hours):
    assert shape([(100, 103, 100, 103)], hours)["marubozu"] == 1
    assert shape([(103, 103, 100, 100)], hours)["marubozu"] == -1
    assert shape([(100, 104, 100, 103)], hours)["marubozu"] == 0


def test_a_hammer_hangs_below_a_small_body_near_the_lows(hours):
    assert shape([(99.4, 99.6, 97, 99.5)], hours)["hammer"] == 1
    assert shape([(101.6, 101.8, 99.5, 101.7)], hours)["hammer"] == -1  # the hanging man


def test_a_harami_lies_within_a_long_body_of_the_other_colour(hours):
    assert shape([(104, 104, 100, 100), (101, 102, 101, 101.5)], hours)["harami"] == 1
    assert shape([(100, 104, 100, 104), (103, 103, 102, 102.5)], hours)["harami"] == -1


def test_an_inside_bar_broken_falsely_is_a_hikkake_until_taken_back(hours):
    """The third bar leaves an inside bar downwards; the fourth closes above the inside bar's high."""
    inside = [(100, 104, 96, 100), (100, 102, 98, 100), (99, 101, 97, 98)]
    assert shape(inside, hours)["hikkake"] == 1
    assert shape([*inside, (98, 103, 98, 102.5)], hours)["hikkake"] == 1
    assert shape([*inside, (98, 101, 97.5, 100)], hours)["hikkake"] == 0


def test_a_repeated_price_grid_keeps_its_bits_whatever_came_before(hours):
    """Ticks of 0.1 tie averages exactly; the last bars of any part must read them as the whole does."""
    rng = np.random.default_rng(2)
    corners = np.sort(np.round(100 + rng.integers(-9, 10, (600, 4)) / 10, 1), axis=1)
    rows = np.column_stack([corners[:, 1], corners[:, 3], corners[:, 0], corners[:, 2]])
    bars = dict(zip(OHLC, rows.T)) | {"volume": np.ones(600)}
    whole = candlesticks(inputs(bars, hours(600)))
    for start in (1, 77, 300, 560):
        part = {name: values[start:] for name, values in bars.items()}
        found = candlesticks(inputs(part, hours(600)[start:]))
        for name, values in found.items():
            np.testing.assert_array_equal(values[14:], whole[name][start + 14 :], err_msg=name)
