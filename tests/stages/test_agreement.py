"""Policies of one matrix product each; the market stands still, so that only decisions differ."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from xrl.account.step import terms_of
from xrl.columns import ACTIONS
from xrl.config import load_config
from xrl.env.market import MarketTensor
from xrl.env.observation import observation_width
from xrl.policy.exported import ExportedPolicy
from xrl.stages.agreement import action_agreement

BARS, BLOCK = 40, 2
TERMS = terms_of(load_config(Path(__file__).parents[2] / "params.yaml").backtest)


def _policy(path: Path, positive: str, negative: str) -> ExportedPolicy:
    """`positive` while the first block column is above 0, else `negative`."""
    width = observation_width(BLOCK)
    weights = np.zeros((width, len(ACTIONS)), np.float32)
    weights[0, ACTIONS.index(positive)] += 1.0
    weights[0, ACTIONS.index(negative)] -= 1.0
    nodes = [
        helper.make_node("MatMul", ["observation", "w"], ["z"]),
        helper.make_node("Softmax", ["z"], ["action_probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("action_probabilities", TensorProto.FLOAT, ["batch", len(ACTIONS)])],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return ExportedPolicy(path)


def _tensor(first: np.ndarray) -> MarketTensor:
    """A still market whose first block column is `first`."""
    zeros = np.zeros(BARS)
    block = np.zeros((BARS, BLOCK), np.float32)
    block[:, 0] = first
    return MarketTensor(
        symbol="BTCUSDT",
        timestamp=np.datetime64("2025-01-01", "ms") + np.arange(BARS) * np.timedelta64(1, "h"),
        prices=np.full((BARS, 4), 100.0),
        funding=zeros,
        funding_last=zeros,
        volatility=zeros + 0.01,
        block=block,
        market=np.zeros((BARS, 10), np.float32),
        regime=np.zeros((BARS, 5), np.float32),
    )


SIGNAL = np.where(np.arange(BARS) < 30, 1.0, -1.0)  # three quarters up


def test_a_policy_agrees_with_itself(tmp_path):
    policy = _policy(tmp_path / "a.onnx", "buy_1x", "sell_1x")
    found = action_agreement(policy, [_tensor(SIGNAL)], policy, [_tensor(SIGNAL)], TERMS)
    assert found.share == 1.0
    assert found.actions["buy_1x"] == pytest.approx(0.75)
    assert found.actions["sell_1x"] == pytest.approx(0.25)


def test_each_policy_sees_its_own_blocks(tmp_path):
    policy = _policy(tmp_path / "a.onnx", "buy_1x", "sell_1x")
    always_up = np.ones(BARS)
    found = action_agreement(policy, [_tensor(SIGNAL)], policy, [_tensor(always_up)], TERMS)
    assert found.share == pytest.approx(0.75)


def test_actions_that_ask_for_the_same_target_agree(tmp_path):
    """Close and hold ask for the same while flat."""
    holds = _policy(tmp_path / "a.onnx", "hold", "close")
    closes = _policy(tmp_path / "b.onnx", "close", "hold")
    assert action_agreement(holds, [_tensor(SIGNAL)], closes, [_tensor(SIGNAL)], TERMS).share == 1.0
