"""The backtest: its kernel alone, and the whole stage with its report."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.material import config, market_tensors
from benchmarks.timing import median_seconds, seconds
from benchmarks.walk_forward import prepare
from xrl.account.costs import terms_of
from xrl.backtest.replay import replay_targets
from xrl.env.market import stack

_SEED = 0
_HOLD_BARS = 20


def measure(bars: int = 100_000, years: float = 5.0, repetitions: int = 7) -> dict[str, float]:
    """Figures of group `backtest`: `bars` hours of six symbols for the kernel, `years` for the stage."""
    panel = stack(market_tensors(config().market.symbols, bars, block_width=0))
    terms = terms_of(config().backtest)
    rows = len(panel.volatility)
    # A new exposure every 20 bars, sometimes at the full leverage that liquidation needs.
    drawn = np.random.default_rng(_SEED).choice([-2.0, -1.0, 0.0, 1.0, 2.0], size=rows // _HOLD_BARS + 1)
    targets = np.repeat(drawn, _HOLD_BARS)[:rows]
    one = median_seconds(lambda: replay_targets(targets, panel, terms), repetitions)
    return {"backtest.bars_per_s": rows / one, "backtest.walk_forward_s": _walk_forward_seconds(years)}


def _walk_forward_seconds(years: float) -> float:
    """Seconds of the stage; its libraries are loaded before the clock runs."""
    with tempfile.TemporaryDirectory(prefix="xrl-bench-") as folder:
        return seconds(prepare(Path(folder), years))
