"""A replay is the account step, bar after bar."""

import numpy as np
import pytest

from tests.env import toy
from xrl.account.orders import market_order
from xrl.account.step import Bar, open_account, step
from xrl.backtest.replay import replay_policy, replay_targets
from xrl.columns import ACTIONS
from xrl.env.market import stack

LONG, SHORT, CLOSE = (ACTIONS.index(name) for name in ("buy_1x", "sell_1x", "close"))


def always(action: int):  # type: ignore[no-untyped-def]
    return lambda seen, rows: np.full(len(seen), action)


def test_targets_go_through_the_account_step() -> None:
    rng = np.random.default_rng(0)
    tensor = toy.tensor(rng.normal(0.0, 0.02, 60), funding=rng.normal(0.0, 1e-4, 60))
    targets = rng.choice([-1.0, 0.0, 0.5, 2.0], 60)
    replay = replay_targets(targets, stack([tensor]), toy.TERMS)
    account = open_account(1.0)
    for t in range(1, 60):
        before = account.equity
        known = tensor.funding[t], tensor.unrest[t - 1], tensor.volume[t - 1]
        bar = Bar(*tensor.prices[t], *known)
        after = step(account, market_order(targets[t - 1]), bar, toy.CONTRACT, toy.TERMS)
        account = after.account
        assert replay.net_return[t] == pytest.approx(account.equity / before - 1.0, abs=1e-15)
        assert replay.costs[t] == pytest.approx(after.flows.costs / before, abs=1e-15)
        assert replay.funding[t] == pytest.approx(after.flows.funding / before, abs=1e-15)
        assert replay.exposure[t] == pytest.approx(account.quantity * tensor.prices[t, 3] / account.equity)
        assert replay.target[t] == targets[t - 1]
    assert replay.net_return[0] == 0.0


def test_a_policy_and_its_targets_replay_alike() -> None:
    rng = np.random.default_rng(1)
    panel = stack([toy.tensor(rng.normal(0.0, 0.02, bars), symbol=str(bars)) for bars in (40, 25)])
    chosen = rng.choice([LONG, SHORT, CLOSE], 65)
    replay = replay_policy(lambda seen, rows: chosen[rows], panel, toy.TERMS)
    targets = np.select([chosen == LONG, chosen == SHORT], [1.0, -1.0], 0.0)
    plain = replay_targets(targets, panel, toy.TERMS)
    assert np.array_equal(replay.net_return, plain.net_return)
    assert np.array_equal(replay.exposure, plain.exposure)
    assert np.array_equal(replay.action, chosen)


def test_the_policy_sees_its_own_account() -> None:
    panel = stack([toy.tensor(np.zeros(5))])
    seen_long = []

    def decide(seen: np.ndarray, rows: np.ndarray) -> np.ndarray:
        seen_long.append(seen[0, 6 + 10 + 1])
        return np.array([LONG])

    replay_policy(decide, panel, toy.TERMS)
    assert seen_long == [0.0, 1.0, 1.0, 1.0, 1.0]


def test_a_late_order_fills_one_bar_later() -> None:
    panel = stack([toy.tensor(np.array([0.0, 0.1, 0.05, 0.0]))])
    free = toy.TERMS._replace(taker=0.0, slippage=0.0)
    on_time = replay_policy(always(LONG), panel, free).net_return
    late = replay_policy(always(LONG), panel, free, delay_bars=1).net_return
    assert on_time == pytest.approx(np.expm1([0.0, 0.1, 0.05, 0.0]))
    assert late == pytest.approx(np.expm1([0.0, 0.0, 0.05, 0.0]))


def test_later_bars_change_nothing_before_them() -> None:
    tensor = toy.foreseen(50, 0)
    whole = replay_policy(always(LONG), stack([tensor]), toy.TERMS)
    cut = replay_policy(always(LONG), stack([tensor.rows(slice(0, 30))]), toy.TERMS)
    assert np.array_equal(whole.net_return[:30], cut.net_return)
    assert np.array_equal(whole.exposure[:30], cut.exposure)


def test_a_ruined_account_starts_anew_and_says_so() -> None:
    panel = stack([toy.tensor(np.array([0.0, 0.0, -1.0, 0.0, 0.1]))])
    targets = np.array([2.0, 2.0, 0.0, 1.0, 1.0])
    replay = replay_targets(targets, panel, toy.TERMS)
    assert replay.net_return[2] == pytest.approx(-1.0)
    assert replay.liquidated.tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert replay.exposure[2] == 0.0
    assert replay.net_return[4] > 0.09
