"""Volume Spread Analysis: what a bar's volume bought in spread and close. Enters: `Inputs`. Leaves: arrays.

The two climaxes bear the names of our source, the reverse of the usual VSA literature: its `buying_climax` is
a high-volume bar that closes below the previous close but near its own high (demand absorbs the selling, read
as bullish; the literature's selling climax), `selling_climax` is the mirror. Thresholds are `FeatureParams`.
"""

import numpy as np

from xrl.config import FeatureParams
from xrl.features.inputs import Inputs
from xrl.features.patterns import close_position
from xrl.features.rolling import Array, delay, ratio, rolling_argmax, rolling_mean

NODE_WINDOW = 60


def volume_spread(x: Inputs, params: FeatureParams) -> dict[str, Array]:
    """Every VSA column. Without volume in the whole window the volume ratio is 1; flags are 0 or 1."""
    volume_ratio = ratio(x.volume, rolling_mean(x.volume, params.volume_window), undefined=1.0)
    spread_atr = ratio(x.spread, x.atr, undefined=0.0, floor=x.atr_floor)
    position = close_position(x)
    up, down = x.close > delay(x.close, 1), x.close < delay(x.close, 1)
    climax = volume_ratio > params.climax_volume_ratio
    near_high = position > params.climax_close_position
    near_low = position < 1.0 - params.climax_close_position
    narrow = (x.spread / x.close < params.narrow_spread) & (volume_ratio > params.narrow_volume_ratio)
    flags = {
        "buying_climax": down & climax & near_high,
        "selling_climax": up & climax & near_low,
        "narrow_spread_high_volume": narrow,
        "low_volume_test": (volume_ratio < params.test_volume_ratio) & up,
    }
    known = np.isnan(volume_ratio)
    found = {name: np.where(known, np.nan, flag) for name, flag in flags.items()}
    return {
        "spread_atr": spread_atr,
        "volume_ratio": volume_ratio,
        **found,
        "effort_result": ratio(spread_atr - volume_ratio, spread_atr + volume_ratio, undefined=0.0),
        "vsa_signal": _signal(found, position, volume_ratio / params.climax_volume_ratio),
        "volume_node_distance": _node_distance(x),
    }


def _signal(flags: dict[str, Array], position: Array, effort: Array) -> Array:
    """One reading in [-1, 1], positive bullish.

    `0.5 (buying - selling climax) + 0.25 low-volume test + 0.25 narrow * lean + 0.25 lean * min(effort, 1)`,
    where `lean = 2 close_position - 1`; a test excludes climax and narrow, so the sum stays within [-1, 1].
    """
    lean = 2.0 * position - 1.0
    climax = flags["buying_climax"] - flags["selling_climax"]
    pressed = lean * (np.minimum(effort, 1.0) + flags["narrow_spread_high_volume"])
    return np.clip(0.5 * climax + 0.25 * flags["low_volume_test"] + 0.25 * pressed, -1.0, 1.0)


def _node_distance(x: Inputs) -> Array:
    """Close's distance in ATR to the close of the busiest of the last 60 bars: high-volume support (> 0) or
    resistance (< 0)."""
    node = x.close[rolling_argmax(x.volume, NODE_WINDOW)]
    return ratio(x.close - node, x.atr, undefined=0.0, floor=x.atr_floor)
