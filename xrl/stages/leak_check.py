"""What the bundle says of leaks: columns and outcomes rebuilt from cut histories, and what models stand on.

Enters: the bars and what the stages features, labels, experts, policy and refit made of them. Leaves: figures
for the gate, 0 where nothing leaks (`evaluation.leaks`). What is looked for is knowledge of later bars, not
errors of another kind: columns and outcomes are built again by the same code, from less. What is derived anew
and what is taken on trust of the trainings stands in `leak_training`; of policies only the scalers are looked
at. A holdout is where params and bars put it, whatever the folds say.
"""

import json
import logging
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.errors import DataError
from xrl.evaluation import leaks
from xrl.labels import folds, holdout
from xrl.labels.history import history
from xrl.paths import Paths
from xrl.stages import leak_columns, leak_training, stored_columns
from xrl.stages.expert_rows import read_rows
from xrl.stages.labels import label_table

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
        known by then; `scaler_difference`: see `leaks.scaler_difference`, of every scaler of folds and refit;
        `reaching_labels`: training labels within the embargo of what their model must not have seen, and
        outcomes that only the holdout tells; `other_rows`: experts whose reports name other bars than those
        that may train them.

    Raises:
        DataError: a stage has not run, or the history is too short to be cut.
    """
    spec = json.loads(paths.feature_spec.read_bytes())
    prefixes = list(_prefixes(bars, spec["required_bars"]))
    compared = leak_columns.compare(stored_columns.read(config, paths, bars), prefixes)
    found = {
        "difference": compared.worst.difference,
        "column": compared.worst.column,
        "bars": compared.bars,
        "label_difference": max(_outcomes(config, paths, bars, keep) for keep in prefixes),
        **training_figures(config, paths, bars),
    }
    log.info("causality: %s", found)
    return found


def training_figures(config: Config, paths: Paths, bars: pd.DataFrame) -> dict[str, float]:
    """Those of `figures` that tell what the models of all folds and of the refit stand on."""
    laid, refit = folds.load(paths.folds)
    span = history(bars)
    held = holdout.holdout_span(span.end, span.bar, config.labels)
    embargo = config.labels.embargo_bars * span.bar
    apart = [leak_training.policy_scalers(paths, laid, refit)]
    reaching, other = leak_training.unsealed(pd.read_parquet(paths.labels), held), 0
    for expert in config.oof.committee:
        rows = read_rows(paths, expert)
        for model in leak_training.trained(paths, expert, laid, refit, config.experts.calibration_share):
            apart.append(leak_training.expert_scaler(model, rows))
            reaching += leak_training.reaching(rows, model.span, held, embargo)
            other += leak_training.other_rows(model, rows)
    return {"scaler_difference": max(apart), "reaching_labels": reaching, "other_rows": other}


def _outcomes(config: Config, paths: Paths, bars: pd.DataFrame, keep: Mask) -> float:
    """How far the outcomes that are said to be known by a moment differ from those rebuilt at that moment."""
    labels = pd.read_parquet(paths.labels)
    told = (labels[columns.LABEL_END] <= bars[columns.TIMESTAMP][keep].max() + history(bars).bar).to_numpy(
        dtype=bool
    )
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
