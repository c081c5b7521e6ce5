"""What the groups measure on: parameters as shipped, bars of the planted world, market tensors of them."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from xrl import columns
from xrl.account.contract import contract_of
from xrl.config import Config, load_config
from xrl.env.market import MarketTensor
from xrl.market.candles import horizon_volatility
from xrl.sandbox import worlds

ROOT = Path(__file__).resolve().parents[1]
SEED = 0


@lru_cache(maxsize=1)
def config() -> Config:
    """params.yaml of this checkout."""
    return load_config(ROOT / "params.yaml")


def planted_bars(symbol: str, bars: int) -> pd.DataFrame:
    """The first `bars` hours of a symbol of the planted world, columns.BAR."""
    start = worlds.WORLD_START
    return worlds.bars("planted", symbol, start, start + bars * worlds.HOUR, SEED)


def market_tensors(symbols: Sequence[str], bars: int, block_width: int) -> tuple[MarketTensor, ...]:
    """Prices, funding and volatility of the planted world; blocks and states drawn from a normal law.

    Args:
        symbols: of the sandbox.
        bars: of each symbol, after the volatility's warm-up.
        block_width: columns of both experts' blocks together; 0 for a market without predictions.
    """
    rng = np.random.default_rng(SEED)
    labels = config().labels
    found = []
    for symbol in symbols:
        frame = planted_bars(symbol, bars + labels.volatility_window)
        close = frame[columns.CLOSE].to_numpy(np.float64)
        volatility = horizon_volatility(close, labels.volatility_window, labels.horizon_bars)
        tensor = MarketTensor(
            symbol=symbol,
            timestamp=frame[columns.TIMESTAMP].to_numpy(dtype="datetime64[ms]"),
            prices=np.ascontiguousarray(frame[list(columns.OHLCV[:4])].to_numpy(np.float64)),
            funding=frame[columns.FUNDING_RATE].fillna(0.0).to_numpy(np.float64),
            funding_last=frame[columns.FUNDING_RATE].ffill().fillna(0.0).to_numpy(np.float64),
            volatility=volatility,
            unrest=volatility / np.sqrt(labels.horizon_bars),
            volume=np.full(len(frame), 1e8),
            contract=contract_of(symbol, config().backtest),
            block=rng.standard_normal((len(frame), block_width), dtype=np.float32),
            market=rng.standard_normal((len(frame), len(columns.MARKET_STATE)), dtype=np.float32),
            regime=rng.standard_normal((len(frame), len(columns.REGIME_STATE)), dtype=np.float32),
        )
        found.append(tensor.rows(slice(labels.volatility_window, None)))
    return tuple(found)
