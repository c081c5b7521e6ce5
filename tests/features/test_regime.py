import numpy as np
import pytest

from xrl import columns
from xrl.features.inputs import inputs
from xrl.features.regime import regime


def of(close, volume, hours):
    bars = {"open": close, "high": close, "low": close, "close": close, "volume": volume}
    found = regime(inputs(bars, hours(len(close))))
    return {name: values[-1] for name, values in found.items()}


def test_a_steady_rise_goes_up(hours):
    found = of(100 * np.exp(0.01 * np.arange(200)), np.ones(200), hours)
    assert (found["regime_up"], found["regime_down"], found["regime_sideways"]) == (1, 0, 0)


def test_a_steady_fall_goes_down(hours):
    found = of(100 * np.exp(-0.01 * np.arange(200)), np.ones(200), hours)
    assert (found["regime_up"], found["regime_down"], found["regime_sideways"]) == (0, 1, 0)


def test_a_market_that_stands_still_goes_sideways(hours):
    found = of(np.full(200, 100.0), np.zeros(200), hours)
    assert list(found.values()) == [0, 0, 1, 0.5, 0.5]


def test_volatility_state_compares_a_day_with_a_week(hours):
    """Returns of 1 %, the last 24 of 4 %: the week's mean square is (144 + 24 * 16) / 168 = 22 / 7."""
    steps = np.where(np.arange(400) % 2, 0.01, -0.01)
    steps[-24:] *= 4
    found = of(100 * np.exp(np.cumsum(steps)), np.ones(400), hours)
    assert found["regime_volatility"] == pytest.approx(4 / (4 + np.sqrt(22 / 7)))


def test_volume_state_compares_a_day_with_a_week(hours):
    """Volume 1, the last 24 bars 8: week's mean (144 + 192) / 168 = 2."""
    volume = np.ones(400)
    volume[-24:] = 8
    assert of(np.full(400, 100.0), volume, hours)["regime_volume"] == pytest.approx(0.8)


def test_every_state_is_bounded_and_one_trend_holds(planted):
    found = regime(inputs(planted, planted["timestamp"]))
    assert tuple(found) == columns.REGIME_STATE
    matrix = np.array(list(found.values()))[:, 60:]
    assert (matrix >= 0).all() and (matrix <= 1).all()
    assert (matrix[:3].sum(axis=0) == 1).all()
