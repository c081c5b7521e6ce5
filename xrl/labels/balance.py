"""How the classes are shared, fold by fold. Enters: labels, fitted folds. Leaves: a report and warnings."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.labels.folds import Fold, Refit, test_mask, train_mask
from xrl.labels.outcomes import classify


class Shares(TypedDict):
    """Matured bars and the share of each class among them."""

    bars: int
    sell: float
    hold: float
    buy: float


class SpanReport(TypedDict):
    """One fold's balance, or the refit's, which has no test bars."""

    name: str
    train: Shares
    test: Shares | None


def report(labels: pd.DataFrame, folds: Sequence[Fold], refit: Refit) -> list[SpanReport]:
    """Class shares on training and test bars of every fold and of the refit, each under its own cut-offs."""
    score = labels[columns.SCORE].to_numpy()
    matured = np.isfinite(score)
    spans: list[SpanReport] = [
        {
            "name": f"fold {fold.index}",
            "train": _shares(score[train_mask(labels, fold)], fold),
            "test": _shares(score[test_mask(labels, fold) & matured], fold),
        }
        for fold in folds
    ]
    spans.append({"name": "refit", "train": _shares(score[matured], refit), "test": None})
    return spans


def warnings(spans: Sequence[SpanReport], max_hold_share: float) -> list[str]:
    """One sentence for every training span with too much HOLD, with what to change."""
    return [
        f"{span['name']}: HOLD makes {span['train']['hold']:.0%} of {span['train']['bars']} training bars, "
        f"above {max_hold_share:.0%} (`labels.max_hold_share`); bring `labels.percentiles` closer, e.g. "
        "[0.33, 0.67], or shorten `labels.horizon_bars`"
        for span in spans
        if span["train"]["hold"] > max_hold_share
    ]


def _shares(score: NDArray[np.float64], cut: Fold | Refit) -> Shares:
    counts = np.bincount(classify(score, cut.cut_low, cut.cut_high), minlength=len(columns.CLASSES))
    sell, hold, buy = (float(share) for share in counts / max(len(score), 1))
    return {"bars": len(score), "sell": sell, "hold": hold, "buy": buy}
