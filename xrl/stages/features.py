"""Stage `features`: bars in; every feature column of every bar out, and the list of those a run stands on.

Reads stages/snapshot/bars.parquet. Writes stages/features/{features.parquet,spec.json}, aside and renamed.
"""

import logging
from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.errors import DataError
from xrl.features import coverage, table
from xrl.features.coverage import LeftOut
from xrl.labels import folds
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json

log = logging.getLogger(__name__)


def run(config: Config, paths: Paths) -> None:
    """Build the features of every symbol in the snapshot and write them with their spec.

    Columns without enough coverage on the first fold's training bars are left out. Those that the observation
    needs all the same stay, held at their neutral 0, for the policy alone.

    Raises:
        DataError: no snapshot, or no bar of that span is past the warm-up.
    """
    if not paths.bars.is_file():
        raise DataError(f"no bars at {paths.bars}; run `xrl snapshot`")
    bars = pd.read_parquet(paths.bars)
    matrix = _build(bars, config)
    left_out = coverage.left_out(_training(bars, matrix, config), config.features.min_coverage)
    for column in left_out:
        log.warning("%s is left out: %s", column.name, column.reason)
    dropped = {column.name for column in left_out}
    kept = [name for name in table.names() if name not in dropped - table.REQUIRED]
    matrix = coverage.neutralise(matrix, dropped & table.REQUIRED)[:, table.positions(kept)]
    frame = pd.concat(
        [bars[[columns.SYMBOL, columns.TIMESTAMP]], pd.DataFrame(matrix, columns=kept, index=bars.index)],
        axis=1,
    )
    with aside(paths.features) as place:
        frame.to_parquet(place, index=False)
    write_json(paths.feature_spec, _spec(kept, left_out, dropped, config.experts.window_bars))
    log.info("%d columns of %d bars, %d left out", len(kept), len(frame), len(left_out))


def _build(bars: pd.DataFrame, config: Config) -> NDArray[np.float64]:
    """All features of all symbols, (bars, len(FEATURES)), in the order of `bars`."""
    matrix = np.full((len(bars), len(table.FEATURES)), np.nan)
    for symbol, rows in bars.groupby(columns.SYMBOL, sort=False).indices.items():
        own = bars.iloc[rows]
        matrix[rows] = table.build(own, own[columns.TIMESTAMP], config.features)
        log.info("%s: %d bars", symbol, len(own))
    return matrix


def _training(bars: pd.DataFrame, matrix: NDArray[np.float64], config: Config) -> NDArray[np.float64]:
    """Rows before the first test span that are past the warm-up: the judges of coverage."""
    time = bars[columns.TIMESTAMP]
    bar = time.diff().loc[lambda step: step > pd.Timedelta(0)].min()
    first_test = folds.test_edges(time.min(), time.max() + bar, bar, config.labels)[0]
    before = (time < first_test).to_numpy(dtype=bool)
    known = np.asarray(matrix[before & np.isfinite(matrix).all(axis=1)])
    if not len(known):
        raise DataError(
            f"no bar before the first test span ({first_test:%Y-%m-%d}) is past the warm-up of "
            f"{max(feature.warmup for feature in table.FEATURES)} bars; pull more days (`snapshot.days`)"
        )
    return known


def _spec(
    kept: list[str], left_out: tuple[LeftOut, ...], dropped: Collection[str], window_bars: int
) -> dict[str, object]:
    """The schema that experts, backtest and server select their columns by."""
    described = [table.feature(name).as_dict() for name in kept]
    for column in described:
        if column["name"] in dropped:
            column["groups"] = ["policy"]  # held at 0: nothing for an expert to learn
    return {
        "columns": described,
        "left_out": [column.as_dict() for column in left_out],
        "required_bars": table.required_bars(window_bars),
        "schema": table.schema_hash(kept),
    }
