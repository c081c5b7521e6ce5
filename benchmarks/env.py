"""The environments: account steps a second, batched and scalar, over the same market."""

import numpy as np

from benchmarks.material import config, market_tensors
from benchmarks.timing import median_seconds, side_by_side
from xrl.account.costs import terms_of
from xrl.columns import ACTIONS, EMBEDDING_WIDTH
from xrl.env.market import MarketTensor
from xrl.env.trading_env import TradingEnv
from xrl.env.vec_env import BatchedEnv
from xrl.policy.sb3_env import AccountsVecEnv

_SEED = 0


def measure(
    bars: int = 8760, accounts: int = 1024, steps: int = 300, scalar_steps: int = 10_000, repetitions: int = 5
) -> dict[str, float]:
    """Figures of group `env` over six symbols of `bars` hours."""
    fused = market_tensors(config().market.symbols, bars, 2 * EMBEDDING_WIDTH)
    batched, single = _Batched(fused, accounts, steps), _Scalar(fused, scalar_steps)
    batched()
    single()
    fused_s, scalar_s = side_by_side(batched, single, repetitions)
    compact = market_tensors(config().market.symbols, bars, 2 * config().oof.projection_width)
    compact_s = median_seconds(_Batched(compact, accounts, steps), repetitions)
    return {
        "env.steps_per_s_fused": accounts * steps / fused_s,
        "env.steps_per_s_compact": accounts * steps / compact_s,
        "env.speedup_vs_scalar": (accounts * steps / fused_s) / (scalar_steps / scalar_s),
    }


class _Batched:
    """`steps` steps of all accounts under random actions, through the VecEnv that PPO sees."""

    def __init__(self, tensors: tuple[MarketTensor, ...], accounts: int, steps: int) -> None:
        policy = config().policy
        env = BatchedEnv(tensors, terms_of(config().backtest), accounts, policy.episode_bars, _SEED)
        self._env = AccountsVecEnv(env)
        self._env.reset()
        self._actions = np.random.default_rng(_SEED).integers(len(ACTIONS), size=(steps, accounts))

    def __call__(self) -> None:
        for actions in self._actions:
            self._env.step(actions)


class _Scalar:
    """As many steps of one account, restarted when its episode ends."""

    def __init__(self, tensors: tuple[MarketTensor, ...], steps: int) -> None:
        self._env = TradingEnv(tensors, terms_of(config().backtest), config().policy.episode_bars)
        self._env.reset(seed=_SEED)
        self._actions = np.random.default_rng(_SEED).integers(len(ACTIONS), size=steps)

    def __call__(self) -> None:
        for action in self._actions:
            _, _, terminated, truncated, _ = self._env.step(action)
            if terminated or truncated:
                self._env.reset()
