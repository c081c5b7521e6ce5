"""Pictures of a track and the tables that `dvc plots` draws.

Enters: daily equity per strategy, a confusion matrix, reliability, intervals. Leaves: PNG and CSV files.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from xrl.columns import CLASSES
from xrl.evaluation.calibration import Reliability

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
_EVENT_COLOURS = {"top label": "#222222", "sell": "#c8553d", "hold": "#777777", "buy": "#0b6e4f"}
#: A bin of a reliability diagram with a smaller share of the rows is noise.
_MIN_SHARE_SHOWN = 0.002


def daily_equity(timestamp: NDArray[np.datetime64], curves: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
    """Each strategy's equity at the end of every UTC day: `date` and one column per strategy."""
    frame = pd.DataFrame(curves, index=pd.DatetimeIndex(timestamp))
    daily = frame.groupby(frame.index.floor("D")).last()
    daily.insert(0, "date", daily.index.strftime("%Y-%m-%d"))
    return daily.reset_index(drop=True)


def draw_equity(daily: pd.DataFrame, path: Path, title: str, front: str = OURS) -> None:
    """Equity of every strategy on a logarithmic axis, `front` before the others, its drawdown below."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    date = pd.to_datetime(daily["date"])
    names = [name for name in daily.columns if name not in ("date", front)]
    for name in [*names, front]:
        ours = name == front
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
    peak = daily[front].cummax()
    fall = 100.0 * (daily[front] / peak - 1.0)
    below.fill_between(date, fall, 0.0, color=_COLOURS.get(front, "#999999"), alpha=0.35)
    below.set_ylabel(f"{front}\ndrawdown, %")
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


def draw_reliability(curves: Mapping[str, Mapping[str, Reliability]], path: Path, title: str) -> None:
    """What was said against what came true, one panel a model, one line an event; near-empty bins left out.

    Args:
        curves: per model, per event (top label, SELL, ...) its reliability.
        path: of the PNG.
        title: of the figure.
    """
    figure = Figure(figsize=(3.4 * len(curves), 3.9), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(curves), sharex=True, sharey=True))
    for axis, (model, events) in zip(panels, curves.items()):
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1, zorder=1)
        for event, found in events.items():
            shown = found.rows >= max(_MIN_SHARE_SHOWN * found.rows.sum(), 1)
            style = {"color": _EVENT_COLOURS.get(event, "#333333"), "linewidth": 1.4, "markersize": 4}
            axis.plot(found.said[shown], found.came_true[shown], marker="o", label=event, **style)
        axis.set_title(model.replace("_", " "), loc="left", fontsize=11)
        axis.set_xlabel("probability said")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    shown_max = max(line.get_xdata().max(initial=0.5) for axis in panels for line in axis.lines[1:])
    panels[0].set_xlim(0.0, min(1.0, float(shown_max) + 0.1))
    panels[0].set_ylim(0.0, min(1.0, float(shown_max) + 0.1))
    panels[0].set_ylabel("share that came true")
    panels[0].legend(loc="upper left", frameon=False, fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    figure.savefig(path, dpi=110)


def draw_intervals(
    figures: Mapping[str, Mapping[str, Mapping[str, float]]],
    path: Path,
    title: str,
    reference: Mapping[str, float],
) -> None:
    """Values with their intervals, one panel a figure, one row a model.

    Args:
        figures: per figure, per model, `value`, `low`, `high`.
        path: of the PNG.
        title: of the whole.
        reference: per figure where chance stands.
    """
    most = max(len(models) for models in figures.values())
    figure = Figure(figsize=(3.6 * len(figures), max(2.8, 1.0 + 0.27 * most)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(figures)))
    for axis, (name, models) in zip(panels, figures.items()):
        for row, (model, found) in enumerate(models.items()):
            colour = _COLOURS.get(model, "#777777")
            axis.plot([found["low"], found["high"]], [row, row], color=colour, linewidth=2)
            axis.plot(found["value"], row, marker="o", color=colour)
        if name in reference:
            axis.axvline(reference[name], color="#bbbbbb", linewidth=1, zorder=1)
        axis.set_yticks(range(len(models)), [model.replace("_", " ") for model in models])
        axis.set_ylim(-0.6, len(models) - 0.4)
        axis.set_title(name.replace("_", " "), loc="left", fontsize=11)
        axis.grid(alpha=0.25, axis="x")
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    figure.savefig(path, dpi=110)
