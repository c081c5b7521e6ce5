import numpy as np
import pandas as pd
import talib

from xrl.features.inputs import inputs
from xrl.features.patterns import patterns


def shapes(rows, hours):
    """Patterns of rows (open, high, low, close)."""
    values = np.array(rows, dtype=float)
    bars = dict(zip(("open", "high", "low", "close"), values.T)) | {"volume": np.ones(len(rows))}
    return patterns(inputs(bars, hours(len(rows))))


def test_parts_of_a_bar(hours):
    found = shapes([(10, 14, 9, 12)], hours)
    assert found["close_position"][0] == 0.6
    assert found["body_ratio"][0] == 0.4
    assert found["upper_shadow"][0] == 0.4
    assert found["lower_shadow"][0] == 0.2


def test_a_bar_without_spread_is_neutral(hours):
    found = shapes([(10, 10, 10, 10)], hours)
    assert found["close_position"][0] == 0.5
    for name in ("body_ratio", "upper_shadow", "lower_shadow", "doji", "pin_bar"):
        assert found[name][0] == 0, name


def test_doji_has_a_tenth_of_body(hours):
    found = shapes([(10, 15, 5, 11), (10, 15, 5, 11.5)], hours)
    np.testing.assert_array_equal(found["doji"], [1, 0])


def test_hammer_and_shooting_star(hours):
    found = shapes([(14, 15, 5, 14.5), (6, 15, 5, 5.5), (10, 15, 5, 10)], hours)
    np.testing.assert_array_equal(found["pin_bar"], [1, -1, 0])


def test_bullish_and_bearish_engulfing(hours):
    rows = [(10, 11, 8, 9), (9, 11, 8, 10.5), (10.5, 12, 8, 8.5), (8.5, 9, 8, 8.8)]
    np.testing.assert_array_equal(shapes(rows, hours)["engulfing"], [np.nan, 1, -1, 0])


def test_engulfing_equals_talib(planted, real):
    for bars in (planted, real):
        found = patterns(inputs(bars, bars["timestamp"]))["engulfing"]
        ohlc = (bars[name].to_numpy() for name in ("open", "high", "low", "close"))
        np.testing.assert_array_equal(found[5:], np.sign(talib.CDLENGULFING(*ohlc))[5:])


def test_inside_bar_lies_within_the_previous(hours):
    rows = [(10, 12, 8, 11), (10, 11, 9, 10), (10, 11, 9, 10), (10, 13, 9.5, 10)]
    np.testing.assert_array_equal(shapes(rows, hours)["inside_bar"], [np.nan, 1, 0, 0])


def test_morning_star_after_ten_small_bodies(hours):
    rows = [(10, 10.2, 9.8, 10.1)] * 11 + [(10, 10.1, 7.9, 8), (8, 8.3, 7.7, 7.9), (7.9, 9.8, 7.8, 9.6)]
    star = shapes(rows, hours)["star"]
    assert np.isnan(star[:11]).all()
    np.testing.assert_array_equal(star[11:], [0, 0, 1])


def test_evening_star_is_the_mirror(hours):
    rows = [(10, 10.2, 9.8, 10.1)] * 11 + [
        (10, 12.1, 9.9, 12),
        (12, 12.3, 11.7, 12.1),
        (12.1, 12.2, 10, 10.4),
    ]
    np.testing.assert_array_equal(shapes(rows, hours)["star"][11:], [0, 0, -1])


def test_a_fractal_is_known_only_two_bars_after_its_extreme(hours):
    """The high of bar 2 is the extreme; bar 4 confirms it and bar 3 does not yet know."""
    highs = [10, 11, 13, 12, 11, 11]
    rows = [(9, high, 8, 9) for high in highs]
    np.testing.assert_array_equal(shapes(rows, hours)["fractal"], [np.nan] * 4 + [-1, 0])


def test_a_low_fractal_is_bullish(hours):
    lows = [8, 7, 5, 6, 7]
    rows = [(9, 10, low, 9) for low in lows]
    assert shapes(rows, hours)["fractal"][4] == 1


def test_range_position_of_a_steady_rise_is_the_top(hours):
    rows = [(100 + t, 101 + t, 99 + t, 101 + t) for t in range(30)]
    found = shapes(rows, hours)["range_position_24"]
    assert np.isnan(found[:23]).all()
    assert (found[23:] == 1).all()


def test_patterns_need_no_frame(planted):
    bars = {name: planted[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    a = patterns(inputs(bars, planted["timestamp"].to_numpy(dtype="datetime64[ms]")))
    b = patterns(inputs(pd.DataFrame(bars), planted["timestamp"]))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
