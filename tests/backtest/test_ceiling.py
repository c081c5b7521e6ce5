"""Truths about the ceiling: the planted world is no gift, and the random walk has none."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from tests.account.params import PARAMS
from tests.env import toy
from xrl import columns as c
from xrl.account.costs import terms_of
from xrl.backtest import ceiling as room
from xrl.backtest.baselines import Court
from xrl.backtest.portfolio import grid_of
from xrl.config import BacktestParams
from xrl.env.market import MarketTensor, stack
from xrl.errors import DataError
from xrl.market.candles import horizon_volatility
from xrl.sandbox import worlds

START, END = pd.Timestamp("2025-07-26", tz="UTC"), pd.Timestamp("2026-10-01", tz="UTC")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "LTCUSDT")
COSTS = PARAMS.model_copy(update={"bootstrap": 100, "random_timing_runs": 20})


class Market(NamedTuple):
    """Matured rows as the backtest hands them over, and all bars as they are traded."""

    rows: pd.DataFrame
    keys: pd.DataFrame
    court: Court

    def sharpe(self, seed: int = 7, costs: BacktestParams = COSTS) -> float:
        court = self.court._replace(terms=terms_of(costs))
        return court.sharpe(room.targets(self.keys, court.panel, court.terms, seed, 20))


def market(world: str, seed: int) -> Market:
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
    keys = pd.concat(bars, ignore_index=True)[[c.SYMBOL, c.TIMESTAMP]]
    bounds = {"return_low": low * matured[c.VOLATILITY], "return_high": high * matured[c.VOLATILITY]}
    return Market(matured.assign(label=label, **bounds), keys, court(bars))


def court(bars: list[pd.DataFrame]) -> Court:
    tensors = [
        MarketTensor(
            symbol=str(own[c.SYMBOL].iloc[0]),
            timestamp=own[c.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]"),
            prices=own[list(c.OHLCV[:4])].to_numpy(np.float64),
            funding=own[c.FUNDING_RATE].fillna(0.0).to_numpy(np.float64),
            funding_last=np.zeros(len(own)),
            volatility=np.ones(len(own)),
            unrest=np.ones(len(own)),
            volume=np.ones(len(own)),
            contract=toy.CONTRACT,
            block=np.zeros((len(own), 0), dtype=np.float32),
            market=np.zeros((len(own), 0), dtype=np.float32),
            regime=np.zeros((len(own), 0), dtype=np.float32),
        )
        for own in bars
    ]
    return Court(stack(tensors), grid_of([tensor.timestamp for tensor in tensors]), terms_of(COSTS))


@pytest.fixture(scope="module")
def planted() -> Market:
    return market("planted", 7)


def test_the_planted_world_is_learnable_but_no_gift(planted: Market) -> None:
    best = room.class_scores(planted.rows, seed=7, horizon_bars=20)
    print(best, planted.sharpe())
    assert 0.55 < best.direction_accuracy <= 0.58
    assert 0.40 < best.f1_macro < 0.45
    assert planted.sharpe() > 4


def test_the_order_of_rows_does_not_matter(planted: Market) -> None:
    rows = planted.rows[planted.rows[c.SYMBOL] < "ETH"]
    shuffled = rows.sample(frac=1, random_state=1)
    first, second = (room.class_scores(each, seed=7, horizon_bars=20) for each in (rows, shuffled))
    assert second == pytest.approx(first)


def test_costs_lower_the_ceiling(planted: Market) -> None:
    assert planted.sharpe(costs=COSTS.model_copy(update={"taker_fee_bps": 30.0})) < planted.sharpe()


def test_every_bar_is_traded_and_none_waits_for_its_label(planted: Market) -> None:
    held = room.targets(planted.keys, planted.court.panel, planted.court.terms, 7, 20)
    assert len(held) == len(planted.rows) + len(SYMBOLS) * (20 + 60)  # not matured, and volatility unknown
    ends = np.concatenate([held[end - 20 : end] for end in planted.court.panel.ends])
    assert (ends != 0.0).any()


def test_targets_do_not_depend_on_later_bars(planted: Market) -> None:
    own = planted.keys[planted.keys[c.SYMBOL] == "BTCUSDT"].iloc[:500]
    panel = planted.court.panel._replace(
        prices=planted.court.panel.prices[:500], starts=np.array([0]), ends=np.array([500])
    )
    early = room.targets(own, panel, planted.court.terms, 7, 20)
    late = room.targets(planted.keys, planted.court.panel, planted.court.terms, 7, 20)[:500]
    assert (early == late).all() and (early != 0.0).any()


def test_the_planted_rule_knows_nothing_of_a_random_walk() -> None:
    other = market("random_walk", 9)
    best = room.class_scores(other.rows, seed=7, horizon_bars=20)  # another seed's state
    assert abs(best.direction_accuracy - 0.5) < 0.03
    assert other.sharpe() < 2


def test_a_bar_without_its_key_is_refused(planted: Market) -> None:
    with pytest.raises(DataError, match="needs the symbol and time of each"):
        room.targets(planted.keys.iloc[500:], planted.court.panel, planted.court.terms, 7, 20)


def test_targets_hold_between_entering_and_leaving() -> None:
    edges = np.array([0.0, 2.9, 3.1, 1.0, 0.6, 0.4, -2.0, -3.5, -0.6, 3.2])
    assert room._with_hysteresis(edges).tolist() == [0, 0, 1, 1, 1, 0, 0, -1, -1, 1]
