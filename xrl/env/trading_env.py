"""A perpetual-futures account as a Gymnasium environment.

| part | meaning |
|---|---|
| observation | `env.observation` in the tensors' layout, float32 |
| action | index into `columns.ACTIONS`, or a target exposure; decided at close t, filled at open t+1 |
| reward | `env.reward` over bar t+1, times `reward_scale`; its terms are `info["reward_terms"]` |
| start | a random bar of a random symbol, unless `reset(options={"symbol": index, "start": bar})` says |
| terminated | equity below 1 % of the start: ruined |
| truncated | `episode_bars` passed (drawn from `shortest_bars` on), or the market's data ended |
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from xrl.account.costs import Terms
from xrl.account.orders import continuous_target, is_valid, market_order, target_after
from xrl.account.step import Account, Bar, open_account, step
from xrl.columns import ACCOUNT_STATE, ACTIONS
from xrl.env.market import MarketTensor
from xrl.env.observation import account_features
from xrl.env.play import PLAY, Play, action_space, check
from xrl.env.reward import RUIN_SHARE, TERMS, Lived, has_closed, memories, pay_one

OBSERVATION_BOUND = 100.0


class TradingEnv(gymnasium.Env[NDArray[np.float32], Any]):
    """One isolated account on one symbol at a time."""

    def __init__(
        self,
        tensors: Sequence[MarketTensor],
        terms: Terms,
        episode_bars: int,
        reward_scale: float = 1.0,
        play: Play = PLAY,
    ) -> None:
        """
        Args:
            tensors: one per symbol, of one layout.
            terms: costs, capital, largest leverage.
            episode_bars: longest episode.
            reward_scale: factor of the reward, not of its terms.
            play: kind of actions and reward, shortest episode.
        """
        self._tensors = tuple(tensors)
        self._terms = terms
        self._episode_bars = episode_bars
        self._reward_scale = reward_scale
        check(play, self._tensors)
        self._play = play
        first = self._tensors[0]
        self._seen = [ACCOUNT_STATE.index(name) for name in first.layout.account]
        width = first.block.shape[1] + first.market.shape[1] + len(self._seen) + first.regime.shape[1]
        self.observation_space = gymnasium.spaces.Box(
            -OBSERVATION_BOUND, OBSERVATION_BOUND, (width,), np.float32
        )
        self.action_space = action_space(play, terms)
        self._memory = memories(1, play.reward)[0]
        self._market = self._tensors[0]
        self._t = 0
        self._last = 0
        self.account: Account = open_account(terms.capital)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin flat, with `terms.capital`."""
        super().reset(seed=seed)
        chosen = options or {}
        symbol = int(chosen.get("symbol", self.np_random.integers(len(self._tensors))))
        self._market = self._tensors[symbol]
        bars = self._episode_bars
        if self._play.shortest_bars is not None:
            bars = int(self.np_random.integers(self._play.shortest_bars, bars + 1))
        latest = max(len(self._market) - 1 - bars, 0)
        self._t = int(chosen.get("start", self.np_random.integers(latest + 1)))
        self._last = min(self._t + bars, len(self._market) - 1)
        self.account = open_account(self._terms.capital)
        self._memory[:] = 0.0
        return self._observe(), {}

    def action_masks(self) -> NDArray[np.bool_]:
        """Which discrete actions would change anything. (actions,)"""
        standing, bound = self.account.target, self._terms.max_leverage
        return np.array([is_valid.py_func(a, standing, bound) for a in range(len(ACTIONS))])

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Trade the next bar."""
        before = self.account
        self._t += 1
        standing, bound = before.target, self._terms.max_leverage
        if self._play.is_continuous:
            wanted = float(np.asarray(action, dtype=np.float64).reshape(()))
            target = continuous_target(wanted, standing, bound, self._play.smallest_change)
        else:
            target = target_after(int(action), standing, bound)
        market, t = self._market, self._t
        open_, high, low, close = market.prices[t]
        known = market.funding[t], market.unrest[t - 1], market.volume[t - 1]
        bar = Bar(open_, high, low, close, *known)
        after = step(self.account, market_order(target), bar, market.contract, self._terms)
        self.account = after.account
        told, bars = self._told(t - 1), self._play.reward.confirm_bars
        ended = has_closed.py_func(before, after.account, after.flows)
        lived = Lived(before, after.account, target, ended, close, market.prices[max(t - bars, 0), 3], *told)
        paid = np.zeros(len(TERMS))
        reward = pay_one(paid, self._memory, lived, self._play.reward) * self._reward_scale
        terminated = self.account.equity < RUIN_SHARE * self._terms.capital
        truncated = self._t >= self._last and not terminated
        info = {**after.flows._asdict(), "reward_terms": dict(zip(TERMS, paid.tolist()))}
        return self._observe(), reward, terminated, truncated, info

    def _told(self, t: int) -> tuple[float, float, float]:
        """Experts' percentiles and VSA signal at close t."""
        if not len(self._market.hints):
            return 0.5, 0.5, 0.0
        pattern, indicator, vsa = self._market.hints[t]
        return float(pattern), float(indicator), float(vsa)

    def _observe(self) -> NDArray[np.float32]:
        market, t = self._market, self._t
        account = account_features(
            self.account,
            market.prices[t, 3],
            market.volatility[t],
            market.funding_last[t],
            self._terms.max_leverage,
        )
        parts = market.block[t], market.market[t], account[self._seen].astype(np.float32), market.regime[t]
        return np.concatenate(parts)
