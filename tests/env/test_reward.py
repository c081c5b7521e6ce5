"""Rewards by hand: every term, its weight, and when it is paid."""

import math

import numpy as np
import pytest

from tests.env import toy
from xrl.account.step import Account, open_account
from xrl.columns import ACTIONS
from xrl.env.play import Play
from xrl.env.reward import TERMS, Lived, log_growth, memories, pay_one, reward_of
from xrl.env.scales import measured
from xrl.env.vec_env import BatchedEnv
from xrl.errors import ConfigError


def test_growth_is_the_log_of_the_ratio() -> None:
    assert log_growth(2.0, 2.2) == pytest.approx(math.log(1.1))
    assert log_growth(2.0, 1.8) == pytest.approx(math.log(0.9))


def test_a_total_loss_is_bad_but_finite() -> None:
    assert log_growth(1.0, 0.0) == pytest.approx(math.log(0.01))
    assert log_growth(0.0, 0.0) == 0.0


def lived(quantity: float, before: Account, *, wallet: float, close: float, target: float = 0.0) -> Lived:
    equity = wallet + quantity * (close - 100.0)
    after = before._replace(wallet=wallet, quantity=quantity, entry=100.0, equity=equity, target=target)
    return Lived(before, after, target, before.quantity * quantity < 0.0, close, 100.0, 0.8, 0.75, 1.0)


def paid(kind: str, bar: Lived, memory: np.ndarray | None = None) -> dict[str, float]:
    reward, found = reward_of(kind, 3), np.zeros(len(TERMS))
    total = pay_one(found, memories(1, reward)[0] if memory is None else memory, bar, reward)
    assert total == pytest.approx(found.sum())
    return {name: float(value) for name, value in zip(TERMS, found) if value}


def test_the_sources_reward_by_hand() -> None:
    start = open_account(1000.0)
    bar = lived(5.0, start, wallet=990.0, close=110.0, target=0.5)  # equity 1040, 550 held, at its peak
    bar = bar._replace(after=bar.after._replace(peak=1300.0))
    expected = {"realised": 0.7 * (-0.01 - 0.001 * 550 / 1040), "safety": 0.1 * 0.8, "vsa": 0.1}
    assert paid("source", bar) == pytest.approx(expected)
    assert paid("indicator", bar) == pytest.approx(
        {"growth": 0.6 * np.log(1.04), "drawdown": -0.4 * 10 * 0.2, "leverage": -0.2 * 0.5 * 550 / 1040}
    )


def test_agreement_is_paid_to_longs_and_conflict_costs_any_position() -> None:
    start = open_account(1000.0)
    long = lived(5.0, start, wallet=1000.0, close=100.0)
    short = lived(-5.0, start, wallet=1000.0, close=100.0)
    assert paid("agreement", long) == pytest.approx({"agreement": 0.3})
    assert paid("agreement", short) == {}
    assert paid("agreement", short._replace(indicator=0.2)) == pytest.approx({"conflict": -0.5})
    assert paid("agreement", lived(0.0, start, wallet=1000.0, close=100.0)) == {}


@pytest.mark.parametrize(("close", "worth"), [(101.0, 0.8), (99.0, -0.8)])
def test_a_side_is_judged_when_its_horizon_is_over_and_only_then(close: float, worth: float) -> None:
    reward = reward_of("pattern", 3)
    memory = memories(1, reward)[0]
    start = open_account(1000.0)
    taken = lived(0.0, start, wallet=1000.0, close=close, target=1.0)
    kept = taken._replace(before=start._replace(target=1.0))
    told = [paid("pattern", bar, memory).get("confirmed", 0.0) for bar in (taken, kept, kept, kept, kept)]
    assert told == pytest.approx([0.0, 0.0, worth, 0.0, 0.0])


def test_the_sharpe_ratio_is_that_of_the_last_ten_trades() -> None:
    memory = memories(1, reward_of("source", 3))[0]
    start = open_account(1000.0)._replace(quantity=5.0)
    returns = [0.5, *np.random.default_rng(0).normal(0.01, 0.02, 10)]
    for won in returns:
        bar = lived(0.0, start, wallet=1000.0, close=100.0)
        found = paid(
            "source", bar._replace(after=bar.after._replace(last_trade=won), has_closed=True), memory
        )
    last = np.array(returns[1:])
    assert found["trade_sharpe"] == pytest.approx(0.2 * last.mean() / last.std(ddof=1))


def test_scaled_terms_have_unit_variance() -> None:
    tensors = [toy.tensor(np.random.default_rng(0).normal(0.0, 0.02, 400))]
    scales = measured(tensors, toy.TERMS, "indicator", 20, seed=0)
    env = BatchedEnv(tensors, toy.TERMS, 64, 399, 0, play=Play(reward_of("indicator", 20, scales)))
    env.reset()
    rng = np.random.default_rng(0)
    seen = np.concatenate([env.step(rng.integers(len(ACTIONS), size=64)).terms.copy() for _ in range(200)])
    spread = {name: float(value) for name, value in zip(TERMS, seen.std(axis=0)) if value}
    assert spread == pytest.approx({"growth": 0.6, "drawdown": 0.4, "leverage": 0.2}, rel=1e-6)


def test_a_reward_for_what_nobody_said_is_refused() -> None:
    with pytest.raises(ConfigError, match="without `hints`: TOY"):
        BatchedEnv([toy.tensor(np.zeros(9))], toy.TERMS, 2, 5, 0, play=Play(reward_of("source", 3)))
    with pytest.raises(ConfigError, match="one of growth"):
        reward_of("profit", 20)
