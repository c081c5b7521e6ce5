"""The batched environment is the single one, many times."""

import numpy as np

from tests.env import toy
from xrl.columns import ACTIONS
from xrl.env.trading_env import TradingEnv
from xrl.env.vec_env import BatchedEnv


def wild(bars: int, seed: int) -> object:
    """Moves large enough to liquidate."""
    rng = np.random.default_rng(seed)
    return toy.tensor(rng.normal(0.0, 0.15, bars), funding=rng.normal(0.0, 1e-3, bars), symbol=f"W{seed}")


def test_bit_equal_to_the_single_environment_under_the_same_actions() -> None:
    tensors = [wild(200, 0), wild(150, 1)]
    batch = BatchedEnv(tensors, toy.TERMS, accounts=40, episode_bars=60, seed=0, reward_scale=3.0)
    seen = batch.reset().copy()
    singles = [TradingEnv(tensors, toy.TERMS, 10_000, 3.0) for _ in range(40)]
    places = [divmod_symbol(batch, i) for i in range(40)]
    first = [env.reset(options={"symbol": s, "start": t})[0] for env, (s, t) in zip(singles, places)]
    assert np.array_equal(seen, np.stack(first))
    rng = np.random.default_rng(1)
    restarts = ruined = 0
    for _ in range(120):
        actions = rng.integers(len(ACTIONS), size=40)
        found = batch.step(actions)
        for i, env in enumerate(singles):
            expected, reward, terminated, _, _ = env.step(np.int64(actions[i]))
            assert found.rewards[i] == np.float32(reward)
            assert found.terminated[i] == terminated
            ended = found.terminated[i] or found.truncated[i]
            ruined += terminated
            assert np.array_equal(found.terminal[i] if ended else found.observations[i], expected)
            if ended:
                restarts += 1
                s, t = divmod_symbol(batch, i)
                fresh, _ = env.reset(options={"symbol": s, "start": t})
                assert np.array_equal(found.observations[i], fresh)
    assert restarts > 40
    assert ruined > 5


def divmod_symbol(batch: BatchedEnv, i: int) -> tuple[int, int]:
    """Symbol and bar that account i stands at."""
    symbol = int(np.searchsorted(batch.panel.ends, batch.cursor[i], side="right"))
    return symbol, int(batch.cursor[i] - batch.panel.starts[symbol])


def test_an_observation_stays_intact_during_the_next_step() -> None:
    batch = BatchedEnv([toy.foreseen(300, 0)], toy.TERMS, accounts=8, episode_bars=100, seed=0)
    first = batch.reset()
    kept = first.copy()
    second = batch.step(np.ones(8, dtype=np.int64)).observations
    assert np.array_equal(first, kept)
    assert not np.shares_memory(first, second)


def test_first_episodes_end_at_different_times() -> None:
    batch = BatchedEnv([toy.foreseen(5000, 0)], toy.TERMS, accounts=64, episode_bars=100, seed=0)
    batch.reset()
    lengths = batch.last - batch.cursor
    assert lengths.min() >= 1
    assert lengths.max() <= 100
    assert len(np.unique(lengths)) > 30


def test_every_symbol_is_visited() -> None:
    batch = BatchedEnv(
        [toy.foreseen(500, k) for k in range(4)], toy.TERMS, accounts=64, episode_bars=50, seed=0
    )
    batch.reset()
    assert {divmod_symbol(batch, i)[0] for i in range(64)} == {0, 1, 2, 3}


def test_a_market_shorter_than_the_episode_is_played_to_its_end() -> None:
    batch = BatchedEnv([toy.foreseen(10, 0)], toy.TERMS, accounts=4, episode_bars=100, seed=0)
    batch.reset()
    for _ in range(30):
        batch.step(np.zeros(4, dtype=np.int64))
        assert (batch.cursor < 9).all() or (batch.last == 9).all()


def test_the_same_seed_gives_the_same_run() -> None:
    runs = []
    for _ in range(2):
        batch = BatchedEnv([toy.foreseen(300, 0)], toy.TERMS, accounts=8, episode_bars=40, seed=3)
        batch.reset()
        rewards = [batch.step(np.full(8, 2, dtype=np.int64)).rewards for _ in range(80)]
        runs.append(np.array(rewards))
    assert np.array_equal(runs[0], runs[1])
