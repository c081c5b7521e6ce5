"""The feature table: bars a second, against the library `ta`, and one serving window."""

import warnings

import numpy as np
import pandas as pd
import ta

from benchmarks.material import config, planted_bars
from benchmarks.timing import median_seconds, side_by_side
from xrl import columns
from xrl.features import table
from xrl.features.indicators import indicators
from xrl.features.inputs import inputs

_WINDOW_BARS = 400


def measure(bars: int = 100_000, repetitions: int = 3) -> dict[str, float]:
    """Figures of group `features` on `bars` hours of the planted world."""
    frame = planted_bars("BTCUSDT", bars)
    params, times = config().features, frame[columns.TIMESTAMP]
    whole = median_seconds(lambda: table.build(frame, times, params), repetitions)
    # Ours computes every indicator column, returns included: more than the columns both have.
    ours, theirs = side_by_side(lambda: indicators(inputs(frame, times)), lambda: _ta(frame), repetitions)
    newest = frame.tail(_WINDOW_BARS)
    window = {name: newest[name].to_numpy(np.float64) for name in columns.BAR[1:]}
    opens = newest[columns.TIMESTAMP].to_numpy(dtype="datetime64[ms]")
    one = median_seconds(lambda: table.build(window, opens, params), 50 * repetitions)
    return {
        "features.bars_per_s": len(frame) / whole,
        "features.columns": float(len(table.FEATURES)),
        "features.speedup_vs_ta": theirs / ours,
        "features.window_ms": 1e3 * one,
    }


def _ta(bars: pd.DataFrame) -> list[pd.Series]:
    """The indicators that both have (tests/features/test_indicators.py), as `ta` computes them."""
    high, low, close, volume = (bars[name] for name in ("high", "low", "close", "volume"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ta's own code
        stochastic = ta.momentum.StochRSIIndicator(close)
        bands = ta.volatility.BollingerBands(close)
        direction = ta.trend.ADXIndicator(high, low, close)
        return [
            ta.momentum.RSIIndicator(close).rsi(),
            stochastic.stochrsi_k(),
            stochastic.stochrsi_d(),
            ta.momentum.WilliamsRIndicator(high, low, close).williams_r(),
            ta.trend.CCIIndicator(high, low, close).cci(),
            ta.volume.MFIIndicator(high, low, close, volume).money_flow_index(),
            direction.adx(),
            direction.adx_pos(),
            direction.adx_neg(),
            bands.bollinger_pband(),
            bands.bollinger_wband(),
            ta.volatility.AverageTrueRange(high, low, close).average_true_range(),
            ta.trend.MACD(close).macd_diff(),
            ta.trend.EMAIndicator(close, 12).ema_indicator(),
            ta.trend.EMAIndicator(close, 26).ema_indicator(),
            ta.trend.SMAIndicator(close, 96).sma_indicator(),
        ]
