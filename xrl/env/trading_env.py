"""A perpetual-futures account as a Gymnasium environment.

| part | meaning |
|---|---|
| observation | `env.observation`, float32, clipped to +-100 |
| action | index into `columns.ACTIONS`; decided at close t, filled at open t+1 |
| reward | change of log equity over bar t+1, times `reward_scale` |
| terminated | equity below 1 % of the start: ruined |
| truncated | `episode_bars` passed or the market's data ended |
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from xrl.account.costs import Terms
from xrl.account.orders import market_order, target_after
from xrl.account.step import Account, Bar, open_account, step
from xrl.columns import ACTIONS
from xrl.env.market import MarketTensor
from xrl.env.observation import account_features, observation, observation_width
from xrl.env.reward import RUIN_SHARE, log_growth

OBSERVATION_BOUND = 100.0


class TradingEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """One isolated account on one symbol at a time.

    `reset(options={"symbol": index, "start": bar})` begins at a given close; otherwise both are drawn.
    """

    def __init__(
        self,
        tensors: Sequence[MarketTensor],
        terms: Terms,
        episode_bars: int,
        reward_scale: float = 1.0,
    ) -> None:
        self._tensors = tuple(tensors)
        self._terms = terms
        self._episode_bars = episode_bars
        self._reward_scale = reward_scale
        width = observation_width(self._tensors[0].block.shape[1])
        self.observation_space = gymnasium.spaces.Box(
            -OBSERVATION_BOUND, OBSERVATION_BOUND, (width,), np.float32
        )
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))
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
        latest = max(len(self._market) - 1 - self._episode_bars, 0)
        self._t = int(chosen.get("start", self.np_random.integers(latest + 1)))
        self._last = min(self._t + self._episode_bars, len(self._market) - 1)
        self.account = open_account(self._terms.capital)
        return self._observe(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Trade the next bar."""
        equity_t = self.account.equity
        self._t += 1
        target = target_after(int(action), self.account.target, self._terms.max_leverage)
        market, t = self._market, self._t
        open_, high, low, close = market.prices[t]
        known = market.funding[t], market.unrest[t - 1], market.volume[t - 1]
        bar = Bar(open_, high, low, close, *known)
        after = step(self.account, market_order(target), bar, market.contract, self._terms)
        self.account = after.account
        reward = log_growth(equity_t, self.account.equity) * self._reward_scale
        terminated = self.account.equity < RUIN_SHARE * self._terms.capital
        truncated = self._t >= self._last and not terminated
        return self._observe(), reward, terminated, truncated, after.flows._asdict()

    def _observe(self) -> NDArray[np.float32]:
        market, t = self._market, self._t
        account = account_features(
            self.account,
            market.prices[t, 3],
            market.volatility[t],
            market.funding_last[t],
            self._terms.max_leverage,
        )
        return observation(market.block[t], market.market[t], account, market.regime[t])
