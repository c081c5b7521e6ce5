import numpy as np
import pytest

from xrl.features.inputs import inputs
from xrl.features.vsa import volume_spread

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
