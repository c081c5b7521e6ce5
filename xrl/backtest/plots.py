"""Pictures of a track and the tables that `dvc plots` draws.

Enters: daily equity per strategy, a confusion matrix. Leaves: PNG and CSV files.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from xrl.columns import CLASSES

#: What is drawn strongly; the rest stands behind it.
OURS = "policy"
_COLOURS = {
    "policy": "#0b6e4f",
    "lightgbm": "#c8553d",
    "logistic": "#e0a458",
    "committee_threshold": "#4a7fb5",
    "buy_and_hold": "#777777",
    "always_short": "#b9b9b9",
    "flat": "#dddddd",
}


def daily_equity(timestamp: NDArray[np.datetime64], curves: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
    """Each strategy's equity at the end of every UTC day: `date` and one column per strategy."""
    frame = pd.DataFrame(curves, index=pd.DatetimeIndex(timestamp))
    daily = frame.groupby(frame.index.floor("D")).last()
    daily.insert(0, "date", daily.index.strftime("%Y-%m-%d"))
    return daily.reset_index(drop=True)


def draw_equity(daily: pd.DataFrame, path: Path, title: str) -> None:
    """Equity of every strategy on a logarithmic axis, the policy in front, its drawdown below."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    date = pd.to_datetime(daily["date"])
    names = [name for name in daily.columns if name not in ("date", OURS)]
    for name in [*names, OURS]:
        ours = name == OURS
        above.plot(
            date,
            daily[name],
            label=f"{name.replace('_', ' ')}  x{daily[name].iloc[-1]:.2f}",
            color=_COLOURS.get(name, "#999999"),
            linewidth=2.2 if ours else 1.2,
            zorder=3 if ours else 2,
        )
    above.set_yscale("log")
    for set_formatter in (above.yaxis.set_major_formatter, above.yaxis.set_minor_formatter):
        set_formatter(FuncFormatter(lambda level, _: f"{level:g}"))
    above.set_ylabel("equity, start = 1 (log scale)")
    above.set_title(title, loc="left")
    above.legend(loc="upper left", frameon=False, fontsize=9)
    peak = daily[OURS].cummax()
    below.fill_between(date, 100.0 * (daily[OURS] / peak - 1.0), 0.0, color=_COLOURS[OURS], alpha=0.35)
    below.set_ylabel("policy\ndrawdown, %")
    for axis in (above, below):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def draw_confusion(matrix: NDArray[np.float64], path: Path, title: str) -> None:
    """Row-normalised confusion matrix, truth in rows, with counts."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1.0)
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axis = figure.subplots()
    axis.imshow(share, cmap="Greens", vmin=0.0, vmax=max(float(share.max()), 0.5))
    names = [name.upper() for name in CLASSES]
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("predicted")
    axis.set_ylabel("came true")
    axis.set_title(title, loc="left", fontsize=11)
    for (row, column), value in np.ndenumerate(share):
        dark = value > 0.6 * share.max()
        text = f"{value:.0%}\n{int(matrix[row, column]):,}"
        axis.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    figure.savefig(path, dpi=110)
