"""Stage `labels`: bars in; forward outcomes and purged walk-forward folds out.

Reads stages/snapshot/bars.parquet. Writes stages/labels/{labels.parquet,folds.json,report.json}, each aside
and renamed.
"""

import logging

import numpy as np
import pandas as pd

from xrl import columns
from xrl.config import Config, LabelParams
from xrl.errors import DataError
from xrl.labels import balance, folds
from xrl.labels.outcomes import label_ends, outcomes
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json

log = logging.getLogger(__name__)


def run(config: Config, paths: Paths) -> None:
    """Label every bar, lay the folds, fit their cut-offs and report the class balance.

    Raises:
        DataError: no snapshot, or too few matured labels.
        ConfigError: the history is too short for the folds.
    """
    if not paths.bars.is_file():
        raise DataError(f"no bars at {paths.bars}; run `xrl snapshot`")
    bars = pd.read_parquet(paths.bars, columns=[columns.SYMBOL, columns.TIMESTAMP, columns.CLOSE])
    labels = label_table(bars, config.labels)
    time = bars[columns.TIMESTAMP]
    bar = time.diff().loc[lambda step: step > pd.Timedelta(0)].min()
    laid = folds.walk_forward(time.min(), time.max() + bar, bar, config.labels)
    fitted = folds.fit_cuts(labels, laid, config.labels.percentiles)
    refit = folds.refit_span(labels, config.labels.percentiles)
    report = balance.report(labels, fitted, refit)
    for warning in balance.warnings(report, config.labels.max_hold_share):
        log.warning("%s", warning)
    with aside(paths.labels) as place:
        labels.to_parquet(place, index=False)
    folds.save(paths.folds, fitted, refit)
    write_json(paths.label_report, report)
    log.info("%d labels, %d matured, %d folds", len(labels), labels[columns.SCORE].notna().sum(), len(fitted))


def label_table(bars: pd.DataFrame, params: LabelParams) -> pd.DataFrame:
    """Outcome of every bar of every symbol, rows in the order of `bars`.

    Args:
        bars: symbol, timestamp, close; each symbol's rows in time order.
        params: horizon and volatility window.

    Returns:
        symbol, timestamp, forward_return, volatility, score, label_end; NaN and NaT where not matured.
    """
    parts = []
    for _, own in bars.groupby(columns.SYMBOL, sort=False):
        found = outcomes(own[columns.CLOSE].to_numpy(np.float64), params)
        time = own[columns.TIMESTAMP].to_numpy(dtype="datetime64[ms]")
        ends = pd.DatetimeIndex(label_ends(time, params.horizon_bars), tz="UTC")
        part = own[[columns.SYMBOL, columns.TIMESTAMP]].assign(
            **{
                columns.FORWARD_RETURN: found.forward_return,
                columns.VOLATILITY: found.volatility,
                columns.SCORE: found.score,
                columns.LABEL_END: ends,
            }
        )
        parts.append(part)
    return pd.concat(parts).loc[bars.index].reset_index(drop=True)
