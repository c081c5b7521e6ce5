"""The figures of a walk-forward track: `metrics.json` as the gate reads it.

Enters: predictions with their truth, replays, baselines. Leaves: plain numbers, None where a figure does not
exist. Units: Sharpe ratios are of daily UTC equity times sqrt(365), net of costs; see
`portfolio.flow_figures`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.backtest import performance, portfolio
from xrl.backtest.performance import Traded
from xrl.backtest.portfolio import Grid
from xrl.backtest.replay import Replay
from xrl.evaluation import calibration, metrics, significance, summary
from xrl.evaluation.calibration import Reliability
from xrl.evaluation.summary import Predictions

Array = NDArray[np.float64]


def predictions_of(rows: pd.DataFrame, model: str) -> Predictions:
    """The matured rows' predictions of `model`.

    Args:
        rows: symbol, timestamp, label, forward_return, score and the model's probability columns.
        model: `committee`, `lightgbm`, ...
    """
    matured = rows[rows[columns.LABEL].notna()]
    return Predictions(
        symbol=matured[columns.SYMBOL].to_numpy(str),
        timestamp=matured[columns.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]"),
        probabilities=matured[list(columns.probability_columns(model))].to_numpy(np.float64),
        truth=matured[columns.LABEL].to_numpy(np.int64),
        forward_return=matured[columns.FORWARD_RETURN].to_numpy(np.float64),
        score=matured[columns.SCORE].to_numpy(np.float64),
    )


def reliability_of(rows: pd.DataFrame, model: str) -> dict[str, Reliability]:
    """What `model` said against what came true: of its top label, and of each class. Rows as above."""
    p = predictions_of(rows, model)
    events = {"top label": calibration.top_label(p.probabilities, p.truth)}
    events |= {name: (p.probabilities[:, k], p.truth == k) for k, name in enumerate(columns.CLASSES)}
    return {name: calibration.reliability(*event) for name, event in events.items()}


def prediction_section(rows: pd.DataFrame, min_shift_bars: int, draws: int, seed: int) -> dict[str, Any]:
    """Section `prediction`: the committee's scores with weekly block-bootstrap intervals, and their span.

    Args:
        rows: as in `predictions_of`, with committee and lightgbm.
        min_shift_bars: shortest shift of the null: horizon + window.
        draws, seed: of the bootstrap.
    """
    ours, theirs = predictions_of(rows, "committee"), predictions_of(rows, "lightgbm")
    against = summary.f1_difference(ours.truth, ours.predicted, theirs.predicted, ours.timestamp, draws, seed)
    return {
        **summary.prediction_figures(ours, draws, seed),
        "f1_minus_lightgbm": against._asdict(),
        **summary.null_figures(ours, min_shift_bars, seed),
        **_span(ours.timestamp),
    }


def _span(timestamp: NDArray[np.datetime64]) -> dict[str, str]:
    """Open of the first and close of the last judged bar: the span that the scores were measured on."""
    opens = pd.DatetimeIndex(timestamp).tz_localize("UTC")
    return {
        "start": opens.min().isoformat(),
        "end": (opens.max() + pd.Timedelta(hours=1)).isoformat(),
    }


def trading_section(traded: Traded, draws: int, seed: int) -> dict[str, Any]:
    """Section `trading` of the policy's base case; stress figures are added by the caller."""
    replay, grid = traded.replay, traded.grid
    equity = portfolio.equity_curve(replay.net_return, grid)
    daily = metrics.daily_returns(grid.timestamp, equity)
    taken = np.bincount(replay.action[replay.action >= 0], minlength=len(columns.ACTIONS))
    return {
        **performance.equity_figures(grid.timestamp, equity),
        **performance.exposure_figures(replay),
        **performance.trade_figures(traded.trades),
        **performance.intervals(daily, draws, seed),
        **performance.trade_intervals(traded.trades, draws, seed),
        **judged_figures(replay, grid, draws, seed),
        "years": performance.year_section(traded),
        "symbols": performance.symbol_section(traded),
        "action_share": dict(zip(columns.ACTIONS, (taken / max(taken.sum(), 1)).tolist())),
    }


def judged_figures(replay: Replay, grid: Grid, draws: int, seed: int) -> dict[str, Any]:
    """What the gate reads of a replay without stress."""
    equity = portfolio.equity_curve(replay.net_return, grid)
    daily = metrics.daily_returns(grid.timestamp, equity)
    return {
        "sharpe": significance.sharpe_interval(daily, draws, seed)._asdict(),
        "sharpe_year": portfolio.sharpe_by_year(equity, grid.timestamp),
        "max_drawdown": metrics.max_drawdown(equity),
        "total_return": metrics.total_return(equity),
        **portfolio.flow_figures(replay, grid),
    }


def baseline_figures(equity: Array, ours: Array, grid: Grid, draws: int, seed: int) -> dict[str, Any]:
    """Figures of a baseline's equity curve, its Sharpe interval, and a paired test of the policy's Sharpe
    ratio less its own.

    Args:
        equity, ours: of the baseline and of the policy. (bars,)
        grid: of both.
        draws, seed: of the bootstrap.
    """
    theirs, policys = (metrics.daily_returns(grid.timestamp, curve) for curve in (equity, ours))
    drawn = significance.sharpe_differences(policys, theirs, draws, seed)
    difference = float(metrics.sharpe(policys) - metrics.sharpe(theirs))
    return {
        **performance.equity_figures(grid.timestamp, equity),
        "sharpe_interval": significance.sharpe_interval(theirs, draws, seed)._asdict(),
        "policy_minus": significance.of_draws(difference, drawn)._asdict(),
    }


def class_figures(rows: pd.DataFrame, model: str) -> dict[str, float]:
    """F1 macro, direction accuracy and information coefficient of one class model."""
    found = predictions_of(rows, model)
    return {
        "f1_macro": float(metrics.f1_macro(metrics.confusion(found.truth, found.predicted))),
        "direction_accuracy": metrics.direction_accuracy(found.predicted, found.forward_return),
        "ic": metrics.information_coefficient(found.signal, found.score),
    }


def constant_f1(rows: pd.DataFrame, called: int) -> float:
    """F1 macro of calling one class always."""
    truth = predictions_of(rows, "committee").truth
    return float(metrics.f1_macro(metrics.confusion(truth, np.full(len(truth), called))))


def fold_section(rows: pd.DataFrame, equity: Array, grid: Grid) -> dict[str, dict[str, float | None]]:
    """Per fold the committee's figures and the policy's Sharpe ratio (none in the first fold)."""
    found: dict[str, dict[str, float | None]] = {}
    for fold, own in rows.groupby(columns.FOLD):
        start, end = (
            np.datetime64(time.tz_localize(None).to_datetime64(), "ms")
            for time in (own[columns.TIMESTAMP].min(), own[columns.TIMESTAMP].max())
        )
        first, last = np.searchsorted(grid.timestamp, start), np.searchsorted(grid.timestamp, end, "right")
        span = slice(max(int(first) - 1, 0), int(last))
        traded = bool(grid.timestamp[0] <= start)
        sharpe = portfolio.sharpe_of(equity[span], grid.timestamp[span]) if traded else None
        found[str(fold)] = {**class_figures(own, "committee"), "sharpe": sharpe}
    return found


def plain_tree(node: Any) -> Any:
    """The same tree with plain Python numbers; what is not finite becomes None, which JSON can hold."""
    if isinstance(node, Mapping):
        return {str(key): plain_tree(value) for key, value in node.items()}
    if isinstance(node, str) or node is None:
        return node
    if isinstance(node, Sequence | np.ndarray):
        return [plain_tree(value) for value in node]
    number = float(node)
    return number if math.isfinite(number) else None
