"""Many accounts at once: the environment the policy trains in.

Same step, observation and reward as `trading_env.TradingEnv`, compiled over all accounts. It knows nothing of
stable-baselines3; `policy.sb3_env` adapts it. Accounts start at random bars of random symbols and their first
episodes end at random times, so that a rollout mixes market times.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import njit
from xrl.account.costs import Terms
from xrl.account.orders import Order, continuous_target, is_valid, target_after
from xrl.account.step import Account, Flows
from xrl.columns import ACTIONS
from xrl.env import kernel
from xrl.env.market import MarketTensor, Panel, stack
from xrl.env.play import PLAY, Play, check
from xrl.env.reward import RUIN_SHARE, TERMS, Lived, Reward, has_closed, log_growth, memories, pay

_EQUITY = Account._fields.index("equity")
_TARGET = Account._fields.index("target")


class Batch(NamedTuple):
    """One step of every account. `terminal` holds the last observation of each ended episode's account."""

    observations: NDArray[np.float32]  # (accounts, width)
    rewards: NDArray[np.float32]  # (accounts,)
    terminated: NDArray[np.bool_]  # (accounts,) ruined
    truncated: NDArray[np.bool_]  # (accounts,) out of episode or of market
    terminal: dict[int, NDArray[np.float32]]
    terms: NDArray[np.float64]  # (accounts, TERMS) of each reward; overwritten by the next step


class BatchedEnv:
    """`accounts` isolated accounts trading `tensors`; ended episodes restart by themselves.

    Observations alternate between two buffers: the one returned by a step stays intact during the next step
    and is overwritten by the one after it.
    """

    def __init__(
        self,
        tensors: Sequence[MarketTensor],
        terms: Terms,
        accounts: int,
        episode_bars: int,
        seed: int,
        reward_scale: float = 1.0,
        play: Play = PLAY,
    ) -> None:
        check(play, tensors)
        self.panel = stack(tensors)
        self.terms = terms
        self.accounts = accounts
        self.episode_bars = episode_bars
        self.reward_scale = reward_scale
        self.play = play
        self.width = self.panel.seen.shape[1]
        self.cursor = np.zeros(accounts, dtype=np.int64)
        self.last = np.zeros(accounts, dtype=np.int64)
        self.states = kernel.open_accounts(accounts, terms.capital)
        self._memory = memories(accounts, play.reward)
        self._terms = np.zeros((accounts, len(TERMS)))
        self._before = np.zeros_like(self.states)
        self._fresh = kernel.open_accounts(1, terms.capital)
        lengths = self.panel.ends - self.panel.starts
        self._shares = np.cumsum(lengths / lengths.sum())
        self._shares /= self._shares[-1]
        self._rng = np.random.default_rng(seed)
        self._flows = np.zeros((accounts, kernel.FLOWS))
        self._orders = np.zeros((accounts, len(Order._fields)))
        self._buffers = [np.zeros((accounts, self.width), dtype=np.float32) for _ in range(2)]
        self._turn = 0

    def reset(self) -> NDArray[np.float32]:
        """Start every account afresh. (accounts, width)"""
        everyone = np.arange(self.accounts)
        self._restart(everyone)
        left = self.last - self.cursor
        self.last = (
            self.cursor + 1 + (self._rng.random(self.accounts) * left).astype(np.int64).clip(max=left - 1)
        )
        return self._observe()

    def step(self, actions: NDArray[np.int64]) -> Batch:
        """Carry every account over its next bar with the order that its action asks for."""
        _asked(self._orders, actions, self.states, self.terms.max_leverage)
        return self._live()

    def step_targets(self, targets: NDArray[np.float64]) -> Batch:
        """Carry every account over its next bar with these target exposures. (accounts,)"""
        _aimed(self._orders, targets, self.states, self.terms.max_leverage, self.play.smallest_change)
        return self._live()

    def valid_actions(self) -> NDArray[np.bool_]:
        """Which actions would change anything, for agents that are kept from the others.

        (accounts, actions)
        """
        found = np.empty((self.accounts, len(ACTIONS)), dtype=np.bool_)
        _valid(found, self.states, self.terms.max_leverage)
        return found

    def _live(self) -> Batch:
        if self.play.reward.is_growth:
            self._before[:, _EQUITY] = self.states[:, _EQUITY]
        else:
            self._before[:] = self.states
        kernel.advance(self.states, self.cursor, self._orders, self.panel, self.terms, self._flows)
        after = self.states[:, _EQUITY]
        rewards = np.empty(self.accounts, dtype=np.float32)
        moved = _Moved(self._before, self.states, self._orders, self._flows, self.cursor)
        _paid(rewards, self._terms, self._memory, moved, self.panel, self.play.reward, self.reward_scale)
        terminated = after < RUIN_SHARE * self.terms.capital
        truncated = (self.cursor >= self.last) & ~terminated
        observations = self._observe()
        ended = np.flatnonzero(terminated | truncated)
        terminal = {int(i): observations[i].copy() for i in ended}
        if len(ended):
            self._restart(ended)
            fresh = np.empty((len(ended), self.width), dtype=np.float32)
            kernel.observe(fresh, self.states[ended], self.cursor[ended], self.panel, self.terms)
            observations[ended] = fresh
        return Batch(observations, rewards, terminated, truncated, terminal, self._terms)

    def _observe(self) -> NDArray[np.float32]:
        self._turn = 1 - self._turn
        out = self._buffers[self._turn]
        kernel.observe(out, self.states, self.cursor, self.panel, self.terms)
        return out

    def _restart(self, who: NDArray[np.int64]) -> None:
        """A random symbol, each with weight by its bars, and a random first bar."""
        # `Generator.choice` with these weights, without its checks
        symbol = np.searchsorted(self._shares, self._rng.random(len(who)), side="right")
        first, end = self.panel.starts[symbol], self.panel.ends[symbol]
        bars: NDArray[np.int64] | int = self.episode_bars
        if self.play.shortest_bars is not None:
            bars = self._rng.integers(self.play.shortest_bars, self.episode_bars + 1, size=len(who))
        latest = np.maximum(end - 1 - bars, first)
        start = first + (self._rng.random(len(who)) * (latest - first + 1)).astype(np.int64)
        self.cursor[who] = start
        self.last[who] = np.minimum(start + bars, end - 1)
        self.states[who] = self._fresh
        self._memory[who] = 0.0


class _Moved(NamedTuple):
    """All accounts before and after a bar."""

    before: NDArray[np.float64]  # (accounts, fields of Account)
    after: NDArray[np.float64]
    orders: NDArray[np.float64]
    flows: NDArray[np.float64]
    cursor: NDArray[np.int64]  # the bar's row


@njit
def _paid(
    out: NDArray[np.float32],
    terms: NDArray[np.float64],
    memory: NDArray[np.float64],
    moved: _Moved,
    panel: Panel,
    reward: Reward,
    scale: float,
) -> None:
    """Rewards of a bar, their terms, and what is remembered for later ones."""
    if reward.is_growth:  # reads nothing but equity: every other row of the market is far away in memory
        for i in range(len(out)):
            growth = log_growth(moved.before[i, _EQUITY], moved.after[i, _EQUITY])
            terms[i, 0] = growth * reward.weights[0]
            out[i] = terms[i, 0] * scale
        return
    for i in range(len(out)):
        t, f = moved.cursor[i], moved.flows[i]
        before, after = kernel.load(moved.before, i), kernel.load(moved.after, i)
        flows = Flows(f[0], f[1], f[2], f[3], f[4], f[5], f[6])
        lived = Lived(
            before,
            after,
            moved.orders[i, 0],
            has_closed(before, after, flows),
            panel.prices[t, 3],
            panel.prices[max(t - reward.confirm_bars, 0), 3],
            panel.hints[t - 1, 0],
            panel.hints[t - 1, 1],
            panel.hints[t - 1, 2],
        )
        out[i] = pay(terms[i], memory[i], lived, reward) * scale


@njit
def _aimed(
    orders: NDArray[np.float64],
    targets: NDArray[np.float64],
    states: NDArray[np.float64],
    max_leverage: float,
    smallest_change: float,
) -> None:
    """Write target exposures that were asked for."""
    for i in range(len(targets)):
        orders[i, 0] = continuous_target(targets[i], states[i, _TARGET], max_leverage, smallest_change)


@njit
def _asked(
    orders: NDArray[np.float64],
    actions: NDArray[np.int64],
    states: NDArray[np.float64],
    max_leverage: float,
) -> None:
    """Write the targets that actions ask for; nothing else of an order is used."""
    for i in range(len(actions)):
        orders[i, 0] = target_after(actions[i], states[i, _TARGET], max_leverage)


@njit
def _valid(out: NDArray[np.bool_], states: NDArray[np.float64], max_leverage: float) -> None:
    for i in range(out.shape[0]):
        for action in range(out.shape[1]):
            out[i, action] = is_valid(action, states[i, _TARGET], max_leverage)
