"""The three files of a small forecast: a linear model of random weights over the mean of a scaled window.

Its golden pairs are computed by numpy over the full history, not by the server.
"""

from typing import Any

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.serve import tiny
from xrl import columns as c
from xrl.features import longbars, scaling
from xrl.features.longbars import BARS, COLUMNS, REQUIRED_HOURS, LongBars
from xrl.registry.bundle import canonical_json

BARS_SENT = 1000
SCALE = 0.01
#: Positions of the newest candle of each golden pair: 0, 1 and 5 hours after a bar of 6 hours has closed.
_ENDS = (("BTCUSDT", 893), ("ETHUSDT", 900), ("BTCUSDT", 988))


def files(seed: int = 0) -> dict[str, bytes]:
    """forecast.onnx, scaler_forecast.json and forecast.json."""
    history = {symbol: longbars.long_bars(frame(symbol)) for symbol in tiny.SYMBOLS}
    seen = [longbars.windows(own.series, longbars.window_ends(own)) for own in history.values()]
    scaler = scaling.fit(np.concatenate(seen).reshape(-1, len(COLUMNS)), COLUMNS)
    weights = np.random.default_rng([seed, 6]).normal(0, 1.0, (len(COLUMNS), 3))
    weights[:, 1] = weights[:, 0] / 2  # odds and change agree
    said = np.concatenate([_said(own, scaler, weights) for own in seen])
    among = np.quantile(said[:, 2], np.linspace(0, 1, 101))
    pairs = [_pair(symbol, end, history[symbol], scaler, weights) for symbol, end in _ENDS]
    return {
        "forecast.onnx": model(weights),
        "scaler_forecast.json": scaler.to_json().encode(),
        "forecast.json": canonical_json(
            {
                "definition": longbars.definition(),
                "required_hours": REQUIRED_HOURS,
                "change_scale": SCALE,
                "quantiles": among.tolist(),
                "minimum_confidence": 0.6,
                "vote_weight": 1.5,
                "golden": {"tolerance": 1e-4, "pairs": pairs},
            }
        ),
    }


def frame(symbol: str) -> pd.DataFrame:
    """The hourly history of `symbol`, columns.CANDLE."""
    found = tiny.candles(symbol, BARS_SENT)
    time = pd.to_datetime(found["timestamp"], unit="ms", utc=True).astype(c.TIME_DTYPE)
    rest = {name: np.array(found[name], dtype=float) for name in c.CANDLE[1:]}
    return pd.DataFrame({c.TIMESTAMP: time, **rest})


def request(symbol: str = "BTCUSDT", hours: int = REQUIRED_HOURS, end: int = BARS_SENT) -> dict[str, Any]:
    """Symbol and the `hours` candles before position `end`, as a client sends them."""
    found = tiny.candles(symbol, BARS_SENT)
    return {"symbol": symbol, "candles": {name: values[end - hours : end] for name, values in found.items()}}


def model(weights: NDArray[np.float64]) -> bytes:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["heads"]),
        helper.make_node("Split", ["heads"], ["up_logit", "change", "right_logit"], axis=-1),
        helper.make_node("Sigmoid", ["up_logit"], ["up"]),
        helper.make_node("Sigmoid", ["right_logit"], ["right"]),
    ]
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", kind, ["batch", BARS, len(COLUMNS)])],
        [helper.make_tensor_value_info(name, kind, ["batch", 1]) for name in ("up", "change", "right")],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(found)
    return bytes(found.SerializeToString())


def _pair(symbol: str, end: int, bars: LongBars, scaler: Any, weights: NDArray[np.float64]) -> dict[str, Any]:
    sent = request(symbol, end=end)
    newest = (
        np.searchsorted(
            bars.open_ms, sent["candles"]["timestamp"][-1] - longbars.STEP_MS + 3_600_000, "right"
        )
        - 1
    )
    up, change, right = _said(longbars.windows(bars.series, np.array([newest])), scaler, weights)[0]
    candles = {name: sent["candles"][name] for name in (c.TIMESTAMP, *c.OHLCV)}
    expected = {
        "bar": int(bars.open_ms[newest]), "close": float(bars.close[newest]), "up": up, "right": right,
        "change": change * SCALE,
    }  # fmt: skip
    return {"symbol": symbol, "candles": candles, "expected": expected}


def _said(windows: NDArray[np.float64], scaler: Any, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """up, change in training deviations, right of (n, 60, 7) windows: (n, 3)."""
    heads = scaler.transform(windows).mean(axis=1, dtype=np.float64) @ weights
    heads[:, [0, 2]] = 1 / (1 + np.exp(-heads[:, [0, 2]]))
    return np.asarray(heads)
