"""The files that the stage `backtest` leaves beside its figures.

Enters: the traded bars, the policy's replay and round trips, equity curves, figures. Leaves: the track and
the trade list as tables, equity as tables and pictures; each aside and renamed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.backtest import plots, report
from xrl.backtest.portfolio import Grid
from xrl.backtest.replay import Replay
from xrl.evaluation import metrics
from xrl.paths import Paths
from xrl.stages.aside import aside

Curves = Mapping[str, NDArray[np.float64]]


def track_of(traded: pd.DataFrame, replay: Replay) -> pd.DataFrame:
    """The traded bars: what was predicted, decided at their close, held there, earned and paid within them.

    Money is a share of the sub-account's equity at the close before.
    """
    probabilities = [name for model in ("committee", "lightgbm") for name in c.probability_columns(model)]
    keys = [c.SYMBOL, c.TIMESTAMP, c.FOLD]
    track = traded[[*keys, *probabilities, c.LABEL, c.FORWARD_RETURN]].copy()
    names = np.array(c.ACTIONS)
    track["action"] = names[np.maximum(replay.action, 0)]
    for name in ("exposure", "net_return", "costs", "funding", "insurance"):
        track[name] = getattr(replay, name)
    return track


def write_tables(paths: Paths, track: pd.DataFrame, trades: pd.DataFrame, grid: Grid, curves: Curves) -> None:
    """Track, round trips (for programs and for people) and equity curves."""
    with aside(paths.track) as place:
        track.to_parquet(place, index=False)
    with aside(paths.trades) as place:
        trades.to_parquet(place, index=False)
    with aside(paths.trades_csv) as place:
        trades.to_csv(place, index=False, float_format="%.8g", date_format="%Y-%m-%dT%H:%M:%SZ")
    time = pd.DatetimeIndex(grid.timestamp).tz_localize("UTC")
    with aside(paths.returns) as place:
        pd.DataFrame({c.TIMESTAMP: time, **curves}).to_parquet(place, index=False)


def draw(
    paths: Paths, market: str, found: Mapping[str, Any], rows: pd.DataFrame, grid: Grid, curves: Curves
) -> None:
    """What `dvc plots` and MLflow show of it."""
    daily = plots.daily_equity(grid.timestamp, dict(curves))
    judged = report.predictions_of(rows, "committee")
    names = np.array(c.CLASSES)
    with aside(paths.plots / "equity.csv") as place:
        daily.to_csv(place, index=False, float_format="%.6f")
    with aside(paths.plots / "confusion.csv") as place:
        calls = pd.DataFrame({"actual": names[judged.truth], "predicted": names[judged.predicted]})
        calls.to_csv(place, index=False)
    sharpe, f1 = found["trading"]["sharpe"]["value"], found["prediction"]["f1_macro"]["value"]
    with aside(paths.plots / "equity.png") as place:
        plots.draw_equity(daily, place, f"{market}: walk-forward, net of costs (Sharpe {sharpe:.2f})")
    with aside(paths.plots / "confusion.png") as place:
        matrix = metrics.confusion(judged.truth, judged.predicted)
        plots.draw_confusion(matrix, place, f"{market}: out-of-fold classes (F1 {f1:.3f})")
    with aside(paths.plots / "reliability.png") as place:
        shown = {model: report.reliability_of(rows, model) for model in ("committee", "lightgbm")}
        plots.draw_reliability(shown, place, f"{market}: what was said, and what came true")
