"""A training as a picture. Enters: histories of networks. Leaves: a PNG."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xrl.columns import CLASSES

_COLOURS = {"sell": "#c8553d", "hold": "#777777", "buy": "#0b6e4f"}
_TRAIN, _HELD = "#4a7fb5", "#222222"


def draw_training(history: pd.DataFrame, path: Path, title: str) -> None:
    """Losses, F1 by class, shares of predictions and learning rate over the epochs, one line a network.

    Args:
        history: rows of `Fitted.history` of every network; `member` and `seed` say whose they are.
        path: of the PNG.
        title: of the figure.
    """
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    losses, scores, shares, rates = figure.subplots(1, 4)
    keys = [name for name in ("member", "seed") if name in history.columns]
    networks = [own for _, own in history.groupby(keys)] if keys else [history]
    for number, own in enumerate(networks):
        first = number == 0
        _line(losses, own, "train_loss", _TRAIN, "training" if first else None)
        _line(losses, own, "validation_loss", _HELD, "held out" if first else None)
        for name in CLASSES:
            _line(scores, own, f"validation_f1_{name}", _COLOURS[name], name.upper() if first else None)
            _line(shares, own, f"predicted_{name}", _COLOURS[name], name.upper() if first else None)
        _line(scores, own, "validation_f1", _HELD, "macro" if first else None)
        _line(rates, own, "learning_rate", _TRAIN, None)
    shares.set_ylim(0, 1)
    names = ("log-loss, nats a bar", "F1, held out", "share of calls", "learning rate")
    for axis, name in zip((losses, scores, shares, rates), names):
        axis.set_title(name, loc="left", fontsize=11)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _line(axis: Axes, history: pd.DataFrame, name: str, colour: str, label: str | None) -> None:
    if name in history.columns:
        marker = "o" if len(history) == 1 else None
        axis.plot(history["epoch"], history[name], color=colour, label=label, linewidth=1.3, marker=marker)
