"""The reward is the change of log equity."""

import math

import pytest

from xrl.env.reward import log_growth


def test_growth_is_the_log_of_the_ratio() -> None:
    assert log_growth(2.0, 2.2) == pytest.approx(math.log(1.1))
    assert log_growth(2.0, 1.8) == pytest.approx(math.log(0.9))


def test_a_total_loss_is_bad_but_finite() -> None:
    assert log_growth(1.0, 0.0) == pytest.approx(math.log(0.01))
    assert log_growth(0.0, 0.0) == 0.0
