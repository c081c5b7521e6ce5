import math

import numpy as np
import pytest

from xrl.features.inputs import inputs
from xrl.features.volatility import volatility


def of(open_, high, low, close, hours):
    bars = {"open": open_, "high": high, "low": low, "close": close, "volume": np.ones(len(close))}
    return {name: values[-1] for name, values in volatility(inputs(bars, hours(len(close)))).items()}


def alternating(hours, wick=0.0, step=0.01):
    """Closes that alternate by one per cent, opens at the close before, shadows of `wick` on both sides."""
    close = 100.0 * np.exp(step * (np.arange(200) % 2))
    open_ = np.concatenate([[close[1]], close[:-1]])
    high = np.maximum(open_, close) * math.exp(wick)
    low = np.minimum(open_, close) * math.exp(-wick)
    return of(open_, high, low, close, hours)


def share(estimate, volatility_60):
    return pytest.approx(estimate / (estimate + volatility_60))


def test_close_to_close_volatility_of_alternating_returns(hours):
    found = alternating(hours)
    assert found["volatility_24"] == pytest.approx(0.01)
    assert found["volatility_168"] == pytest.approx(0.01)


def test_estimators_of_a_bar_of_known_corners(hours):
    """log(high/low) = .03, log(close/open) = +-.01, shadows of .01 on both sides."""
    found = alternating(hours, wick=0.01)
    range_, body = 0.03, 0.01
    assert found["parkinson_24"] == share(range_ / math.sqrt(4 * math.log(2)), 0.01)
    klass = 0.5 * range_**2 - (2 * math.log(2) - 1) * body**2
    assert found["garman_klass_24"] == share(math.sqrt(klass), 0.01)
    rogers = 2 * 0.01 * 0.02  # either shadow times the distance of its end to the other end of the body
    assert found["rogers_satchell_24"] == share(math.sqrt(rogers), 0.01)
    weight = 0.34 / (1.34 + 25 / 23)
    body_variance = 0.01**2 * 24 / 23  # +-.01 twelve times each, sample variance; opens do not gap
    yang = weight * body_variance + (1 - weight) * rogers
    assert found["yang_zhang_24"] == share(math.sqrt(yang), 0.01)


def test_yang_zhang_adds_the_gaps(hours):
    """Bars without body or shadow that gap by +-1 %: all of the variance lies between them."""
    close = 100.0 * np.exp(0.01 * (np.arange(200) % 2))
    found = of(close, close, close, close, hours)
    assert found["parkinson_24"] == 0.0
    assert found["rogers_satchell_24"] == 0.0
    assert found["yang_zhang_24"] == share(0.01 * math.sqrt(24 / 23), 0.01)


def test_rogers_satchell_sees_no_volatility_in_a_pure_trend(hours):
    close = 100.0 * np.exp(0.01 * np.arange(200))
    open_ = close * math.exp(-0.01)
    found = of(open_, close, open_, close, hours)
    assert found["rogers_satchell_24"] == 0.0
    assert found["parkinson_24"] > 0.3


def test_a_market_that_stands_still_has_none(hours):
    still = np.full(200, 0.1)
    found = of(still, still, still, still, hours)
    assert found.pop("volatility_24") == 0 and found.pop("volatility_168") == 0
    assert set(found.values()) == {0.5}


def test_the_week_counts_what_there_is_at_the_start(hours):
    close = 100.0 * np.exp(np.cumsum([0.0, 0.03, 0.04]))
    bars = {"open": close, "high": close, "low": close, "close": close, "volume": np.ones(3)}
    found = volatility(inputs(bars, hours(3)))["volatility_168"]
    np.testing.assert_allclose(found, [np.nan, 0.03, math.sqrt(12.5) / 100])
