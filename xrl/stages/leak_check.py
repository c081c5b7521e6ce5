"""What the bundle says of leaks: columns and outcomes rebuilt from cut histories, scalers, labels that reach.

Enters: the bars and what the stages features, labels, experts and policy made of them. Leaves: figures for
the gate, 0 where nothing leaks (`evaluation.leaks`). Nothing is taken on trust from the code that trained:
training bars are derived here from the folds' spans and the labels' own ends.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.env.market import STATE_COLUMNS
from xrl.errors import DataError
from xrl.evaluation import leaks
from xrl.features import coverage, scaling, table
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.labels.folds import Fold
from xrl.paths import Paths
from xrl.stages.expert_rows import ExpertRows, read_rows
from xrl.stages.features import build_all
from xrl.stages.labels import label_table
from xrl.stages.policy_inputs import naive

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Moments at which the history is cut off.
_CUTS: Final = 4
_SEED: Final = 0


def figures(config: Config, paths: Paths, bars: pd.DataFrame) -> dict[str, Any]:
    """The section `causality` of a bundle's metrics.

    Returns:
        `difference`: largest move of a column, in its standard deviations, when later bars are cut off, and
        its `column`; `bars`: compared in all; `label_difference`: the same of outcomes that are said to be
        known by then; `scaler_difference`: see `leaks.scaler_difference`, of every
        fold's scalers; `reaching_labels`: training labels within the embargo of their fold's test span.

    Raises:
        DataError: a stage has not run, or the history is too short to be cut.
    """
    spec = json.loads(paths.feature_spec.read_bytes())
    prefixes = list(_prefixes(bars, spec["required_bars"]))
    worst = _features(config, paths, bars, prefixes)
    laid, _ = folds.load(paths.folds)
    apart = [_policy_scaler(paths, fold) for fold in laid[1:]]
    reaching = 0
    for expert in columns.EXPERTS:
        rows = read_rows(paths, expert)
        apart += [_expert_scaler(paths, fold, expert, rows) for fold in laid]
        reaching += sum(_reaching(rows, fold, config.labels.embargo_bars) for fold in laid)
    found = {
        "difference": worst.difference,
        "column": worst.column,
        "bars": int(sum(keep.sum() for keep in prefixes)),
        "label_difference": max(_outcomes(config, paths, bars, keep) for keep in prefixes),
        "scaler_difference": max(apart),
        "reaching_labels": reaching,
    }
    log.info("causality: %s", found)
    return found


def _features(config: Config, paths: Paths, bars: pd.DataFrame, prefixes: Sequence[Mask]) -> leaks.Worst:
    """The stored columns against those rebuilt from histories that are cut off."""
    stored = pd.read_parquet(paths.features).drop(columns=[columns.SYMBOL, columns.TIMESTAMP])
    left_out = json.loads(paths.feature_spec.read_bytes())["left_out"]
    features = table.declared(config.features)
    neutral = table.positions([column["name"] for column in left_out if column["observed"]], features)
    kept = table.positions(list(stored.columns), features)

    def rebuild(keep: Mask) -> Array:
        return coverage.neutralise(build_all(bars[keep], config), neutral)[:, kept]

    moved = leaks.prefix_differences(stored.to_numpy(np.float64), prefixes, rebuild)
    return leaks.worst_column(list(stored.columns), moved)


def _outcomes(config: Config, paths: Paths, bars: pd.DataFrame, keep: Mask) -> float:
    """How far the outcomes that are said to be known by a moment differ from those rebuilt at that moment."""
    labels = pd.read_parquet(paths.labels)
    opens = bars[columns.TIMESTAMP]
    bar = opens.diff().loc[lambda step: step > pd.Timedelta(0)].min()
    told = (labels[columns.LABEL_END] <= opens[keep].max() + bar).to_numpy(dtype=bool)
    score = labels[[columns.SCORE]].to_numpy(np.float64)

    def rebuild(kept: Mask) -> Array:
        found = label_table(bars[kept], config.labels)[[columns.SCORE]].to_numpy(np.float64)
        return np.where(told[kept, None], found, np.nan)

    return float(leaks.prefix_differences(np.where(told[:, None], score, np.nan), [keep], rebuild)[0])


def _prefixes(bars: pd.DataFrame, required_bars: int) -> Iterator[Mask]:
    """Bars up to moments drawn by seed, all of them when every symbol has a whole window behind it."""
    time = bars[columns.TIMESTAMP]
    begun = bars.groupby(columns.SYMBOL, sort=False)[columns.TIMESTAMP].nth(required_bars - 1)
    whole = len(begun) == bars[columns.SYMBOL].nunique()
    eligible = time[time > begun.max()].drop_duplicates().sort_values() if whole else time.iloc[:0]
    if len(eligible) < _CUTS:
        raise DataError(
            f"a prefix check needs {_CUTS} bars with {required_bars} bars of every symbol before them; "
            f"received {len(eligible)}. Take more days (`snapshot.days`)."
        )
    for at in np.random.default_rng(_SEED).choice(len(eligible), _CUTS, replace=False):
        yield (time < eligible.iloc[at]).to_numpy(dtype=bool)


def _expert_scaler(paths: Paths, fold: Fold, expert: str, rows: ExpertRows) -> float:
    path = paths.expert(fold.index, expert) / "scaler.json"
    if not path.is_file():
        raise DataError(f"no {path.name} at {path}; run `xrl experts --fold {fold.index} --expert {expert}`")
    trains = _trains(rows, fold) & np.isfinite(rows.matrix).all(axis=1)
    return _apart(Scaler.from_json(path.read_text()), scaling.fit(rows.matrix[trains], rows.names))


def _policy_scaler(paths: Paths, fold: Fold) -> float:
    path = paths.fold_policy_scaler(fold.index)
    if not path.is_file():
        raise DataError(f"no {path.name} at {path}; run `xrl policy`")
    state = pd.read_parquet(paths.features, columns=[columns.TIMESTAMP, *STATE_COLUMNS])
    earlier = state.loc[state[columns.TIMESTAMP] < fold.train_end, list(STATE_COLUMNS)].to_numpy(np.float64)
    return _apart(Scaler.from_json(path.read_text()), scaling.fit(earlier, STATE_COLUMNS))


def _apart(scaler: Scaler, own: Scaler) -> float:
    if scaler.columns != own.columns:
        return float("inf")
    pairs = scaler.center, scaler.scale, own.center, own.scale
    return leaks.scaler_difference(*(np.array(values, dtype=np.float64) for values in pairs))


def _trains(rows: ExpertRows, fold: Fold) -> Mask:
    """Bars that may train the fold: opened within its training span, horizon over by its end. (rows,)"""
    opens, ends = _naive(rows.labels[columns.TIMESTAMP]), _naive(rows.labels[columns.HORIZON_END])
    known = np.isfinite(rows.labels[columns.SCORE].to_numpy(np.float64))
    return np.asarray((opens >= naive(fold.train_start)) & (ends <= naive(fold.train_end)) & known)


def _reaching(rows: ExpertRows, fold: Fold, embargo_bars: int) -> int:
    """Labels of the bars that training does take which come within the embargo of the test span."""
    opens, ends = _naive(rows.labels[columns.TIMESTAMP]), _naive(rows.labels[columns.LABEL_END])
    steps = np.diff(opens)
    embargo = embargo_bars * steps[steps > np.timedelta64(0)].min()
    test = naive(fold.test_start), naive(fold.test_end)
    return leaks.reaching_labels(opens, ends, rows.training(fold), test, embargo)


def _naive(time: pd.Series) -> NDArray[np.datetime64]:
    return np.asarray(time.dt.tz_localize(None).to_numpy("datetime64[ms]"))
