"""Small markets whose best play is known."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xrl.account.contract import Contract
from xrl.account.costs import Terms
from xrl.account.tiers import tiers_of
from xrl.env.layout import COMPACT
from xrl.env.market import MarketTensor

TERMS = Terms(
    taker=0.0005,
    maker=0.0002,
    slippage=0.0002,
    slippage_volatility=0.0,
    slippage_size=0.0,
    liquidation_fee=0.005,
    max_leverage=2.0,
    capital=1.0,
)
CONTRACT = Contract(step_size=0.0, min_notional=0.0, tiers=tiers_of([(0, 0.005)]))


def tensor(
    returns: NDArray[np.float64],
    hint: NDArray[np.float64] | None = None,
    symbol: str = "TOY",
    funding: NDArray[np.float64] | None = None,
    volatility: float = 0.05,
) -> MarketTensor:
    """Bars that open at the close before and move by `returns` (log); the hint stands in block column 0."""
    bars = len(returns)
    close = 100.0 * np.exp(np.cumsum(returns))
    open_ = np.concatenate([[100.0], close[:-1]])
    rng = np.random.default_rng(bars)
    block = rng.standard_normal((bars, 6)).astype(np.float32)
    if hint is not None:
        block[:, 0] = hint
    rate = np.zeros(bars) if funding is None else funding
    return MarketTensor(
        symbol=symbol,
        timestamp=np.datetime64("2026-01-01", "ms") + np.arange(bars) * np.timedelta64(1, "h"),
        prices=np.stack([open_, np.maximum(open_, close), np.minimum(open_, close), close], axis=1),
        funding=rate,
        funding_last=rate,
        volatility=np.full(bars, volatility),
        unrest=np.full(bars, volatility / np.sqrt(20)),
        volume=np.full(bars, 1e6),
        contract=CONTRACT,
        block=block,
        market=rng.standard_normal((bars, 10)).astype(np.float32),
        regime=rng.standard_normal((bars, 5)).astype(np.float32),
    )


def foreseen(bars: int, seed: int, size: float = 0.01, shuffled: bool = False) -> MarketTensor:
    """Returns of +-`size`; the block shows the next bar's sign, which `shuffled` makes a lie."""
    rng = np.random.default_rng(seed)
    returns = size * np.where(rng.random(bars) < 0.5, -1.0, 1.0)
    hint = np.sign(np.append(returns[1:], returns[:1]))
    if shuffled:
        hint = rng.permutation(hint)
    return tensor(returns, hint, symbol=f"TOY{seed}", volatility=size)


def compact(bars: int, seed: int) -> MarketTensor:
    """Random moves under the compact layout."""
    rng = np.random.default_rng(seed)
    own = tensor(rng.normal(0.0, 0.01, bars), symbol=f"C{seed}")
    market, regime = rng.standard_normal((bars, 11)), rng.standard_normal((bars, 2))
    return replace(
        own,
        block=own.block[:, :0],
        market=market.astype(np.float32),
        regime=regime.astype(np.float32),
        layout=COMPACT,
    )
