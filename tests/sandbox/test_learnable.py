"""The planted signal can be learned from plain causal features, the random walk's none. Prints its figures:
`pytest tests/sandbox/test_learnable.py -s`. They stand in the docstring of `xrl.sandbox.worlds`.
"""

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.evaluation import metrics
from xrl.market.candles import horizon_volatility
from xrl.sandbox import worlds

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "LTCUSDT")
START, SPLIT, END = (pd.Timestamp(day, tz="UTC") for day in ("2024-10-11", "2025-07-26", "2026-10-01"))
SETTINGS = {
    "n_estimators": 150, "learning_rate": 0.03, "num_leaves": 8, "min_child_samples": 500, "reg_lambda": 50,
    "colsample_bytree": 0.5, "n_jobs": 1, "verbose": -1, "random_state": 0,
}  # fmt: skip


def features(bars: pd.DataFrame) -> pd.DataFrame:
    """Plain causal columns: returns, volume against its mean, taker imbalance, their moving averages."""
    close, volume = np.log(bars[c.CLOSE]), bars[c.VOLUME]
    returns = close.diff()
    sigma = returns.rolling(60).std()
    ratio = volume / volume.rolling(20).mean()
    taker = 2 * bars[c.TAKER_BUY_VOLUME] / volume - 1
    columns = {f"r{k}": close.diff(k) / sigma / np.sqrt(k) for k in (1, 3, 6, 12, 24, 48)}
    for span in (6, 12, 24):
        columns[f"volume_return{span}"] = (returns / sigma * ratio).ewm(span=span).mean()
        columns[f"taker{span}"] = taker.ewm(span=span).mean()
    columns |= {"ratio": ratio, "taker": taker, "active": ratio.rolling(24).mean()}
    columns["position"] = (bars[c.CLOSE] - bars[c.LOW]) / (bars[c.HIGH] - bars[c.LOW])
    columns["calm"] = returns.rolling(12).std() / sigma
    columns["hour"] = bars[c.TIMESTAMP].dt.hour
    return pd.DataFrame(columns)


def learned(world: str) -> tuple[float, float]:
    """F1 macro and direction accuracy after the split of a LightGBM fitted before it."""
    parts = []
    for symbol in SYMBOLS:
        bars = worlds.bars(world, symbol, START, END, 7)
        close = bars[c.CLOSE].to_numpy()
        forward = np.append(np.log(close[20:] / close[:-20]), np.full(20, np.nan))
        outcome = {"time": bars[c.TIMESTAMP], "forward": forward}
        parts.append(features(bars).assign(**outcome, volatility=horizon_volatility(close, 60, 20)).dropna())
    table = pd.concat(parts, ignore_index=True)
    score = table["forward"] / table["volatility"]
    train = (table["time"] < SPLIT - pd.Timedelta(hours=21)).to_numpy()
    low, high = np.percentile(score[train], [33, 67])
    label = np.where(score < low, c.SELL, np.where(score > high, c.BUY, c.HOLD))
    x = table.drop(columns=["time", "forward", "volatility"]).to_numpy()
    test = (table["time"] >= SPLIT).to_numpy()
    model = lgb.LGBMClassifier(**SETTINGS).fit(x[train], label[train])
    predicted = model.booster_.predict(x[test]).argmax(axis=1)
    f1 = float(metrics.f1_macro(metrics.confusion(label[test], predicted)))
    return f1, metrics.direction_accuracy(predicted, table["forward"].to_numpy()[test])


@pytest.mark.slow  # fits two LightGBM models on 41k bars
def test_lightgbm_finds_the_planted_signal_and_nothing_in_the_random_walk(record_property):
    figures = {world: learned(world) for world in worlds.SYNTHETIC}
    for world, (f1, direction) in figures.items():
        record_property(world, (f1, direction))
        print(f"{world}: LightGBM F1 {f1:.3f}, direction {direction:.3f}")
    assert figures["planted"][0] > 0.37 and figures["planted"][1] > 0.537  # half of the ceiling's edge
    assert figures["random_walk"][0] < 0.36 and abs(figures["random_walk"][1] - 0.5) < 0.02
