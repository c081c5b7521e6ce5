"""The last days of a history, kept from every fold and from the refit. Enters: a span, labels. Leaves: labels
that know nothing of them.

A label whose horizon reaches into the holdout may have seen holdout prices, so it is unknown until the
holdout is opened (`xrl.stages.holdout`), on whichever side of the border its bar is. The holdout's bars and
features lie in the snapshot all the same, for they are what is predicted once; only the outcomes are blanked.
"""

import hashlib
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


def data_hash(bars: pd.DataFrame, held: Span) -> str:
    """SHA-256 over symbols, times and prices of the holdout's bars, the same on every machine.

    Args:
        bars: symbol, timestamp, high, low, close at least.
        held: the holdout.
    """
    own = bars[bars[columns.TIMESTAMP] >= held.start].sort_values([columns.SYMBOL, columns.TIMESTAMP])
    found = hashlib.sha256("\n".join(own[columns.SYMBOL]).encode())
    time = own[columns.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]").astype("<i8")
    found.update(time.tobytes())
    for name in (columns.HIGH, columns.LOW, columns.CLOSE):
        found.update(own[name].to_numpy("<f8").tobytes())
    return found.hexdigest()


def sealed(labels: pd.DataFrame, held: Span | None) -> pd.DataFrame:
    """The same rows; outcomes whose horizon is not over by the end, or by the holdout's start, are unknown.

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
