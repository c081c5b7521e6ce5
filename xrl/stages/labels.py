"""Stage `labels`: bars in; outcomes of the chosen kind and purged walk-forward folds out.

Reads stages/snapshot/bars.parquet. Writes stages/labels/{labels.parquet,folds.json,report.json}, each aside
and renamed. Outcomes that only a final holdout tells are not among them.
"""

import logging

import numpy as np
import pandas as pd

from xrl import columns
from xrl.config import Config, LabelParams
from xrl.errors import DataError
from xrl.labels import balance, folds, holdout
from xrl.labels.barriers import Prices
from xrl.labels.history import history
from xrl.labels.outcomes import horizon_ends, label_ends, outcomes
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json

log = logging.getLogger(__name__)

_READ = [columns.SYMBOL, columns.TIMESTAMP, columns.HIGH, columns.LOW, columns.CLOSE]


def run(config: Config, paths: Paths) -> None:
    """Label every bar, lay the folds, fit their cut-offs and report the class balance.

    Raises:
        DataError: no snapshot, or too few matured labels.
        ConfigError: the history is too short for the folds.
    """
    bars = read_bars(paths)
    span = history(bars)
    held = holdout.holdout_span(span.end, span.bar, config.labels)
    labels = holdout.sealed(label_table(bars, config.labels), held)
    laid = folds.walk_forward(span.start, span.end, span.bar, config.labels)
    fitted = folds.fit_cuts(labels, laid, config.labels)
    refit = folds.refit_span(labels, config.labels, held)
    report = balance.report(labels, fitted, refit)
    for warning in balance.warnings(report, config.labels):
        log.warning("%s", warning)
    with aside(paths.labels) as place:
        labels.to_parquet(place, index=False)
    folds.save(paths.folds, fitted, refit, held)
    write_json(paths.label_report, report)
    log.info("%d labels, %d matured, %d folds", len(labels), labels[columns.SCORE].notna().sum(), len(fitted))


def read_bars(paths: Paths) -> pd.DataFrame:
    """What a label is made of: symbol, timestamp, high, low, close of every bar.

    Raises:
        DataError: no snapshot.
    """
    if not paths.bars.is_file():
        raise DataError(f"no bars at {paths.bars}; run `xrl snapshot`")
    return pd.read_parquet(paths.bars, columns=_READ)


def label_table(bars: pd.DataFrame, params: LabelParams) -> pd.DataFrame:
    """Outcome of every bar of every symbol, rows in the order of `bars`.

    Args:
        bars: symbol, timestamp, high, low, close; each symbol's rows in time order.
        params: kind, horizon and volatility window.

    Returns:
        symbol, timestamp, forward_return, volatility, score, label_end, horizon_end; NaN and NaT where not
        matured.
    """
    parts = []
    for _, own in bars.groupby(columns.SYMBOL, sort=False):
        prices = Prices(
            *(own[name].to_numpy(np.float64) for name in (columns.HIGH, columns.LOW, columns.CLOSE))
        )
        found = outcomes(prices, params)
        time = own[columns.TIMESTAMP].to_numpy(dtype="datetime64[ms]")
        over = horizon_ends(len(time), params.horizon_bars)
        part = own[[columns.SYMBOL, columns.TIMESTAMP]].assign(
            **{
                columns.FORWARD_RETURN: found.forward_return,
                columns.VOLATILITY: found.volatility,
                columns.SCORE: found.score,
                columns.LABEL_END: pd.DatetimeIndex(label_ends(time, found.end_bar), tz="UTC"),
                columns.HORIZON_END: pd.DatetimeIndex(label_ends(time, over), tz="UTC"),
            }
        )
        parts.append(part)
    return pd.concat(parts).loc[bars.index].reset_index(drop=True)
