"""Truths about the volatility that labels, observation and server share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrl.errors import DataError
from xrl.market.candles import horizon_volatility


def test_hand_computed_values():
    close = np.exp(np.array([0.0, 0.1, 0.1, 0.3]))  # log returns .1, 0, .2
    sigma = horizon_volatility(close, window=2, horizon=4)
    assert np.isnan(sigma[:2]).all()
    # std(.1, 0) = .0707107 and std(0, .2) = .1414214, times sqrt(4)
    assert sigma[2:] == pytest.approx([0.14142136, 0.28284271])


def test_standing_still_is_zero_and_short_history_is_nan():
    assert horizon_volatility(np.full(5, 7.0), 3, 20)[3:] == pytest.approx([0.0, 0.0])
    assert np.isnan(horizon_volatility(np.array([1.0, 2.0, 3.0]), 3, 20)).all()


@given(st.integers(0, 2**32 - 1), st.integers(70, 130))
def test_neither_later_nor_earlier_bars_change_a_bit(seed, cut):
    close = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 140)))
    whole = horizon_volatility(close, 20, 20)
    assert np.array_equal(horizon_volatility(close[:cut], 20, 20), whole[:cut], equal_nan=True)
    assert horizon_volatility(close[cut - 21 : cut], 20, 20)[-1] == whole[cut - 1]


def test_nonsense_is_refused():
    with pytest.raises(DataError, match="window"):
        horizon_volatility(np.ones(10), 1, 20)
    with pytest.raises(DataError, match="shape"):
        horizon_volatility(np.ones((5, 2)), 2, 20)
