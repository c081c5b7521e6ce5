"""Stage `features`: bars in; every feature column of every bar out, and the list of those a run stands on.

Reads stages/snapshot/bars.parquet. Writes stages/features/{features.parquet,spec.json}, aside and renamed.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config, FeatureParams
from xrl.errors import DataError
from xrl.features import context, coverage, table, trial
from xrl.features.context import Context, Peer
from xrl.features.coverage import LeftOut
from xrl.features.feature import Feature
from xrl.labels import folds
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json

log = logging.getLogger(__name__)


def run(config: Config, paths: Paths) -> None:
    """Build the features of every symbol in the snapshot and write them with their spec.

    Columns without enough coverage on the first fold's training bars are left out. Those that the observation
    needs all the same stay, held at their neutral 0, for the policy alone.

    Raises:
        ConfigError: a user's column cannot be computed.
        DataError: no snapshot, a context symbol is not in it, a user's column is not what it is declared to
            be, or no bar of that span is past the warm-up.
    """
    if not paths.bars.is_file():
        raise DataError(f"no bars at {paths.bars}; run `xrl snapshot`")
    bars = pd.read_parquet(paths.bars)
    features = table.declared(config.features)
    _try(bars, config)
    matrix = build_all(bars, config)
    left_out = coverage.left_out(
        _training(bars, matrix, config, features), config.features.min_coverage, features
    )
    for reason, columns_out in _by_reason(left_out).items():
        log.warning("left out, %s: %s", reason, ", ".join(columns_out))
    dropped = {column.name for column in left_out}
    kept = [name for name in table.names(None, features) if name not in dropped - table.REQUIRED]
    matrix = coverage.neutralise(matrix, table.positions(sorted(dropped & table.REQUIRED), features))
    frame = pd.concat(
        [
            bars[[columns.SYMBOL, columns.TIMESTAMP]],
            pd.DataFrame(matrix[:, table.positions(kept, features)], columns=kept, index=bars.index),
        ],
        axis=1,
    )
    with aside(paths.features) as place:
        frame.to_parquet(place, index=False)
    write_json(paths.feature_spec, _spec(kept, left_out, features, config.experts.window_bars))
    log.info("%d columns of %d bars, %d left out", len(kept), len(frame), len(left_out))


def build_all(bars: pd.DataFrame, config: Config) -> NDArray[np.float64]:
    """All features of all symbols, (bars, features of `table.declared`), in the order of `bars`.

    Raises:
        ConfigError: a user's column cannot be computed.
        DataError: a context symbol is not among `bars`.
    """
    rows_of = bars.groupby(columns.SYMBOL, sort=False).indices
    peers = peers_of(bars, rows_of, config.features)
    matrix = np.full((len(bars), len(table.declared(config.features))), np.nan)
    for symbol, rows in rows_of.items():
        own = bars.iloc[rows]
        among = Context(str(symbol), peers)
        matrix[rows] = table.build(own, own[columns.TIMESTAMP], config.features, among)
        log.info("%s: %d bars", symbol, len(own))
    return matrix


def _try(bars: pd.DataFrame, config: Config) -> None:
    """Hold the users' columns against their declarations on the longest history."""
    if config.features.extra:
        longest = bars.iloc[max(bars.groupby(columns.SYMBOL, sort=False).indices.values(), key=len)]
        trial.check(config.features.extra, longest, longest[columns.TIMESTAMP])


def peers_of(
    bars: pd.DataFrame, rows_of: Mapping[str, NDArray[np.int64]], params: FeatureParams
) -> dict[str, Peer]:
    """Closes of the symbols that `features.context` declares.

    Raises:
        DataError: one of them is not among `bars`.
    """
    declared = context.needed(params.context, "")
    absent = [symbol for symbol in declared if symbol not in rows_of]
    if absent:
        raise DataError(
            f"`features.context` names {', '.join(absent)}, not in the snapshot of {', '.join(rows_of)}; "
            "add it to `market.symbols` and run `xrl snapshot`, or leave it out"
        )
    found = {}
    for symbol in declared:
        own = bars.iloc[rows_of[symbol]]
        times = own[columns.TIMESTAMP].to_numpy(dtype="datetime64[ms]")
        found[symbol] = context.peer(times, own[columns.CLOSE].to_numpy(np.float64))
    return found


def _by_reason(left_out: tuple[LeftOut, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for column in left_out:
        found.setdefault(column.reason, []).append(column.name)
    return found


def _training(
    bars: pd.DataFrame, matrix: NDArray[np.float64], config: Config, features: Sequence[Feature]
) -> NDArray[np.float64]:
    """Rows before the first test span that are past the warm-up: the judges of coverage."""
    time = bars[columns.TIMESTAMP]
    bar = time.diff().loc[lambda step: step > pd.Timedelta(0)].min()
    first_test = folds.test_edges(time.min(), time.max() + bar, bar, config.labels)[0]
    before = (time < first_test).to_numpy(dtype=bool)
    known = np.asarray(matrix[before & np.isfinite(matrix).all(axis=1)])
    if not len(known):
        raise DataError(
            f"no bar before the first test span ({first_test:%Y-%m-%d}) is past the warm-up of "
            f"{max(feature.warmup for feature in features)} bars; pull more days (`snapshot.days`)"
        )
    return known


def _spec(
    kept: list[str], left_out: tuple[LeftOut, ...], features: Sequence[Feature], window_bars: int
) -> dict[str, object]:
    """The schema that experts, backtest and server select their columns by."""
    described = [table.feature(name, features).as_dict() for name in kept]
    dropped = {column.name for column in left_out}
    for column in described:
        if column["name"] in dropped:
            column["groups"] = ["policy"]  # held at 0: nothing for an expert to learn
    return {
        "columns": described,
        "left_out": [column.as_dict() for column in left_out],
        "required_bars": table.required_bars(window_bars, features),
        "schema": table.schema_hash(kept, features),
    }
