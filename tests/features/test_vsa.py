import numpy as np
import pytest

from xrl.features.inputs import inputs
from xrl.features.vsa import features, volume_spread

QUIET = (100.0, 101.0, 99.0, 100.0, 10.0)


def last(row, params, hours):
    """VSA of a bar (open, high, low, close, volume) after 30 quiet ones."""
    values = np.array([QUIET] * 30 + [row]).T
    bars = dict(zip(("open", "high", "low", "close", "volume"), values))
    return {name: column[-1] for name, column in volume_spread(inputs(bars, hours(31)), params).items()}


def test_volume_ratio_is_over_the_mean_of_twenty_with_the_bar_itself(params, hours):
    found = last((100, 101, 99, 100, 50), params, hours)
    assert found["volume_ratio"] == pytest.approx(50 / 12)


def test_buying_climax_closes_below_the_previous_close_but_near_its_high(params, hours):
    found = last((98, 100, 90, 99, 50), params, hours)  # close position 0.9
    assert (found["buying_climax"], found["selling_climax"]) == (1, 0)
    assert found["vsa_signal"] > 0.5


def test_selling_climax_is_the_mirror(params, hours):
    found = last((102, 110, 100, 101, 50), params, hours)  # close position 0.1
    assert (found["buying_climax"], found["selling_climax"]) == (0, 1)
    assert found["vsa_signal"] < -0.5


def test_no_climax_without_volume(params, hours):
    assert last((98, 100, 90, 99, 10), params, hours)["buying_climax"] == 0


def test_narrow_spread_on_high_volume(params, hours):
    assert last((100, 100.4, 99.6, 100, 50), params, hours)["narrow_spread_high_volume"] == 1
    assert last((100, 101.0, 99.0, 100, 50), params, hours)["narrow_spread_high_volume"] == 0


def test_low_volume_test_rises_on_less_than_half_the_volume(params, hours):
    assert last((100, 101, 99, 100.5, 4), params, hours)["low_volume_test"] == 1
    assert last((100, 101, 99, 99.5, 4), params, hours)["low_volume_test"] == 0


def test_thresholds_are_parameters(params, hours):
    strict = params.model_copy(update={"climax_volume_ratio": 9.0})
    assert last((98, 100, 90, 99, 50), strict, hours)["buying_climax"] == 0


def test_effort_without_result_is_negative(params, hours):
    """Volume ratio 50 / 12 against a spread of 1.94 / 2 ATR less than 1: absorbed."""
    assert last((100, 100.5, 99.5, 100, 50), params, hours)["effort_result"] < -0.5
    assert last((100, 110, 90, 105, 10), params, hours)["effort_result"] > 0.5


def test_zero_spread_and_zero_volume_are_defined(params, hours):
    found = last((100, 100, 100, 100, 0), params, hours)
    assert found["spread_atr"] == 0
    assert found["volume_ratio"] == 0
    assert found["effort_result"] == 0


def test_distance_to_the_busiest_bar_in_atr(params, hours):
    """The busiest bar is the last itself: distance 0."""
    assert last((100, 110, 90, 105, 50), params, hours)["volume_node_distance"] == 0
    quiet = last((100, 110, 90, 105, 9), params, hours)
    assert quiet["volume_node_distance"] == pytest.approx(5 / (2 * 13 / 14 + 20 / 14))


def test_effort_that_moves_nothing_is_one(params, hours):
    """Volume without a change of the close, and a change of the close without volume."""
    assert last((100, 101, 99, 100, 50), params, hours)["effort_to_move"] == 1
    assert last((100, 110, 99, 109, 0), params, hours)["effort_to_move"] == -1


def test_effort_to_move_sets_volume_ratio_against_atr(params, hours):
    """Volume ratio 1 (10 of mean 10) against a move of one ATR, whatever that is: alike, 0."""
    found = last((100, 101, 99, 100, 10), params, hours)
    move = found["effort_to_move"]
    assert move == 1  # no move
    atr = (2 * 13 + 2.5) / 14  # true range of a bar from 100 to 102.5 after 13 bars of 2
    found = last((100, 102.5, 100, 100 + atr, 10), params, hours)
    assert found["effort_to_move"] == pytest.approx(0, abs=1e-9)


def levels(rows, params, hours):
    """Support and resistance after 30 quiet bars and `rows`."""
    values = np.array([QUIET] * 30 + rows).T
    bars = dict(zip(("open", "high", "low", "close", "volume"), values))
    found = volume_spread(inputs(bars, hours(30 + len(rows))), params)
    return found["high_volume_support"][-1], found["high_volume_resistance"][-1]


BUSY = (100.0, 103.0, 99.0, 102.0, 90.0)  # the level: 102 on 6.4 times the mean volume


def test_a_busy_level_held_from_above_is_support(params, hours):
    above = (102.0, 106.0, 102.0, 105.0, 10.0)
    assert levels([BUSY, above, (105, 106, 102.5, 104, 10)], params, hours) == (1, 0)
    assert levels([BUSY, above, (105, 106, 104.5, 105, 10)], params, hours) == (0, 0)  # not tested
    assert levels([BUSY, above, (105, 106, 100.0, 101, 10)], params, hours) == (0, 0)  # broken


def test_a_busy_level_held_from_below_is_resistance(params, hours):
    below = (102.0, 102.0, 98.0, 99.0, 10.0)
    assert levels([BUSY, below, (99, 101.5, 98, 100, 10)], params, hours) == (0, 1)
    assert levels([BUSY, below, (99, 104.0, 98, 103, 10)], params, hours) == (0, 0)


def test_a_level_needs_volume_and_its_thresholds_are_parameters(params, hours):
    above, test = (102.0, 106.0, 102.0, 105.0, 10.0), (105, 106, 102.5, 104, 10)
    strict = params.model_copy(update={"level_volume_ratio": 9.0})
    assert levels([BUSY, above, test], strict, hours) == (0, 0)
    narrow = params.model_copy(update={"level_distance_atr": 0.0})
    assert levels([BUSY, above, test], narrow, hours) == (0, 0)


def test_the_mean_signal_is_that_of_twelve_bars(planted, params):
    found = volume_spread(inputs(planted, planted["timestamp"]), params)
    expected = np.mean(found["vsa_signal"][500:512])
    assert found["vsa_signal_12"][511] == pytest.approx(expected)


def test_windows_follow_the_volume_window():
    wide = {feature.name: feature for feature in features(100)}
    assert (wide["volume_ratio"].window, wide["volume_ratio"].warmup) == (100, 99)
    assert wide["vsa_signal_12"].window == 111
    assert wide["volume_ratio"].unit == "100-bar means"
