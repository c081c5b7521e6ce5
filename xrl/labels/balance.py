"""How the classes are shared, fold by fold. Enters: labels, fitted folds. Leaves: a report and warnings."""

from collections.abc import Sequence
from typing import Final, TypedDict

import numpy as np
import pandas as pd

from xrl import columns
from xrl.config import LabelKind, LabelParams
from xrl.labels.classes import Cut, classes
from xrl.labels.folds import Fold, Refit, test_mask, train_mask

#: What to change where too many bars are HOLD.
_REMEDIES: Final[dict[LabelKind, str]] = {
    "normalised_percentile": "bring `labels.percentiles` closer, e.g. [0.33, 0.67]",
    "raw_percentile": "bring `labels.raw_percentiles` closer, e.g. [0.33, 0.67]",
    "adaptive": "lower `labels.threshold_multiplier`, e.g. 0.5",
    "adaptive_filtered": "lower `labels.threshold_multiplier`, e.g. 0.5, or `labels.hold_below_percentile`",
    "triple_barrier": "lower `labels.barrier` or raise `labels.horizon_bars`",
}


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
    spans: list[SpanReport] = [
        {
            "name": f"fold {fold.index}",
            "train": shares(labels[train_mask(labels, fold)], fold),
            "test": shares(labels[test_mask(labels, fold)], fold),
        }
        for fold in folds
    ]
    whole = shares(labels[train_mask(labels, refit)], refit)
    spans.append({"name": "refit", "train": whole, "test": None})
    return spans


def warnings(spans: Sequence[SpanReport], params: LabelParams) -> list[str]:
    """One sentence for every training span with too much HOLD, with what to change."""
    remedy = _REMEDIES[params.kind]
    if params.kind != "normalised_percentile":
        remedy += ", or take `labels.kind: normalised_percentile`, whose classes are near thirds"
    return [
        f"{span['name']}: HOLD makes {span['train']['hold']:.0%} of {span['train']['bars']} training bars, "
        f"above {params.max_hold_share:.0%} (`labels.max_hold_share`); {remedy}"
        for span in spans
        if span["train"]["hold"] > params.max_hold_share
    ]


def shares(labels: pd.DataFrame, cut: Cut) -> Shares:
    """Shares of the classes of the rows whose outcome is known."""
    found = classes(labels, cut)
    known = found[found != columns.UNKNOWN]
    counts = np.bincount(known, minlength=len(columns.CLASSES))
    sell, hold, buy = (float(share) for share in counts / max(len(known), 1))
    return {"bars": len(known), "sell": sell, "hold": hold, "buy": buy}
