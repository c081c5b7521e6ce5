"""The best that can be done in the planted world: scores of the rule that knows the latent state.

Enters: matured bars with their labels' cut-offs, the bars to trade, the world's seed. Leaves: F1 macro,
direction accuracy and net Sharpe, on the same bars and by the same metrics and account step as any model.
The class rule calls the class whose probability stands highest above its base rate (which favours F1 macro);
the trading rule goes 1x with the expected return once that exceeds three round trips of costs and leaves when
less than half a round trip is left (best of a small grid over three seeds; the Sharpe is flat around it).
"""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr

from xrl import columns as c
from xrl.account.step import terms_of
from xrl.backtest.replay import replay_targets
from xrl.config import BacktestParams
from xrl.env.market import Panel
from xrl.errors import DataError
from xrl.evaluation import metrics
from xrl.sandbox.worlds import Oracle, oracle

Array = NDArray[np.float64]

CUT_LOW: Final = "cut_low"
CUT_HIGH: Final = "cut_high"
#: What `ceiling` reads of each matured bar.
ROWS: Final = (c.SYMBOL, c.TIMESTAMP, c.LABEL, c.FORWARD_RETURN, c.VOLATILITY, CUT_LOW, CUT_HIGH)
_ENTER_ROUND_TRIPS, _LEAVE_ROUND_TRIPS = 3.0, 0.5


class Ceiling(NamedTuple):
    """Scores of the optimal rule; the Sharpe ratio is net of costs."""

    f1_macro: float
    direction_accuracy: float
    sharpe: float


def ceiling(
    rows: pd.DataFrame, bars: pd.DataFrame, seed: int, horizon_bars: int, params: BacktestParams
) -> Ceiling:
    """Score the optimal rule of the planted world.

    Args:
        rows: columns `ROWS` of every matured test bar; `label` is the true class, the cuts are its fold's.
        bars: `symbol` and columns.BAR; of these, the bars of `rows` are traded, every symbol without gaps.
        seed: of the world (`market.world_seed`).
        horizon_bars: of the labels.
        params: costs and margin.

    Raises:
        DataError: a row has no bar.
    """
    rows = rows.sort_values([c.SYMBOL, c.TIMESTAMP], ignore_index=True)
    traded = rows[[c.SYMBOL, c.TIMESTAMP]].merge(bars, on=[c.SYMBOL, c.TIMESTAMP], how="inner")
    if len(traded) != len(rows):
        raise DataError(
            f"the ceiling needs a bar for each of {len(rows)} labelled rows; received {len(traded)}. "
            "Run `dvc repro` so that all stages see the same snapshot."
        )
    knows = _oracle(rows, seed, horizon_bars)
    predicted = _classes(rows, knows)
    matrix = metrics.confusion(rows[c.LABEL].to_numpy(np.int64), predicted)
    forward = rows[c.FORWARD_RETURN].to_numpy(np.float64)
    return Ceiling(
        f1_macro=float(metrics.f1_macro(matrix)),
        direction_accuracy=metrics.direction_accuracy(predicted, forward),
        sharpe=_sharpe(traded, knows.expected_return, params),
    )


def _oracle(rows: pd.DataFrame, seed: int, horizon_bars: int) -> Oracle:
    parts = [
        oracle(str(symbol), pd.DatetimeIndex(own[c.TIMESTAMP]), seed, horizon=horizon_bars)
        for symbol, own in rows.groupby(c.SYMBOL, sort=True)
    ]
    return Oracle(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _classes(rows: pd.DataFrame, knows: Oracle) -> NDArray[np.int64]:
    """Class with the largest P(class | state) / P(class) under a Gaussian forward return; (n,)."""
    volatility = rows[c.VOLATILITY].to_numpy(np.float64)
    below_low, below_high = (
        ndtr((rows[cut].to_numpy(np.float64) * volatility - knows.expected_return) / knows.deviation)
        for cut in (CUT_LOW, CUT_HIGH)
    )
    chances = np.stack([below_low, below_high - below_low, 1 - below_high], axis=1)  # (n, 3)
    return np.asarray((chances / chances.mean(axis=0)).argmax(axis=1), dtype=np.int64)


def _sharpe(traded: pd.DataFrame, expected_return: Array, params: BacktestParams) -> float:
    """Net Sharpe of equally weighted sub-accounts that follow the trading rule."""
    symbol = traded[c.SYMBOL].to_numpy()
    starts = np.flatnonzero(np.append(True, symbol[1:] != symbol[:-1]))
    ends = np.append(starts[1:], len(symbol))
    round_trip = 2e-4 * (params.fee_bps + params.slippage_bps)
    targets = np.concatenate(
        [_targets(expected_return[a:b], round_trip) for a, b in zip(starts, ends, strict=True)]
    )
    unseen = np.zeros((len(symbol), 0), dtype=np.float32)
    flat = np.zeros(len(symbol))
    panel = Panel(
        prices=traded[list(c.OHLCV[:4])].to_numpy(np.float64),
        funding=traded[c.FUNDING_RATE].fillna(0.0).to_numpy(np.float64),
        funding_last=flat, volatility=flat, block=unseen, market=unseen, regime=unseen,
        starts=starts, ends=ends,
    )  # fmt: skip
    earned = replay_targets(targets, panel, terms_of(params)).net_return
    portfolio = pd.Series(earned).groupby(traded[c.TIMESTAMP]).mean()
    equity = np.cumprod(1.0 + portfolio.to_numpy(np.float64))
    time = pd.DatetimeIndex(portfolio.index).tz_localize(None).to_numpy().astype("datetime64[ms]")
    return float(metrics.sharpe(metrics.daily_returns(time, equity)))


@njit
def _targets(expected_return: Array, round_trip: float) -> Array:
    """Exposure -1, 0 or 1 with hysteresis in units of a round trip's cost; (n,)."""
    targets = np.zeros(len(expected_return))
    held = 0.0
    for t in range(len(expected_return)):
        edge = expected_return[t] / round_trip
        if abs(edge) > _ENTER_ROUND_TRIPS:
            held = np.sign(edge)
        elif held * edge < _LEAVE_ROUND_TRIPS:
            held = 0.0
        targets[t] = held
    return targets
