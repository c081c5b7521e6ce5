"""What the models' signals earn with a threshold rule, costs paid. Enters: tracks. Leaves: figures, equities.

Each fold's threshold is chosen on the folds before it, so nothing is traded in the first.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl import columns as c
from xrl.account.costs import terms_of
from xrl.backtest import baselines, value
from xrl.backtest.report import plain_tree
from xrl.stages.backtest import threshold_rule
from xrl.stages.baselines import read, traded_market
from xrl.study.figures import RIVAL
from xrl.study.question import Question
from xrl.study.tracks import Tracks

Array = NDArray[np.float64]


class Traded(NamedTuple):
    """Figures by strategy, and the equity curves behind them."""

    figures: dict[str, Any]
    curves: dict[str, Array]
    timestamp: NDArray[np.datetime64]


def traded(question: Question, tracks: Tracks) -> Traded:
    """Trade every model that predicted all folds, beside buy and hold and always short."""
    config, laid, rows = question.config, question.laid, tracks.rows
    params = config.backtest
    whole, court = traded_market(config, read(question.paths), rows)
    stress = {"costs_x0": terms_of(params, 0.0), "costs_x2": terms_of(params, 2.0)}
    targets = {}
    for model, folds in tracks.models.items():
        if len(folds) == len(laid):
            sell, _, buy = c.probability_columns(model)
            signal = (rows[buy] - rows[sell]).to_numpy(np.float64)
            targets[model] = threshold_rule(signal, rows, whole, laid, court)
    targets["buy_and_hold"] = baselines.constant_targets(1.0, court.grid)
    targets["always_short"] = baselines.constant_targets(-1.0, court.grid)
    curves = {name: court.equity(own) for name, own in targets.items()}
    found = {name: value.traded(own, court, params, stress) for name, own in targets.items()}
    for name in ("buy_and_hold", "always_short"):  # they have no timing to lose
        del found[name]["random_timing"]
    for name, curve in curves.items():
        if name != RIVAL and RIVAL in curves:
            found[name]["minus_lightgbm"] = value.sharpe_difference(curve, curves[RIVAL], court, params)
    return Traded(plain_tree(found), curves, court.grid.timestamp)
