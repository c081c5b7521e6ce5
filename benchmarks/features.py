"""The feature table: bars a second, peak memory, against the library `ta`, and one serving window."""

import warnings

import numpy as np
import pandas as pd
import ta

from benchmarks.material import config, planted_bars
from benchmarks.memory import peak_growth_bytes
from benchmarks.timing import median_seconds, side_by_side
from xrl import columns
from xrl.config import ContextParams, FeatureParams
from xrl.features import table
from xrl.features.context import Context, Peer
from xrl.features.indicators import indicators
from xrl.features.inputs import inputs
from xrl.serve import sources

Closes = dict[str, tuple[np.ndarray, np.ndarray]]

_LEAD, _SYMBOL = "BTCUSDT", "ETHUSDT"
_MARKET = (_LEAD, _SYMBOL, "SOLUSDT", "XRPUSDT", "ADAUSDT", "LTCUSDT")


def measure(bars: int = 100_000, repetitions: int = 3) -> dict[str, float]:
    """Figures of group `features` on `bars` hours of the planted world; memory only where Linux tells it.

    Every column is live: a lead and a market of six symbols are declared.
    """
    frame, params = planted_bars(_SYMBOL, bars), declared()
    others = {name: planted_bars(name, bars) for name in _MARKET if name != _SYMBOL}
    times, needed = frame[columns.TIMESTAMP], table.required_bars(config().experts.window_bars)
    closes = _closes(others, bars)
    whole = median_seconds(lambda: table.build(frame, times, params, _among(closes)), repetitions)
    # Ours computes every indicator column, returns included: more than the columns both have.
    ours, theirs = side_by_side(lambda: indicators(inputs(frame, times)), lambda: _ta(frame), repetitions)
    newest = frame.tail(needed)
    window = {name: newest[name].to_numpy(np.float64) for name in columns.BAR[1:]}
    opens = newest[columns.TIMESTAMP].to_numpy(dtype="datetime64[ms]")
    asked = sources.others(table.names(), config().experts.window_bars, params.context)
    sent = _closes(others, asked.bars)
    one = median_seconds(lambda: table.build(window, opens, params, _among(sent)), 50 * repetitions)
    memory = peak_memory_ratio(bars)
    return {
        "features.bars_per_s": len(frame) / whole,
        "features.columns": float(len(table.FEATURES)),
        "features.speedup_vs_ta": theirs / ours,
        "features.window_ms": 1e3 * one,
        **({} if memory is None else {"features.peak_memory_ratio": memory}),
    }


def peak_memory_ratio(bars: int) -> float | None:
    """Peak memory of a build over `bars` hours, as a multiple of its output; None where nothing tells it."""
    params = declared()
    frames = {name: planted_bars(name, bars) for name in _MARKET}
    frame = frames.pop(_SYMBOL)

    def built(count: int) -> np.ndarray:
        newest = frame.tail(count)
        return table.build(newest, newest[columns.TIMESTAMP], params, _among(_closes(frames, count)))

    output = built(1000).itemsize * len(table.FEATURES) * bars  # and everything is compiled
    grown = peak_growth_bytes(lambda: built(bars))
    return None if grown is None else grown / output


def declared() -> FeatureParams:
    """params.yaml's, with a lead and a market."""
    return config().features.model_copy(update={"context": ContextParams(lead=_LEAD, market=_MARKET)})


def _closes(others: dict[str, pd.DataFrame], newest: int) -> Closes:
    """Times and closes of the other symbols' newest bars."""
    return {
        name: (
            bars[columns.TIMESTAMP].to_numpy(dtype="datetime64[ms]")[-newest:],
            bars[columns.CLOSE].to_numpy(np.float64)[-newest:],
        )
        for name, bars in others.items()
    }


def _among(closes: Closes) -> Context:
    """The other symbols, nothing computed from them yet."""
    return Context(_SYMBOL, {name: Peer(*arrays) for name, arrays in closes.items()})


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
            bands.bollinger_hband(),
            bands.bollinger_mavg(),
            bands.bollinger_lband(),
            ta.volatility.AverageTrueRange(high, low, close).average_true_range(),
            ta.trend.MACD(close).macd(),
            ta.trend.MACD(close).macd_signal(),
            ta.trend.MACD(close).macd_diff(),
            ta.trend.EMAIndicator(close, 12).ema_indicator(),
            ta.trend.EMAIndicator(close, 26).ema_indicator(),
            ta.trend.SMAIndicator(close, 96).sma_indicator(),
        ]
