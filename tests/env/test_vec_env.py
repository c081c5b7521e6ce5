"""The batched environment is the single one, many times."""

from dataclasses import replace

import numpy as np
import pytest

from tests.env import toy
from xrl.columns import ACTIONS
from xrl.env.market import MarketTensor
from xrl.env.play import Play
from xrl.env.reward import KINDS, TERMS, reward_of
from xrl.env.trading_env import TradingEnv
from xrl.env.vec_env import BatchedEnv


def wild(bars: int, seed: int) -> MarketTensor:
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("continuous", [False, True])
def test_bit_equal_under_every_reward_and_kind_of_action(kind: str, continuous: bool) -> None:
    rng = np.random.default_rng(2)
    tensors = [
        replace(t, hints=np.column_stack([rng.random((len(t), 2)), rng.choice([-1.0, 0.0, 1.0], len(t))]))
        for t in (wild(120, 0), wild(90, 1))
    ]
    play = Play(reward_of(kind, 5), continuous, smallest_change=0.1)
    batch = BatchedEnv(tensors, toy.TERMS, 12, 40, seed=0, reward_scale=3.0, play=play)
    batch.reset()
    singles = [TradingEnv(tensors, toy.TERMS, 10_000, 3.0, play) for _ in range(12)]
    for i, env in enumerate(singles):
        symbol, start = divmod_symbol(batch, i)
        env.reset(options={"symbol": symbol, "start": start})
    paid = set()
    for _ in range(80):
        actions = rng.uniform(-2.5, 2.5, 12) if continuous else rng.integers(len(ACTIONS), size=12)
        found = batch.step_targets(actions) if continuous else batch.step(actions)
        for i, env in enumerate(singles):
            expected, reward, _, _, info = env.step(actions[i])
            assert found.rewards[i] == np.float32(reward)
            assert found.terms[i].tolist() == list(info["reward_terms"].values())
            assert reward == pytest.approx(3.0 * sum(info["reward_terms"].values()))
            ended = found.terminated[i] or found.truncated[i]
            assert np.array_equal(found.terminal[i] if ended else found.observations[i], expected)
            paid |= {name for name, value in info["reward_terms"].items() if value}
            if ended:
                symbol, start = divmod_symbol(batch, i)
                env.reset(options={"symbol": symbol, "start": start})
    assert paid == {name for name, weight in zip(TERMS, play.reward.weights) if weight}


def test_a_compact_observation_has_sixteen_columns_in_both() -> None:
    tensors = [toy.compact(60, 0), toy.compact(50, 1)]
    batch = BatchedEnv(tensors, toy.TERMS, accounts=6, episode_bars=30, seed=0)
    seen = batch.reset()
    env = TradingEnv(tensors, toy.TERMS, 30)
    assert seen.shape == (6, 16) and env.observation_space.shape == (16,)
    symbol, start = divmod_symbol(batch, 0)
    assert np.array_equal(env.reset(options={"symbol": symbol, "start": start})[0], seen[0])
    long = ACTIONS.index("buy_2x")
    expected = env.step(long)[0]
    found = batch.step(np.full(6, long)).observations[0]
    assert np.array_equal(found, expected)
    assert found[11] == pytest.approx(1.0, abs=0.05)  # position size: 2x of at most 2x
    assert np.array_equal(found[:11], tensors[symbol].market[start + 1])
    assert np.array_equal(found[14:], tensors[symbol].regime[start + 1])


def test_episodes_are_as_long_as_was_asked_for() -> None:
    play = Play(reward_of("growth", 20), shortest_bars=10)
    batch = BatchedEnv([toy.foreseen(5000, 0)], toy.TERMS, 64, 40, seed=0, play=play)
    lengths = []
    batch.reset()
    for _ in range(200):
        ended = batch.step(np.zeros(64, dtype=np.int64)).truncated
        lengths += (batch.last - batch.cursor)[ended].tolist()
    assert (min(lengths), max(lengths)) == (10, 40)


def test_masks_forbid_what_would_change_nothing() -> None:
    batch = BatchedEnv([toy.foreseen(100, 0)], toy.TERMS, accounts=1, episode_bars=50, seed=0)
    env = TradingEnv([toy.foreseen(100, 0)], toy.TERMS, 50)
    batch.reset()
    env.reset(options={"start": 0})
    flat = {ACTIONS[a] for a in np.flatnonzero(env.action_masks())}
    assert flat == set(ACTIONS) - {"close", "increase", "reduce"}
    assert np.array_equal(batch.valid_actions()[0], env.action_masks())
    full = ACTIONS.index("buy_2x")
    batch.step(np.array([full]))
    env.step(full)
    assert not env.action_masks()[[full, ACTIONS.index("increase")]].any()
    assert env.action_masks()[ACTIONS.index("reduce")]
    assert np.array_equal(batch.valid_actions()[0], env.action_masks())
