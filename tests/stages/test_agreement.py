"""Truths of comparing the refit's trading with that of the policy that was judged."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.env import toy
from tests.registry.evidence import metrics
from tests.serve import tiny
from xrl import columns as c
from xrl.account.costs import terms_of
from xrl.config import load_config
from xrl.env.market import STATE_COLUMNS, MarketTensor
from xrl.env.observation import observation_width
from xrl.policy.exported import ExportedPolicy
from xrl.registry import checks
from xrl.stages.agreement import Agreement, side_agreement

CONFIG = load_config(Path(__file__).parents[2] / "params.yaml")
TERMS = terms_of(CONFIG.backtest)
BARS, WIDTH = 600, 2


@pytest.fixture(scope="module")
def tensors() -> list[MarketTensor]:
    """Two symbols; the block's first column is a slow signal between -1 and 1, and the market is idle."""
    market, regime = len(c.MARKET_STATE), len(STATE_COLUMNS) - len(c.MARKET_STATE)
    found = []
    for number, symbol in enumerate(("AUSDT", "BUSDT")):
        rng = np.random.default_rng(number)
        close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.002, BARS)))
        signal = np.sin(np.arange(BARS) / 20.0 + number)
        found.append(
            MarketTensor(
                symbol=symbol,
                timestamp=pd.date_range("2025-01-01", periods=BARS, freq="h").to_numpy("datetime64[ms]"),
                prices=np.stack([close] * 4, axis=1),
                funding=np.zeros(BARS),
                funding_last=np.zeros(BARS),
                volatility=np.full(BARS, 0.01),
                unrest=np.full(BARS, 0.002),
                volume=np.full(BARS, 1e8),
                contract=toy.CONTRACT,
                block=np.stack([signal, np.ones(BARS)], axis=1).astype(np.float32),
                market=np.zeros((BARS, market), dtype=np.float32),
                regime=np.zeros((BARS, regime), dtype=np.float32),
            )
        )
    return found


def policy(folder: Path, **logits: tuple[float, float]) -> ExportedPolicy:
    """A linear policy: per action, the weights of the signal and of the constant 1; else a logit of 0."""
    weights = np.zeros((observation_width(WIDTH), len(c.ACTIONS)))
    for action, pair in logits.items():
        weights[:WIDTH, c.ACTIONS.index(action)] = pair
    path = folder / f"{'-'.join(logits)}.onnx"
    path.write_bytes(tiny.policy_onnx(weights))
    return ExportedPolicy(path)


def honest(folder: Path, hold: float = 6.0) -> ExportedPolicy:
    """Turns long at a high signal, short at a low one, and holds in between: in most bars."""
    return policy(folder, hold=(0.0, hold), buy_1x=(10.0, 0.0), sell_1x=(-10.0, 0.0), close=(0.0, -1.0))


def agreement(folder: Path, tensors: list[MarketTensor], refit: ExportedPolicy) -> Agreement:
    return side_agreement(honest(folder), tensors, refit, tensors, TERMS)


def refused(found: Agreement) -> set[str]:
    judged = metrics(refit__side_agreement=found.kappa, refit__side_share=found.side_share)
    applied = [checks.apply(rule, judged, CONFIG.gate) for rule in checks.RULES]
    return {check.name for check in applied if not check.passed}


def test_an_equal_policy_agrees_wholly_and_passes(tmp_path: Path, tensors: list[MarketTensor]) -> None:
    found = agreement(tmp_path, tensors, honest(tmp_path))
    assert (found.kappa, found.invested) == (1.0, 1.0)
    assert found.side_share < 0.7
    assert sum(found.actions.values()) == pytest.approx(1.0)
    assert refused(found) == set()


def test_a_policy_that_turns_a_little_later_still_passes(tmp_path: Path, tensors: list[MarketTensor]) -> None:
    found = agreement(tmp_path, tensors, honest(tmp_path, hold=8.0))
    assert found.kappa is not None
    assert 0.5 < found.kappa < 1.0
    assert refused(found) == set()


@pytest.mark.parametrize("action", ["hold", "buy_1x", "sell_1x", "close", "increase", "reduce"])
def test_a_constant_policy_is_refused(tmp_path: Path, tensors: list[MarketTensor], action: str) -> None:
    found = agreement(tmp_path, tensors, policy(tmp_path, **{action: (0.0, 1.0)}))
    assert found.kappa == pytest.approx(0.0, abs=1e-12)
    assert found.side_share == 1.0
    assert found.actions[action] == 1.0
    assert refused(found) == {"refit_side_agreement", "refit_side_share"}


def test_two_policies_that_never_trade_agree_on_nothing(tmp_path: Path, tensors: list[MarketTensor]) -> None:
    idle = policy(tmp_path, hold=(0.0, 1.0))
    found = side_agreement(idle, tensors, idle, tensors, TERMS)
    assert (found.kappa, found.invested) == (None, None)
    assert refused(found) == {"refit_side_agreement", "refit_side_share"}


def test_the_opposite_policy_is_refused(tmp_path: Path, tensors: list[MarketTensor]) -> None:
    found = agreement(
        tmp_path, tensors, policy(tmp_path, hold=(0.0, 6.0), buy_1x=(-10.0, 0.0), sell_1x=(10.0, 0.0))
    )
    assert found.kappa is not None
    assert found.kappa < 0.0
    assert refused(found) == {"refit_side_agreement"}
