"""The adapter tells stable-baselines3 what it needs and no more."""

import numpy as np

from tests.env import toy
from xrl.columns import ACTIONS
from xrl.env.vec_env import BatchedEnv
from xrl.policy.sb3_env import AccountsVecEnv


def adapter(accounts: int = 16, episode_bars: int = 20) -> AccountsVecEnv:
    return AccountsVecEnv(BatchedEnv([toy.foreseen(300, 0)], toy.TERMS, accounts, episode_bars, seed=0))


def test_spaces_are_the_observation_and_the_ten_actions() -> None:
    env = adapter()
    assert env.observation_space.shape == (6 + 25,)
    assert env.action_space.n == len(ACTIONS)
    assert env.reset().shape == (16, 31)


def test_an_ended_episode_hands_over_its_last_observation_and_why_it_ended() -> None:
    env = adapter()
    env.reset()
    ended = 0
    for _ in range(40):
        observations, rewards, dones, infos = env.step(np.full(16, ACTIONS.index("buy_1x")))
        assert rewards.dtype == np.float32
        for done, info, observation in zip(dones, infos, observations):
            if done:
                ended += 1
                assert info["TimeLimit.truncated"] is True
                assert not np.array_equal(info["terminal_observation"], observation)
                assert info["terminal_observation"][6 + 10 + 1] == 1.0  # still long when it ended
                assert observation[6 + 10 + 1] == 0.0  # the new episode starts flat
            else:
                assert info == {}
    assert ended >= 16


def test_accounts_that_go_on_share_one_empty_info() -> None:
    env = adapter(episode_bars=250)
    env.reset()
    _, _, dones, infos = env.step(np.zeros(16, dtype=np.int64))
    assert len({id(info) for info, done in zip(infos, dones) if not done}) == 1
