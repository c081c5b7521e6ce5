"""What recipes teach beside the class: returns, their ranks over several horizons, what volume said.

Enters: stages/snapshot (closes) and stages/features (`vsa_signal`), the bars that train. Leaves: rows with
targets, each purged by its own end: nothing that ends after the first held-out bar opens, or after the span's
training, is taught.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.errors import ConfigError, DataError
from xrl.experts.targets import Targets, rank_targets, scores
from xrl.experts.windows import BAR_MS, Rows
from xrl.labels.folds import Fold, Refit
from xrl.paths import Paths
from xrl.presets import Preset
from xrl.stages.expert_rows import ExpertRows

_KEYS = [columns.SYMBOL, columns.TIMESTAMP]
_VSA = "vsa_signal"


def with_targets(
    paths: Paths,
    source: ExpertRows,
    rows: Rows,
    span: Fold | Refit,
    learned: NDArray[np.bool_],
    held: NDArray[np.bool_],
    recipes: Sequence[Preset],
) -> Rows:
    """`rows` with the targets that `recipes` ask for; `rows` themselves if none asks.

    Args:
        paths: where the stages' files are.
        source: the expert's bars.
        rows: the same bars, scaled for `span`.
        span: whose training it is.
        learned, held: (rows,) bars to learn from and to look at.
        recipes: of every network that learns from these rows.

    Raises:
        ConfigError: two recipes rank over different horizons.
        DataError: closes or `vsa_signal` are missing.
    """
    if not any(recipe.needs_targets for recipe in recipes):
        return rows
    horizons = _horizons(recipes)
    labels = source.labels
    returned = labels[columns.FORWARD_RETURN].to_numpy(np.float64)
    volatility = labels[columns.VOLATILITY].to_numpy(np.float64)
    ranks = np.empty((len(labels), 0), dtype=np.float32)
    if horizons:
        ranks = rank_targets(
            _closes(paths, labels),
            volatility,
            pd.factorize(labels[columns.SYMBOL])[0],
            _milliseconds(labels[columns.TIMESTAMP]),
            learned,
            _known_by_ms(labels[columns.TIMESTAMP], span, held),
            horizons,
            BAR_MS,
        )
    weighs_volume = any(recipe.loss.vsa_weight for recipe in recipes)
    vsa = _volume_signal(paths) if weighs_volume else np.full(len(labels), np.nan, dtype=np.float32)
    taught = np.where(learned, scores(returned, volatility), np.float32(np.nan))
    return replace(rows, targets=Targets(taught, ranks, vsa))


def _horizons(recipes: Sequence[Preset]) -> tuple[int, ...]:
    wanted = {recipe.loss.rank_horizons for recipe in recipes if recipe.loss.rank_weight}
    if len(wanted) > 1:
        raise ConfigError(f"all recipes must share `loss.rank_horizons`; received {sorted(wanted)}")
    return next(iter(wanted), ())


def _known_by_ms(time: pd.Series, span: Fold | Refit, held: NDArray[np.bool_]) -> int:
    """The moment at which a target must be known: the first held-out bar's open, or the end of training."""
    moment = min(time[held].min(), span.train_end) if held.any() else span.train_end
    return int(moment.value // 1_000_000)


def _closes(paths: Paths, labels: pd.DataFrame) -> NDArray[np.float64]:
    if not paths.bars.is_file():
        raise DataError(f"no bars at {paths.bars}, which ranks of returns are made of; run `xrl snapshot`")
    bars = pd.read_parquet(paths.bars, columns=[*_KEYS, columns.CLOSE])
    if not bars[_KEYS].equals(labels[_KEYS]):
        raise DataError("bars and labels are of different bars; run `xrl labels` and `xrl features` again")
    return np.asarray(bars[columns.CLOSE].to_numpy(np.float64))


def _volume_signal(paths: Paths) -> NDArray[np.float32]:
    try:
        found = pd.read_parquet(paths.features, columns=[_VSA])
    except (KeyError, ValueError) as error:  # pyarrow's own error is a ValueError
        raise DataError(
            f"`loss.vsa_weight` needs the feature `{_VSA}`, and {paths.features.name} lacks it: {error}. "
            "Set the weight to 0, or see stages/features/report.json for why the column was left out."
        ) from error
    return np.asarray(found[_VSA].to_numpy(np.float32))


def _milliseconds(time: pd.Series) -> NDArray[np.int64]:
    return np.asarray(time.dt.tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64))
