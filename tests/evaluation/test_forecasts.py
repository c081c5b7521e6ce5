"""Figures of forecasts on rows counted by hand."""

import numpy as np
import pytest

from xrl.errors import DataError
from xrl.evaluation.forecasts import Forecasts, figures

DRAWS, SEED = 200, 0


def hand() -> Forecasts:
    """Six bars in two weeks; the last did not move."""
    timestamp = np.array(["2025-01-06", "2025-01-07", "2025-01-08", "2025-01-13", "2025-01-14", "2025-01-15"])
    return Forecasts(
        timestamp.astype("datetime64[ms]"),
        up=np.array([0.7, 0.6, 0.4, 0.3, 0.6, 0.9]),
        change=np.log(np.array([1.02, 1.01, 0.99, 0.99, 1.01, 1.0])),
        right=np.array([0.9, 0.6, 0.6, 0.9, 0.6, 0.9]),
        confidence=np.array([0.9, 0.2, 0.3, 0.8, 0.6, 1.0]),
        outcome=np.log(np.array([1.02, 0.99, 0.98, 0.97, 0.98, 1.0])),
    )


def test_by_hand():
    found = figures(hand(), 0.6, DRAWS, SEED)
    assert found["rows"] == 6
    assert found["direction_accuracy"]["value"] == pytest.approx(3 / 5)  # right: bars 0, 2, 3
    assert found["always_up"] == pytest.approx(1 / 5)
    assert found["share_up"] == pytest.approx(4 / 6)
    assert found["share_sure"] == pytest.approx(3 / 5)  # bars 0, 3, 4
    assert found["direction_accuracy_sure"]["value"] == pytest.approx(2 / 3)
    assert found["sure_minus_unsure"]["value"] == pytest.approx(2 / 3 - 1 / 2)
    assert found["change_error"] == pytest.approx((0 + 2 + 1 + 2 + 3 + 0) / 6)  # percent
    assert found["zero_change_error"] == pytest.approx((2 + 1 + 2 + 3 + 2 + 0) / 6)
    assert found["change_gain"]["value"] == pytest.approx((10 - 8) / 6)
    # said .9 twice, right twice; said .6 three times, right once
    assert found["right_calibration_error"]["value"] == pytest.approx((2 * 0.1 + 3 * (0.6 - 1 / 3)) / 5)
    # of those called up: .7 rose, .6 twice did not; .4 and .3 did not
    assert found["up_calibration_error"]["value"] == pytest.approx((0.3 + 2 * 0.6 + 0.4 + 0.3) / 5)


def simulated(skill: float, rows: int = 4000) -> Forecasts:
    """Forecasts of which a share of `0.5 + skill / 2` is right, sure or not."""
    rng = np.random.default_rng(0)
    outcome = rng.normal(0, 0.01, rows)
    right = rng.random(rows) < 0.5 + skill / 2
    up = np.where(right == (outcome > 0), 0.6, 0.4)
    timestamp = np.datetime64("2024-01-01", "ms") + np.arange(rows) * np.timedelta64(6, "h")
    change = 0.001 * np.sign(up - 0.5)
    return Forecasts(timestamp, up, change, np.full(rows, 0.5 + skill / 2), rng.random(rows), outcome)


def test_a_coin_is_not_told_from_a_coin():
    found = figures(simulated(0.0), 0.6, DRAWS, SEED)
    assert found["direction_accuracy"]["low"] < 0.5 < found["direction_accuracy"]["high"]
    assert found["sure_minus_unsure"]["low"] < 0 < found["sure_minus_unsure"]["high"]
    assert found["change_gain"]["low"] < 0
    assert found["right_calibration_error"]["low"] < 0.01
    assert found["rank_correlation"]["low"] < 0 < found["rank_correlation"]["high"]


def test_skill_shows():
    found = figures(simulated(0.2), 0.6, DRAWS, SEED)
    assert found["direction_accuracy"]["low"] > 0.5
    assert found["change_gain"]["low"] > 0
    assert found["rank_correlation"]["low"] > 0


def test_overconfidence_shows():
    found = figures(simulated(0.0)._replace(right=np.full(4000, 0.9)), 0.6, DRAWS, SEED)
    assert found["right_calibration_error"]["low"] > 0.3


def test_a_market_that_stands_still_cannot_be_judged():
    still = hand()._replace(outcome=np.zeros(6))
    with pytest.raises(DataError, match="nothing to judge a direction by"):
        figures(still, 0.6, DRAWS, SEED)
