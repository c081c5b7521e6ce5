"""The ordered list of features and the one builder that training, backtest and server share.

Enters: one symbol's bars. Leaves: a matrix (bars, features), unscaled, NaN in warm-up only. Every value at
bar t depends on bars up to t alone. Prices and amounts never enter as such: every column is scale free.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import FeatureParams
from xrl.errors import DataError
from xrl.features.calendar import calendar
from xrl.features.flow import flow
from xrl.features.indicators import indicators
from xrl.features.inputs import inputs
from xrl.features.patterns import patterns
from xrl.features.regime import regime
from xrl.features.rolling import Array
from xrl.features.vsa import volume_spread

GROUPS = ("pattern", "indicator", "policy")
#: Bars after which Wilder's averages (14) and exponential ones (up to 26) have forgotten their start to 1e-9
#: of the column's standard deviation; ADX averages an average.
SETTLED, SETTLED_TWICE = 341, 381


@dataclass(frozen=True)
class Feature:
    """One column of the table.

    Attributes:
        name: column name.
        groups: who reads it, of `GROUPS`.
        unit: unit or range of the unscaled value.
        window: bars of history, the bar itself included, that fix the value to 1e-9 of its deviation.
        warmup: leading bars of a history whose value is NaN.
        nan: what stands where the definition fails or the input is absent.
        source: columns or inputs it is made of; `taker`, `funding` and `open_interest` may be absent.
    """

    name: str
    groups: frozenset[str]
    unit: str
    window: int
    warmup: int
    nan: str
    source: str

    def as_dict(self) -> dict[str, object]:
        """JSON form, groups in the order of `GROUPS`."""
        return {**self.__dict__, "groups": [group for group in GROUPS if group in self.groups]}


def _feature(
    name: str, groups: str, unit: str, window: int, warmup: int, nan: str, source: str = "price"
) -> Feature:
    readers = {"P": "pattern", "I": "indicator", "O": "policy"}
    return Feature(name, frozenset(readers[letter] for letter in groups), unit, window, warmup, nan, source)


#: Readers: P pattern expert, I indicator expert, O observation of the policy.
FEATURES: tuple[Feature, ...] = (
    # indicators
    _feature("rsi", "I", "0..100", SETTLED, 14, "50 if the price stands still"),
    _feature("stochrsi_k", "I", "0..1", SETTLED, 29, "0.5 if RSI stands still"),
    _feature("stochrsi_d", "I", "0..1", SETTLED, 31, "0.5 if RSI stands still"),
    _feature("williams_r", "I", "-100..0", 14, 13, "-50 without a range"),
    _feature("cci", "I", "mean deviations / 0.015", 20, 19, "0 without deviation"),
    _feature("mfi", "I", "0..100", 15, 14, "50 without flow", "price, volume"),
    _feature("adx", "I", "0..100", SETTLED_TWICE, 27, "0 if the price stands still"),
    _feature("di_difference", "I", "-100..100", SETTLED, 14, "0 if the price stands still"),
    _feature("bollinger_position", "I", "bands, 0 lower, 1 upper", 20, 19, "0.5 without deviation"),
    _feature("bollinger_width", "I", "share of the middle", 20, 19, "0 without deviation"),
    _feature("atr_close", "I", "share of the close", SETTLED, 14, "never"),
    _feature("macd_hist_atr", "I", "ATR", SETTLED, 33, "0 without ATR"),
    _feature("ema_fast_atr", "I", "ATR", SETTLED, 14, "0 without ATR"),
    _feature("ema_slow_atr", "I", "ATR", SETTLED, 25, "0 without ATR"),
    _feature("sma_96_atr", "I", "ATR", SETTLED, 95, "0 without ATR"),
    _feature("return_1", "PI", "60-bar volatilities", 61, 60, "0 if the price stands still"),
    _feature("return_3", "PI", "60-bar volatilities", 61, 60, "0 if the price stands still"),
    _feature("return_6", "PI", "60-bar volatilities", 61, 60, "0 if the price stands still"),
    _feature("return_12", "PI", "60-bar volatilities", 61, 60, "0 if the price stands still"),
    _feature("return_24", "PI", "60-bar volatilities", 61, 60, "0 if the price stands still"),
    _feature(
        "volatility_ratio", "PI", "12-bar over 60-bar volatility", 61, 60, "1 if the price stands still"
    ),
    # bars and patterns
    _feature("close_position", "PIO", "0..1", 1, 0, "0.5 at zero spread"),
    _feature("body_ratio", "P", "-1..1", 1, 0, "0 at zero spread"),
    _feature("upper_shadow", "P", "0..1", 1, 0, "0 at zero spread"),
    _feature("lower_shadow", "P", "0..1", 1, 0, "0 at zero spread"),
    _feature("doji", "P", "0 or 1", 1, 0, "0 at zero spread"),
    _feature("engulfing", "P", "-1, 0, 1", 2, 1, "never"),
    _feature("pin_bar", "P", "-1, 0, 1", 1, 0, "0 at zero spread"),
    _feature("inside_bar", "P", "0 or 1", 2, 1, "never"),
    _feature("star", "P", "-1, 0, 1", 12, 11, "never"),
    _feature("fractal", "P", "-1, 0, 1", 5, 4, "never"),
    _feature("range_position_24", "P", "0..1", 24, 23, "0.5 without a range"),
    _feature("range_position_96", "P", "0..1", 96, 95, "0.5 without a range"),
    # volume spread analysis
    _feature("spread_atr", "PIO", "ATR", SETTLED, 14, "0 without ATR"),
    _feature("volume_ratio", "IO", "20-bar means", 20, 19, "1 without volume", "volume"),
    _feature("buying_climax", "IO", "0 or 1", 20, 19, "never", "price, volume"),
    _feature("selling_climax", "IO", "0 or 1", 20, 19, "never", "price, volume"),
    _feature("narrow_spread_high_volume", "I", "0 or 1", 20, 19, "never", "price, volume"),
    _feature("low_volume_test", "I", "0 or 1", 20, 19, "never", "price, volume"),
    _feature("effort_result", "IO", "-1..1", SETTLED, 19, "0 without spread and volume", "price, volume"),
    _feature("vsa_signal", "IO", "-1..1", 20, 19, "never", "price, volume"),
    _feature("volume_node_distance", "I", "ATR", SETTLED, 14, "0 without ATR", "price, volume"),
    # volume, taker flow, funding, open interest
    _feature("volume_trend", "I", "0..1", 60, 59, "0.5 without volume", "volume"),
    _feature("volume_return_12", "I", "60-bar volatilities", 61, 60, "0 without volume", "price, volume"),
    _feature("volume_return_24", "I", "60-bar volatilities", 61, 60, "0 without volume", "price, volume"),
    _feature("confirmed_move_12", "I", "60-bar volatilities", 61, 60, "0 without movement", "price, volume"),
    _feature("taker_imbalance", "IO", "-1..1", 1, 0, "0 where absent", "taker"),
    _feature("taker_imbalance_12", "I", "-1..1", 12, 0, "0 where absent", "taker"),
    _feature("taker_available", "I", "0 or 1", 1, 0, "never", "taker"),
    _feature("funding_rate_last", "IO", "fraction of notional", 48, 0, "0 where absent", "funding"),
    _feature("funding_z", "IO", "standard deviations", 240, 0, "0 where absent", "funding"),
    _feature("funding_available", "I", "0 or 1", 48, 0, "never", "funding"),
    _feature("open_interest_change", "I", "log over 12 bars", 13, 0, "0 where absent", "open_interest"),
    _feature("open_interest_available", "I", "0 or 1", 13, 0, "never", "open_interest"),
    # regime
    _feature("regime_up", "IO", "0 or 1", 61, 60, "0 if the price stands still"),
    _feature("regime_down", "IO", "0 or 1", 61, 60, "0 if the price stands still"),
    _feature("regime_sideways", "IO", "0 or 1", 61, 60, "1 if the price stands still"),
    _feature("regime_volatility", "IO", "0..1", 169, 24, "0.5 if the price stands still"),
    _feature("regime_volume", "IO", "0..1", 168, 23, "0.5 without volume", "volume"),
    # calendar
    _feature("hour_sin", "PI", "-1..1", 1, 0, "never", "calendar"),
    _feature("hour_cos", "PI", "-1..1", 1, 0, "never", "calendar"),
    _feature("week_sin", "PI", "-1..1", 1, 0, "never", "calendar"),
    _feature("week_cos", "PI", "-1..1", 1, 0, "never", "calendar"),
    _feature("week_sin_2", "PI", "-1..1", 1, 0, "never", "calendar"),
    _feature("week_cos_2", "PI", "-1..1", 1, 0, "never", "calendar"),
    _feature("weekend_ahead", "PI", "0..1", 1, 0, "never", "calendar"),
)
_BY_NAME: Mapping[str, Feature] = {feature.name: feature for feature in FEATURES}


def build(
    bars: Mapping[str, NDArray[np.float64]] | pd.DataFrame, timestamps: object, params: FeatureParams
) -> NDArray[np.float64]:
    """Every feature of every bar of ONE symbol.

    Args:
        bars: (n,) arrays or a frame with the columns of `columns.BAR`, in time order; optional ones may be
            NaN or absent.
        timestamps: (n,) opens of the bars, UTC.
        params: thresholds.

    Returns:
        (n, len(FEATURES)) float64, C order, columns in the order of `FEATURES`.

    Raises:
        DataError: see `inputs.inputs`.
    """
    x = inputs(bars, timestamps)
    if len(x) == 0:
        return np.empty((0, len(FEATURES)))
    found: dict[str, Array] = {
        **indicators(x),
        **patterns(x),
        **volume_spread(x, params),
        **flow(x),
        **regime(x),
        **calendar(x.timestamp),
    }
    matrix = np.empty((len(x), len(FEATURES)))
    for j, feature in enumerate(FEATURES):
        matrix[:, j] = found[feature.name]
    return matrix


def names(group: str | None = None) -> tuple[str, ...]:
    """Feature names in table order, all or those that `group` ("pattern", "indicator", "policy") reads."""
    if group is not None and group not in GROUPS:
        raise DataError(f"no feature group `{group}`; the groups are {GROUPS}")
    return tuple(feature.name for feature in FEATURES if group is None or group in feature.groups)


def feature(name: str) -> Feature:
    """The feature called `name`.

    Raises:
        DataError: there is none; the schema was made by another version of the table.
    """
    if name not in _BY_NAME:
        raise DataError(
            f"no feature `{name}` in this table of {len(FEATURES)}; rebuild the features or the bundle"
        )
    return _BY_NAME[name]


def positions(selected: Iterable[str]) -> NDArray[np.int64]:
    """Column positions of `selected` in the matrix that `build` returns."""
    order = {column.name: j for j, column in enumerate(FEATURES)}
    return np.array([order[feature(name).name] for name in selected], dtype=np.int64)


def required_bars(window_bars: int) -> int:
    """Bars a request must hold so that its last `window_bars` rows equal those of the full history.

    Args:
        window_bars: bars an expert sees.

    Returns:
        `window_bars - 1` plus the longest window of a feature: 440 for 60.
    """
    return window_bars - 1 + max(feature.window for feature in FEATURES)


def schema_hash(selected: Sequence[str]) -> str:
    """SHA-256 hex over the ordered columns and their definitions: equal hashes read the same numbers."""
    schema = [feature(name).as_dict() for name in selected]
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


#: Columns that the observation needs whatever their coverage.
REQUIRED: frozenset[str] = frozenset((*columns.MARKET_STATE, *columns.REGIME_STATE))
