"""A small bundle that is real in every part, and the candles it comes from.

Its golden pairs are computed by numpy over the full history, not by the server.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.registry.evidence import metrics, track
from xrl import columns
from xrl.account.step import Account, terms_of
from xrl.config import Config, FeatureParams, load_config
from xrl.env.observation import account_features, observation, observation_width
from xrl.features import context as among
from xrl.features import scaling, table
from xrl.features.context import Context, Peer
from xrl.market.candles import horizon_volatility
from xrl.registry.bundle import Bundle, canonical_json, write_bundle

CONFIG: Config = load_config(Path(__file__).parents[2] / "params.yaml")
SYMBOLS = ("BTCUSDT", "ETHUSDT")
BAR_MS = 3_600_000
START_MS = 1_700_000_000_000 // BAR_MS * BAR_MS
WINDOW = 60
REQUIRED_BARS = table.required_bars(WINDOW)
BLOCK = 4
EXPERT_COLUMNS = {
    "pattern": table.names("pattern"),
    "indicator": table.names("indicator"),
    "boosted": tuple(dict.fromkeys((*table.names("pattern"), *table.names("indicator")))),
}
#: What the tiny experts say of their own members, always.
UNCERTAINTY = {"pattern": 0.01, "indicator": 0.03, "boosted": 0.02}
#: Shares of the committee's mean, without and with the boosted expert.
TWO = {"pattern": 0.5, "indicator": 0.5}
THREE = {"pattern": 0.25, "indicator": 0.25, "boosted": 0.5}
STATE = (*columns.MARKET_STATE, *columns.REGIME_STATE)
FLAT = {"exposure": 0.0, "equity": 1.0, "peak_equity": 1.0}
LONG = {
    "exposure": 0.95,
    "equity": 1.1,
    "peak_equity": 1.2,
    "entry_price": 99.0,
    "bars_held": 5,
    "bars_since_trade": 5,
    "last_trade_return": -0.01,
    "target_exposure": 1.0,
}


def candles(symbol: str = "BTCUSDT", bars: int = 700, seed: int = 0) -> dict[str, list[float | None]]:
    """`bars` hourly candles of a random walk in the service's format; funding every 8 hours."""
    rng = np.random.default_rng([seed, *symbol.encode()])
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, bars)))
    open_ = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(open_, close) * (1 + rng.uniform(0, 0.004, bars))
    low = np.minimum(open_, close) * (1 - rng.uniform(0, 0.004, bars))
    volume = rng.lognormal(3, 0.5, bars)
    taker = volume * rng.uniform(0.3, 0.7, bars)
    time = START_MS + BAR_MS * np.arange(bars)
    funding = np.where(time % (8 * BAR_MS) == 0, rng.normal(1e-4, 5e-5, bars), np.nan)
    found = {
        "timestamp": time,
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        "quote_volume": volume * close,
        "trades": np.floor(volume * 10),
        "taker_buy_volume": taker,
        "taker_buy_quote_volume": taker * close,
        "funding_rate": funding,
        "open_interest": 1e4 + np.cumsum(rng.normal(0, 10, bars)),
    }
    return {
        name: [None if np.isnan(x) else x.item() for x in np.asarray(values)]
        for name, values in found.items()
    }


def newest(
    found: Mapping[str, list[float | None]], bars: int = REQUIRED_BARS
) -> dict[str, list[float | None]]:
    return {name: values[-bars:] for name, values in found.items()}


def files(
    seed: int = 0,
    asked: FeatureParams = CONFIG.features,
    shares: Mapping[str, float] = TWO,
    **changes: object,
) -> dict[str, bytes]:
    """Every file of a bundle whose models have random weights drawn from `seed`.

    `asked` are its feature parameters: other symbols, users' columns; `shares` names who votes.
    """
    rng = np.random.default_rng(seed)
    declared = table.declared(asked)
    history = {symbol: candles(symbol) for symbol in SYMBOLS}
    features = {symbol: _features(symbol, history, asked) for symbol in SYMBOLS}
    stacked = np.concatenate(list(features.values()))
    read = {name: table.names(name, declared) for name in columns.EXPERTS}
    if columns.BOOSTED in shares:
        read[columns.BOOSTED] = tuple(dict.fromkeys((*read["pattern"], *read["indicator"])))
    scalers = {
        name: scaling.fit(stacked[:, table.positions(names, declared)], names)
        for name, names in {**read, "policy": STATE}.items()
    }
    weights = {
        name: (rng.normal(0, 0.3, (len(names), 3)), rng.normal(0, 0.3, (len(names), BLOCK)))
        for name, names in read.items()
    }
    policy = rng.normal(0, 0.5, (observation_width(len(read) * BLOCK), len(columns.ACTIONS)))
    world = _World(history, features, scalers, weights, policy, declared, shares)
    pairs = [
        {**world.pair(symbol, end, account), "context": context(symbol, asked, history, end)}
        for symbol, end, account in (("BTCUSDT", 500, FLAT), ("ETHUSDT", 640, LONG), ("BTCUSDT", 699, LONG))
    ]
    params = CONFIG.model_dump(mode="json")
    del params["gate"]
    return {
        **{
            f"{name}.onnx": _expert(*weights[name], UNCERTAINTY[name], name != columns.BOOSTED)
            for name in shares
        },
        "policy.onnx": policy_onnx(policy),
        **{f"scaler_{name}.json": scaler.to_json().encode() for name, scaler in scalers.items()},
        "features.json": canonical_json(
            {
                "symbols": SYMBOLS,
                "bar_ms": BAR_MS,
                "window_bars": WINDOW,
                "required_bars": REQUIRED_BARS,
                "committee": shares,
                "params": asked.model_dump(mode="json"),
                "schemas": {
                    name: table.schema_hash(scaler.columns, declared) for name, scaler in scalers.items()
                },
                "neutral": [],
            }
        ),
        "labels.json": canonical_json(
            {
                "params": CONFIG.labels.model_dump(mode="json"),
                "percentiles": {
                    "confidence": np.linspace(0, 0.8, 101).tolist(),
                    "pattern": np.linspace(0, 1, 101).tolist(),
                    "indicator": np.linspace(0, 1, 101).tolist(),
                    "boosted": np.linspace(0, 1, 101).tolist(),
                },
            }
        ),
        "account.json": canonical_json(CONFIG.backtest.model_dump(mode="json")),
        "golden.json": canonical_json({"tolerance": 1e-4, "pairs": pairs}),
        "metrics.json": canonical_json(metrics(**changes)),
        "track.parquet": _parquet(track(seed=seed)),
        "lineage.json": canonical_json(
            {
                "as_of": "2023-12-14T00:00:00+00:00",
                "trained_through": "2023-12-10T00:00:00+00:00",  # days after it are held out
                "git_commit": "0" * 40,
                "samples": 1000,
                "stale_after_days": 14,
                "market": "planted",
                "data": {"first": "2023-11-14T22:00:00+00:00", "last": "2023-12-13T23:00:00+00:00"},
                "holdout": {
                    "start": "2023-12-11T00:00:00+00:00",
                    "end": "2023-12-14T00:00:00+00:00",
                    "data": "ab" * 32,
                },
            }
        ),
        "params.yaml": yaml.safe_dump(params, sort_keys=True).encode(),
    }


def bundle(folder: Path, seed: int = 0, **changes: object) -> Bundle:
    return write_bundle(folder, files(seed, **changes))


class _World:
    """The batch path of the tiny models: numpy over the full history."""

    def __init__(
        self,
        history: Any,
        features: Any,
        scalers: Any,
        weights: Any,
        policy: Any,
        declared: Any,
        shares: Any,
    ) -> None:
        self.history, self.features, self.scalers = history, features, scalers
        self.weights, self.policy, self.declared, self.shares = weights, policy, declared, shares

    def pair(self, symbol: str, end: int, account: dict[str, float]) -> dict[str, Any]:
        """The window of candles whose newest is `end`, and what the batch path says of it."""
        found, blocks = {}, []
        for name in self.shares:
            bars = 1 if name == columns.BOOSTED else WINDOW
            scaled = self._scaled(symbol, name)[end - bars + 1 : end + 1]
            mean = scaled.mean(axis=0, dtype=np.float64)
            found[name] = _softmax(mean @ self.weights[name][0])
            blocks.append((mean @ self.weights[name][1]).astype(np.float32))
        state = self._scaled(symbol, "policy")[end]
        seen = observation(
            np.concatenate(blocks), state[:10], self._account(symbol, end, account), state[10:]
        ).astype(np.float64)
        shares = self.shares
        mean = sum(shares[name] * own for name, own in found.items())
        within = sum(shares[name] * (UNCERTAINTY[name] - _entropy(own)) for name, own in found.items())
        expected = {
            **found,
            "committee": mean,
            "uncertainty": np.array([*(UNCERTAINTY[name] for name in found), _entropy(mean) + within]),
            "action": _softmax(seen @ self.policy),
        }
        history = self.history[symbol]
        return {
            "symbol": symbol,
            "candles": {name: values[end + 1 - REQUIRED_BARS : end + 1] for name, values in history.items()},
            "account": account,
            "expected": {name: values.tolist() for name, values in expected.items()},
        }

    def _scaled(self, symbol: str, name: str) -> NDArray[np.float32]:
        scaler = self.scalers[name]
        return scaler.transform(self.features[symbol][:, table.positions(scaler.columns, self.declared)])

    def _account(self, symbol: str, end: int, state: dict[str, float]) -> NDArray[np.float64]:
        close = np.array(self.history[symbol]["close"])
        price, equity = close[end], state["equity"]
        quantity = state["exposure"] * equity / price
        entry = state.get("entry_price", 0.0)
        account = Account(
            wallet=equity - quantity * (price - entry),
            quantity=quantity,
            entry=entry,
            target=0.0,
            equity=equity,
            peak=state["peak_equity"],
            held=float(state.get("bars_held", 0)),
            idle=float(state.get("bars_since_trade", 0)),
            last_trade=state.get("last_trade_return", 0.0),
        )
        labels = CONFIG.labels
        sigma = horizon_volatility(close, labels.volatility_window, labels.horizon_bars)[end]
        rates = [rate for rate in self.history[symbol]["funding_rate"][: end + 1] if rate is not None]
        return account_features(account, price, sigma, rates[-1], terms_of(CONFIG.backtest))


def context(
    symbol: str, asked: FeatureParams, history: Mapping[str, Any], end: int = 699
) -> dict[str, dict[str, list[float | None]]]:
    """What a request for `symbol` brings of other symbols: 120 closes up to candle `end`."""
    return {
        name: {column: history[name][column][end - 119 : end + 1] for column in ("timestamp", "close")}
        for name in among.needed(asked.context, symbol)
    }


def _features(symbol: str, history: Mapping[str, Any], asked: FeatureParams) -> NDArray[np.float64]:
    times = {name: np.array(found["timestamp"], dtype="datetime64[ms]") for name, found in history.items()}
    bars = {
        name: np.array(values, dtype=np.float64)
        for name, values in history[symbol].items()
        if name != "timestamp"
    }
    peers = {name: Peer(times[name], np.array(found["close"])) for name, found in history.items()}
    return table.build(bars, times[symbol], asked, Context(symbol, peers))


def _softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(z - z.max())
    return e / e.sum()


def _entropy(p: NDArray[np.float64]) -> float:
    return float(-(p * np.log(p)).sum())


def _expert(
    to_classes: NDArray[np.float64], to_block: NDArray[np.float64], uncertainty: float, reads_windows: bool
) -> bytes:
    """Mean over time, if any, then one matrix each for probabilities and block; always as uncertain."""
    over_time = helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0)
    nodes = [
        over_time if reads_windows else helper.make_node("Identity", ["x"], ["mean"]),
        helper.make_node("MatMul", ["mean", "to_classes"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        helper.make_node("MatMul", ["mean", "to_block"], ["block"]),
        helper.make_node("MatMul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "constant"], ["uncertainty"]),
    ]
    outputs = {"probabilities": len(columns.CLASSES), "block": to_block.shape[1], "uncertainty": 1}
    weights = {"to_classes": to_classes, "to_block": to_block, "nothing": np.zeros((len(to_classes), 1))}
    weights["constant"] = np.array([uncertainty])
    shape = ("x", WINDOW, len(to_classes)) if reads_windows else ("x", len(to_classes))
    return _model(nodes, shape, outputs, **weights)


def policy_onnx(weights: NDArray[np.float64]) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["observation", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["action_probabilities"], axis=-1),
    ]
    outputs = {"action_probabilities": weights.shape[1]}
    return _model(nodes, ("observation", len(weights)), outputs, weights=weights)


def _model(nodes: Any, taken: Any, outputs: dict[str, int], **weights: NDArray[np.float64]) -> bytes:
    name, *shape = taken
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width])
            for output, width in outputs.items()
        ],
        [numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _parquet(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(None, index=False)


def request(found: Mapping[str, list[float | None]] | None = None, **more: object) -> dict[str, Any]:
    """A valid body of `predict` and, with `account`, of `act`."""
    return json.loads(json.dumps({"symbol": "BTCUSDT", "candles": newest(found or candles()), **more}))
