"""The best that can be done in the planted world: what the rule that knows the latent state calls and holds.

Enters: matured bars with the returns that bound their classes, the bars to trade, the world's seed. Leaves:
F1 macro and direction accuracy, by the same metrics as any model, and target exposures, which a `Court`
trades as it does any baseline's. The class rule calls the class whose probability stands highest above its
base rate (which favours F1 macro); the trading rule goes 1x with the expected return once that exceeds three
round trips of costs and leaves when less than half a round trip is left (best of a small grid over three
seeds; the Sharpe is flat around it).
"""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from xrl import columns as c
from xrl.account.compiled import njit
from xrl.account.costs import Terms
from xrl.env.market import Panel
from xrl.errors import DataError
from xrl.evaluation import metrics
from xrl.sandbox.worlds import Oracle, oracle

Array = NDArray[np.float64]

RETURN_LOW: Final = "return_low"  # SELL below this forward return
RETURN_HIGH: Final = "return_high"  # BUY above this one
_ENTER_ROUND_TRIPS, _LEAVE_ROUND_TRIPS = 3.0, 0.5


class ClassScores(NamedTuple):
    """Scores of the optimal class rule."""

    f1_macro: float
    direction_accuracy: float


def class_scores(rows: pd.DataFrame, seed: int, horizon_bars: int) -> ClassScores:
    """Score the optimal class rule of the planted world.

    Args:
        rows: symbol, timestamp, label (the true class), forward_return and the returns that bound HOLD, of
            every matured test bar.
        seed: of the world (`market.world_seed`).
        horizon_bars: of the labels.
    """
    predicted = _classes(rows, _oracle(rows, seed, horizon_bars))
    matrix = metrics.confusion(rows[c.LABEL].to_numpy(np.int64), predicted)
    return ClassScores(
        f1_macro=float(metrics.f1_macro(matrix)),
        direction_accuracy=metrics.direction_accuracy(predicted, rows[c.FORWARD_RETURN].to_numpy(np.float64)),
    )


def targets(keys: pd.DataFrame, panel: Panel, terms: Terms, seed: int, horizon_bars: int) -> Array:
    """Target exposures of the optimal trading rule; (rows,), decided at each row's close.

    Args:
        keys: symbol and timestamp of each row of `panel`.
        panel: the bars to trade.
        terms: costs that an expected return must exceed.
        seed, horizon_bars: as in `class_scores`.

    Raises:
        DataError: keys and panel differ in length.
    """
    if len(keys) != len(panel.prices):
        raise DataError(
            f"the ceiling needs the symbol and time of each of {len(panel.prices)} traded bars; received "
            f"{len(keys)}. Run `dvc repro` so that all stages see the same snapshot."
        )
    round_trip = 2.0 * (terms.taker + terms.slippage)
    edge = _oracle(keys, seed, horizon_bars).expected_return / round_trip
    held = [_with_hysteresis(edge[start:end]) for start, end in zip(panel.starts, panel.ends)]
    return np.concatenate(held)


def _oracle(rows: pd.DataFrame, seed: int, horizon_bars: int) -> Oracle:
    """What the rule knows at each row, in the order of `rows`."""
    expected, deviation = np.empty(len(rows)), np.empty(len(rows))
    for symbol, at in rows.groupby(c.SYMBOL, sort=False).indices.items():
        time = pd.DatetimeIndex(rows[c.TIMESTAMP].iloc[at])
        expected[at], deviation[at] = oracle(str(symbol), time, seed, horizon=horizon_bars)
    return Oracle(expected, deviation)


def _classes(rows: pd.DataFrame, knows: Oracle) -> NDArray[np.int64]:
    """Class with the largest P(class | state) / P(class) under a Gaussian forward return; (n,)."""
    below_low, below_high = (
        ndtr((rows[bound].to_numpy(np.float64) - knows.expected_return) / knows.deviation)
        for bound in (RETURN_LOW, RETURN_HIGH)
    )
    chances = np.stack([below_low, below_high - below_low, 1 - below_high], axis=1)  # (n, 3)
    return np.asarray((chances / chances.mean(axis=0)).argmax(axis=1), dtype=np.int64)


@njit
def _with_hysteresis(edge: Array) -> Array:
    """Exposure -1, 0 or 1 for expected returns in units of a round trip's cost; (n,)."""
    exposure = np.zeros(len(edge))
    held = 0.0
    for t in range(len(edge)):
        if abs(edge[t]) > _ENTER_ROUND_TRIPS:
            held = float(np.sign(edge[t]))
        elif held * edge[t] < _LEAVE_ROUND_TRIPS:
            held = 0.0
        exposure[t] = held
    return exposure
