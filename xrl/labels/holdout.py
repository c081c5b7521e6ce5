"""The last days of a history, kept from every fold and from the refit. Enters: a span, labels. Leaves: labels
that know nothing of them.

A label whose horizon reaches into the holdout may have seen holdout prices, so it is unknown until the holdout
is opened (`xrl.stages.holdout`), on whichever side of the border its bar is. The holdout's bars and features lie
in the snapshot all the same, for they are what is predicted once; only the outcomes are blanked.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from xrl import columns
from xrl.config import LabelParams


class Span(NamedTuple):
    """The holdout [start, end); labels known by `train_end`, an embargo earlier, train the refit; UTC."""

    start: pd.Timestamp
    end: pd.Timestamp
    train_end: pd.Timestamp


def development_end(end: pd.Timestamp, params: LabelParams) -> pd.Timestamp:
    """Where folds end in a history that ends at `end`: before its last `holdout_days`."""
    return end - pd.Timedelta(days=params.holdout_days)


def holdout_span(end: pd.Timestamp, bar: pd.Timedelta, params: LabelParams) -> Span | None:
    """The holdout of a history that ends at `end`; None where `holdout_days` is 0."""
    if params.holdout_days == 0:
        return None
    start = development_end(end, params)
    return Span(start, end, start - params.embargo_bars * bar)


def sealed(labels: pd.DataFrame, held: Span | None) -> pd.DataFrame:
    """The same rows, outcomes made unknown whose horizon is not over where the history, or its known part, ends.

    A barrier that was met early counts no earlier than the horizon either: the last bars with a label would
    else be chosen by their outcome.
    """
    over = labels[columns.HORIZON_END]
    told = over.notna() if held is None else over <= held.start
    return labels.assign(
        **{
            columns.FORWARD_RETURN: labels[columns.FORWARD_RETURN].where(told, np.nan),
            columns.SCORE: labels[columns.SCORE].where(told, np.nan),
            columns.LABEL_END: labels[columns.LABEL_END].where(told),
        }
    )
