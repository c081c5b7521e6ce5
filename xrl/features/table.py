"""The ordered list of features and the one builder that training, backtest and server share.

Enters: one symbol's bars, and closes of the symbols declared as its context. Leaves: a matrix (bars,
features), unscaled, NaN in warm-up only. Every value at bar t depends on bars up to t alone. Prices and
amounts never enter as such: every column is scale free. Each column is declared beside its formula.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import FeatureParams
from xrl.errors import ConfigError, DataError
from xrl.features import (
    calendar,
    candlesticks,
    extra,
    flow,
    indicators,
    patterns,
    regime,
    timeframes,
    volatility,
    vsa,
)
from xrl.features import context as surroundings
from xrl.features.context import Context
from xrl.features.feature import GROUPS, Feature
from xrl.features.inputs import Inputs, inputs
from xrl.features.rolling import Array


def _built_in(volume_window: int) -> tuple[tuple[Feature, ...], ...]:
    """The built-in columns, group by group in table order."""
    return (
        indicators.FEATURES,
        volatility.FEATURES,
        patterns.FEATURES,
        candlesticks.FEATURES,
        vsa.features(volume_window),
        flow.FEATURES,
        timeframes.FEATURES,
        surroundings.FEATURES,
        regime.FEATURES,
        calendar.FEATURES,
    )


def _computed(
    x: Inputs, bars: extra.Bars, params: FeatureParams, context: Context | None
) -> Iterator[dict[str, Array]]:
    """What `_built_in` lists, in its order, then the users' columns; one group at a time bounds memory."""
    yield indicators.indicators(x)
    yield volatility.volatility(x)
    yield patterns.patterns(x)
    yield candlesticks.candlesticks(x)
    yield vsa.volume_spread(x, params)
    yield flow.flow(x)
    yield timeframes.timeframes(x)
    yield surroundings.context_columns(x, params.context, context)
    yield regime.regime(x)
    yield calendar.calendar(x.timestamp)
    yield extra.extra_columns(bars, x, params.extra)


#: The window of the volume mean that the list below is declared for; `declared` follows the parameter.
_VOLUME_WINDOW: Final = 20
#: The built-in columns in table order.
FEATURES: Final[tuple[Feature, ...]] = sum(_built_in(_VOLUME_WINDOW), ())


def declared(params: FeatureParams) -> tuple[Feature, ...]:
    """The columns that `build` returns for `params`: the built-in ones and the users'.

    Raises:
        ConfigError: a user's column bears the name of another, or its definition does not exist.
    """
    own = extra.features(params.extra)
    found = (*sum(_built_in(params.volume_window), ()), *own)
    names = [feature.name for feature in found]
    twice = [feature.name for feature in own if names.count(feature.name) > 1]
    if twice:
        raise ConfigError(f"`features.extra`: there is a column `{twice[0]}` already; choose another name")
    return found


def build(
    bars: Mapping[str, NDArray[np.float64]] | pd.DataFrame,
    timestamps: object,
    params: FeatureParams,
    context: Context | None = None,
) -> NDArray[np.float64]:
    """Every feature of every bar of ONE symbol.

    Args:
        bars: (n,) arrays or a frame with the columns of `columns.BAR`, in time order; optional ones may be
            NaN or absent.
        timestamps: (n,) opens of the bars, UTC.
        params: thresholds, context and users' columns.
        context: whose bars these are, and the closes of the symbols that `params.context` declares; needed if
            it declares any.

    Returns:
        (n, len(declared(params))) float64, columns in the order of `declared`, each of them contiguous
        (Fortran order): columns are what parquet, scalers and whoever selects some of them read.

    Raises:
        DataError: see `inputs.inputs`, `context.context_columns`, `extra.extra_columns`.
    """
    x = inputs(bars, timestamps)
    width = len(FEATURES) + len(extra.names(params.extra))
    matrix = np.empty((len(x), width), order="F")
    if len(x) == 0:
        return matrix
    flat, start = matrix.reshape(-1, order="F"), 0  # a view
    for group in _computed(x, bars, params, context):
        if group:
            end = start + len(group) * len(x)
            np.concatenate(list(group.values()), out=flat[start:end])
            start = end
        del group  # not held while the next one is computed
    return matrix


def names(group: str | None = None, features: Sequence[Feature] = FEATURES) -> tuple[str, ...]:
    """Names in table order, all or those that `group` ("pattern", "indicator", "policy") reads."""
    if group is not None and group not in GROUPS:
        raise DataError(f"no feature group `{group}`; the groups are {GROUPS}")
    return tuple(feature.name for feature in features if group is None or group in feature.groups)


def feature(name: str, features: Sequence[Feature] = FEATURES) -> Feature:
    """The feature called `name`.

    Raises:
        DataError: there is none; the schema was made by another version of the table.
    """
    for one in features:
        if one.name == name:
            return one
    raise DataError(
        f"no feature `{name}` in this table of {len(features)}; rebuild the features or the bundle"
    )


def positions(selected: Iterable[str], features: Sequence[Feature] = FEATURES) -> NDArray[np.int64]:
    """Column positions of `selected` in the matrix that `build` returns."""
    order = {column.name: j for j, column in enumerate(features)}
    return np.array([order[feature(name, features).name] for name in selected], dtype=np.int64)


def required_bars(window_bars: int, features: Sequence[Feature] = FEATURES) -> int:
    """Bars a request must hold so that its last `window_bars` rows equal those of the full history.

    Args:
        window_bars: bars an expert sees.
        features: columns of the table.

    Returns:
        `window_bars - 1` plus the longest window of a feature: 442 for 60, 15 days and what has passed of the
        next.
    """
    return window_bars - 1 + max(feature.window for feature in features)


def schema_hash(selected: Sequence[str], features: Sequence[Feature] = FEATURES) -> str:
    """SHA-256 hex over the ordered columns and their definitions: equal hashes read the same numbers."""
    schema = [feature(name, features).as_dict() for name in selected]
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


#: Columns that the observation needs whatever their coverage.
REQUIRED: frozenset[str] = frozenset((*columns.MARKET_STATE, *columns.REGIME_STATE))
