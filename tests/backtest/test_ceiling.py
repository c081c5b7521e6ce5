"""Truths about the ceiling: the planted world is no gift, and the random walk has none."""

import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.backtest import ceiling as room
from xrl.config import BacktestParams
from xrl.errors import DataError
from xrl.market.candles import horizon_volatility
from xrl.sandbox import worlds

START, END = pd.Timestamp("2025-07-26", tz="UTC"), pd.Timestamp("2026-10-01", tz="UTC")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "LTCUSDT")
COSTS = BacktestParams(
    fee_bps=5.0, slippage_bps=2.0, maintenance_margin=0.005, liquidation_fee_bps=50.0, max_leverage=2.0,
    bootstrap=100, bootstrap_seed=0, random_timing_runs=20,
)  # fmt: skip


def market(world: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Matured rows as the backtest hands them over, and all bars."""
    bars, rows = [], []
    for symbol in SYMBOLS:
        own = worlds.bars(world, symbol, START, END, seed)
        own.insert(0, c.SYMBOL, symbol)
        close = own[c.CLOSE].to_numpy()
        forward = np.append(np.log(close[20:] / close[:-20]), np.full(20, np.nan))
        outcome = own[[c.SYMBOL, c.TIMESTAMP]].assign(
            forward_return=forward, volatility=horizon_volatility(close, 60, 20)
        )
        bars.append(own)
        rows.append(outcome.dropna())
    matured = pd.concat(rows, ignore_index=True)
    score = matured[c.FORWARD_RETURN] / matured[c.VOLATILITY]
    low, high = np.percentile(score, [33, 67])
    label = np.where(score < low, c.SELL, np.where(score > high, c.BUY, c.HOLD))
    return matured.assign(label=label, cut_low=low, cut_high=high), pd.concat(bars, ignore_index=True)


@pytest.fixture(scope="module")
def planted() -> tuple[pd.DataFrame, pd.DataFrame]:
    return market("planted", 7)


def test_the_planted_world_is_learnable_but_no_gift(planted: tuple[pd.DataFrame, pd.DataFrame]):
    best = room.ceiling(*planted, seed=7, horizon_bars=20, params=COSTS)
    print(best)
    assert 0.55 < best.direction_accuracy <= 0.58
    assert 0.40 < best.f1_macro < 0.45
    assert best.sharpe > 4


def test_the_order_of_rows_does_not_matter(planted: tuple[pd.DataFrame, pd.DataFrame]):
    rows, bars = planted
    rows = rows[rows[c.SYMBOL] < "ETH"]
    shuffled = rows.sample(frac=1, random_state=1)
    first = room.ceiling(rows, bars, seed=7, horizon_bars=20, params=COSTS)
    assert room.ceiling(shuffled, bars, seed=7, horizon_bars=20, params=COSTS) == first


def test_costs_lower_the_ceiling(planted: tuple[pd.DataFrame, pd.DataFrame]):
    dear = COSTS.model_copy(update={"fee_bps": 30.0})
    cheap, costly = (room.ceiling(*planted, seed=7, horizon_bars=20, params=p) for p in (COSTS, dear))
    assert costly.sharpe < cheap.sharpe and costly.f1_macro == cheap.f1_macro


def test_the_planted_rule_knows_nothing_of_a_random_walk():
    rows, bars = market("random_walk", 9)
    best = room.ceiling(rows, bars, seed=7, horizon_bars=20, params=COSTS)  # another seed's state
    assert abs(best.direction_accuracy - 0.5) < 0.03
    assert best.sharpe < 2


def test_a_row_without_its_bar_is_refused(planted: tuple[pd.DataFrame, pd.DataFrame]):
    rows, bars = planted
    with pytest.raises(DataError, match="needs a bar for each"):
        room.ceiling(rows, bars.iloc[500:], seed=7, horizon_bars=20, params=COSTS)


def test_targets_hold_between_entering_and_leaving():
    edges = np.array([0.0, 2.9, 3.1, 1.0, 0.6, 0.4, -2.0, -3.5, -0.6, 3.2])
    assert room._targets(edges, 1.0).tolist() == [0, 0, 1, 1, 1, 0, 0, -1, -1, 1]
