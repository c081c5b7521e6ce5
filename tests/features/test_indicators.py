"""The library `ta` is the definition: every shared indicator equals it once start values are forgotten."""

import warnings

import numpy as np
import pandas as pd
import pytest
import ta

from xrl.features.indicators import FEATURES, indicators
from xrl.features.inputs import inputs

#: Bars after which no start value is felt; `ta` also reports warm-up as 0 before.
WARM = 600


def _ta(bars: pd.DataFrame) -> dict[str, pd.Series]:
    high, low, close, volume = (bars[name] for name in ("high", "low", "close", "volume"))
    atr = ta.volatility.AverageTrueRange(high, low, close).average_true_range()
    stochastic = ta.momentum.StochRSIIndicator(close)
    bands = ta.volatility.BollingerBands(close)
    direction = ta.trend.ADXIndicator(high, low, close)
    return {
        "rsi": ta.momentum.RSIIndicator(close).rsi(),
        "stochrsi_k": stochastic.stochrsi_k(),
        "stochrsi_d": stochastic.stochrsi_d(),
        "williams_r": ta.momentum.WilliamsRIndicator(high, low, close).williams_r(),
        "cci": ta.trend.CCIIndicator(high, low, close).cci(),
        "mfi": ta.volume.MFIIndicator(high, low, close, volume).money_flow_index(),
        "adx": direction.adx(),
        "di_difference": direction.adx_pos() - direction.adx_neg(),
        "bollinger_position": bands.bollinger_pband(),
        "bollinger_width": bands.bollinger_wband() / 100.0,
        "bollinger_upper_atr": (close - bands.bollinger_hband()) / atr,
        "bollinger_middle_atr": (close - bands.bollinger_mavg()) / atr,
        "bollinger_lower_atr": (close - bands.bollinger_lband()) / atr,
        "atr_close": atr / close,
        "macd_atr": ta.trend.MACD(close).macd() / atr,
        "macd_signal_atr": ta.trend.MACD(close).macd_signal() / atr,
        "macd_hist_atr": ta.trend.MACD(close).macd_diff() / atr,
        "ema_fast_atr": (close - ta.trend.EMAIndicator(close, 12).ema_indicator()) / atr,
        "ema_slow_atr": (close - ta.trend.EMAIndicator(close, 26).ema_indicator()) / atr,
        "sma_96_atr": (close - ta.trend.SMAIndicator(close, 96).sma_indicator()) / atr,
    }


def test_every_column_that_names_ta_is_held_equal_to_it(planted):
    shared = {feature.name for feature in FEATURES if "`ta`" in feature.formula}
    assert set(_ta(planted.head(200))) == shared


@pytest.mark.parametrize("market", ["planted", "real"])
def test_every_shared_indicator_equals_ta(market, request):
    bars = request.getfixturevalue(market).head(2000)
    ours = indicators(inputs(bars, bars["timestamp"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ta's own code
        theirs = _ta(bars)
    for name, expected in theirs.items():
        expected = expected.to_numpy()[WARM:-1]  # ta leaves the last bar's DI unset
        error = np.abs(ours[name][WARM:-1] - expected).max()
        assert error <= 1e-9 * expected.std(), f"{name} differs from ta by {error}"


def _flat(hours, count=200, price=100.0):
    price = np.full(count, price)
    bars = {"open": price, "high": price, "low": price, "close": price, "volume": np.zeros(count)}
    return indicators(inputs(bars, hours(count)))


def test_a_market_that_stands_still_is_neutral(hours):
    found = {name: values[-1] for name, values in _flat(hours).items()}
    neutral = {
        "rsi": 50,
        "stochrsi_k": 0.5,
        "stochrsi_d": 0.5,
        "williams_r": -50,
        "mfi": 50,
        "volatility_ratio": 1,
    }
    for name, value in found.items():
        assert value == neutral.get(name, 0.5 if name == "bollinger_position" else 0.0), name


def test_a_price_of_a_tenth_that_stands_still_is_neutral_too(hours):
    """0.1 has no exact binary form: sums over it round, and rounding must not be read as movement."""
    found = _flat(hours, price=0.1)
    assert found["cci"][-1] == 0.0
    assert found["bollinger_position"][-1] == 0.5


def test_return_is_measured_in_volatility(hours):
    """Log returns alternate +-1 %: 60-bar volatility is 1 %, so is every one-bar return."""
    count = 100
    close = 100.0 * np.exp(0.01 * (np.arange(count) % 2))
    bars = {"open": close, "high": close, "low": close, "close": close, "volume": np.ones(count)}
    found = indicators(inputs(bars, hours(count)))
    np.testing.assert_allclose(found["return_1"][-2:], [-1.0, 1.0])
    np.testing.assert_allclose(found["return_3"][-1], 1 / np.sqrt(3))
    np.testing.assert_allclose(found["return_6"][-1], 0.0, atol=1e-12)
    np.testing.assert_allclose(found["volatility_ratio"][-1], 1.0)


def test_tiny_prices_keep_their_indicators(planted):
    """TA-Lib takes 1e-14 for zero: a coin worth 1e-8 USDT must not lose its ADX and RSI to that."""
    bars = planted.head(700)
    cheap = bars.assign(**{name: bars[name] * 2.0**-40 for name in ("open", "high", "low", "close")})
    expected = indicators(inputs(bars, bars["timestamp"]))
    found = indicators(inputs(cheap, bars["timestamp"]))
    for name in expected:
        np.testing.assert_allclose(found[name][60:], expected[name][60:], rtol=1e-9, atol=1e-9, err_msg=name)
