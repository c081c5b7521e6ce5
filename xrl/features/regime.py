"""The state of the market in five bounded numbers. Enters: `Inputs`. Leaves: (n,) arrays in 0..1.

Trend: the 48-bar log return in units of what 60-bar volatility foresees for 48 bars; beyond +-1 the market
goes up or down, else sideways (one of three is 1). Volatility and volume: short over short plus long, 0.5
where both are alike; the long window is 168 bars, of fewer at the start of a history.
"""

import numpy as np

from xrl.features.feature import Feature, declare
from xrl.features.inputs import Inputs
from xrl.features.rolling import Array, delay, ratio, trailing_sum

TREND_BARS = 48
TREND_BOUND = 1.0
SHORT_BARS, LONG_BARS = 24, 168

_TREND = "48-bar return beyond what 60-bar volatility foresees for 48 bars"

FEATURES: tuple[Feature, ...] = (
    declare("regime_up", "IO", "0 or 1", (61, 60), "0 if the price stands still", _TREND),
    declare("regime_down", "IO", "0 or 1", (61, 60), "0 if the price stands still", _TREND),
    declare("regime_sideways", "IO", "0 or 1", (61, 60), "1 if the price stands still", _TREND),
    declare(
        *("regime_volatility", "IO", "0..1", (169, 24), "0.5 if the price stands still"),
        "24-bar volatility over itself plus that of 168 bars, of fewer at the start",
    ),
    declare(
        *("regime_volume", "IO", "0..1", (168, 23), "0.5 without volume"),
        "24-bar mean volume over itself plus that of 168 bars, of fewer at the start",
        "volume",
    ),
)


def regime(x: Inputs) -> dict[str, Array]:
    """The columns of `columns.REGIME_STATE`."""
    moved = x.log_close - delay(x.log_close, TREND_BARS)
    trend = ratio(moved, x.volatility * TREND_BARS**0.5, undefined=0.0, floor=1e-9)
    unknown = np.isnan(trend)
    up, down = trend > TREND_BOUND, trend < -TREND_BOUND
    volume_short = x.volume_24 / SHORT_BARS
    volume_long = trailing_sum(x.volume, LONG_BARS) / np.minimum(np.arange(len(x)) + 1.0, LONG_BARS)
    return {
        "regime_up": np.where(unknown, np.nan, up),
        "regime_down": np.where(unknown, np.nan, down),
        "regime_sideways": np.where(unknown, np.nan, ~(up | down)),
        "regime_volatility": ratio(x.volatility_24, x.volatility_24 + x.volatility_168, 0.5, 1e-9),
        "regime_volume": ratio(volume_short, volume_short + volume_long, undefined=0.5),
    }
