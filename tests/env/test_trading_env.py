"""The Gymnasium environment's contract."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env

from tests.env import toy
from xrl.columns import ACTIONS
from xrl.env.play import Play
from xrl.env.reward import reward_of
from xrl.env.trading_env import TradingEnv

BUY, HOLD = ACTIONS.index("buy_1x"), ACTIONS.index("hold")


def test_stable_baselines_accepts_it() -> None:
    check_env(TradingEnv([toy.foreseen(50, 0), toy.foreseen(60, 1)], toy.TERMS, episode_bars=20))


def test_a_bought_bar_earns_its_return_less_one_side_of_costs() -> None:
    env = TradingEnv([toy.tensor(np.array([0.0, 0.02, 0.0]))], toy.TERMS, episode_bars=10, reward_scale=10.0)
    env.reset(options={"symbol": 0, "start": 0})
    _, reward, terminated, truncated, flows = env.step(np.int64(BUY))
    move = np.exp(0.02) - 1.0
    costs = 0.0002 + 1.0002 * 0.0005
    assert reward == pytest.approx(10.0 * np.log(1.0 + move - costs))
    assert flows["costs"] == pytest.approx(costs)
    assert not terminated
    assert not truncated


def test_the_end_of_an_episode_or_of_the_market_truncates() -> None:
    env = TradingEnv([toy.tensor(np.zeros(6))], toy.TERMS, episode_bars=2)
    env.reset(options={"start": 0})
    assert env.step(np.int64(HOLD))[2:4] == (False, False)
    assert env.step(np.int64(HOLD))[2:4] == (False, True)
    env.reset(options={"start": 4})
    assert env.step(np.int64(HOLD))[2:4] == (False, True)


def test_ruin_terminates() -> None:
    env = TradingEnv([toy.tensor(np.array([0.0, 0.0, -1.0, 0.0, 0.0]))], toy.TERMS, episode_bars=4)
    env.reset(options={"start": 0})
    env.step(np.int64(ACTIONS.index("buy_2x")))
    _, reward, terminated, truncated, flows = env.step(np.int64(HOLD))
    assert (terminated, truncated) == (True, False)
    assert flows["liquidated"] == 1.0
    assert reward == pytest.approx(np.log(0.01))


def test_the_same_seed_starts_at_the_same_bar() -> None:
    env = TradingEnv([toy.foreseen(500, 0), toy.foreseen(500, 1)], toy.TERMS, episode_bars=20)
    first, _ = env.reset(seed=5)
    second, _ = env.reset(seed=5)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.filterwarnings("ignore:.*For Box action spaces, we recommend.*")  # exposure reaches from -2 to 2
def test_gymnasium_accepts_it(compact: bool, continuous: bool) -> None:
    tensors = [toy.compact(50, 0)] if compact else [toy.foreseen(50, 0), toy.foreseen(60, 1)]
    play = Play(reward_of("pattern", 5), continuous, shortest_bars=4)
    gymnasium_check(TradingEnv(tensors, toy.TERMS, 20, play=play), skip_render_check=True)


def test_a_continuous_action_too_small_to_pay_for_keeps_what_stands() -> None:
    play = Play(reward_of("growth", 20), is_continuous=True, smallest_change=0.2)
    env = TradingEnv([toy.tensor(np.zeros(9))], toy.TERMS, 8, play=play)
    env.reset(options={"start": 0})
    targets = []
    for wanted in (1.0, 1.1, -9.0, 0.1):
        env.step(np.array([wanted], np.float32))
        targets.append(env.account.target)
    assert targets == [1.0, 1.0, -2.0, 0.0]
