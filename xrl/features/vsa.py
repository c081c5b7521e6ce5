"""Volume Spread Analysis: what a bar's volume bought in spread and close. Enters: `Inputs`. Leaves: arrays.

The two climaxes bear the names of our source, the reverse of the usual VSA literature: its `buying_climax` is
a high-volume bar that closes below the previous close but near its own high (demand absorbs the selling, read
as bullish; the literature's selling climax), `selling_climax` is the mirror. Thresholds are `FeatureParams`.
"""

import numpy as np
from numpy.typing import NDArray

from xrl.config import FeatureParams
from xrl.features.feature import SETTLED, Feature, declare
from xrl.features.inputs import Inputs
from xrl.features.rolling import Array, delay, ratio, rolling_argmax, rolling_mean

#: Bars among which the busiest is sought: a level at which much changed hands.
NODE_WINDOW = 60
SIGNAL_BARS = 12


def features(volume_window: int) -> tuple[Feature, ...]:
    """What is declared of every VSA column; the windows follow `FeatureParams.volume_window`."""
    own = (volume_window, volume_window - 1)
    settled = (max(SETTLED, NODE_WINDOW + volume_window), max(14, volume_window - 1))
    signals = (volume_window + SIGNAL_BARS - 1, volume_window + SIGNAL_BARS - 2)
    never, text, both = "never", "source text; thresholds are parameters", "price, volume"
    absent = "0 without spread and volume"
    return (
        declare("spread_atr", "PIO", "ATR", (SETTLED, 14), "0 without ATR", "(high - low) / ATR"),
        declare("volume_ratio", "IO", f"{volume_window}-bar means", own, "1 without volume", text, "volume"),
        declare("buying_climax", "IO", "0 or 1", own, never, text, both),
        declare("selling_climax", "IO", "0 or 1", own, never, text, both),
        declare("narrow_spread_high_volume", "I", "0 or 1", own, never, text, both),
        declare("low_volume_test", "I", "0 or 1", own, never, text, both),
        declare("effort_result", "IO", "-1..1", settled, absent, "spread against volume, see `vsa`", both),
        declare("effort_to_move", "I", "-1..1", settled, absent, "volume against move, see `vsa`", both),
        declare("vsa_signal", "IO", "-1..1", own, never, "weighted sum of the flags, see `vsa`", both),
        declare("vsa_signal_12", "I", "-1..1", signals, never, "mean `vsa_signal` of 12 bars", both),
        declare(
            *("volume_node_distance", "I", "ATR", (SETTLED, 14), "0 without ATR"),
            "close above that of the busiest of 60 bars",
            both,
        ),
        declare("high_volume_support", "I", "0 or 1", settled, never, "a busy level held from above", both),
        declare(
            "high_volume_resistance", "I", "0 or 1", settled, never, "a busy level held from below", both
        ),
    )


def volume_spread(x: Inputs, params: FeatureParams) -> dict[str, Array]:
    """Every VSA column. Without volume in the whole window the volume ratio is 1; flags are 0 or 1.

    `effort_result` is (spread - effort) / (spread + effort) with the spread in ATR and the volume ratio as
    effort: -1 much volume in a narrow bar, 1 a wide bar on no volume. `effort_to_move` sets the volume ratio
    against the move of the close in ATR: 1 effort without a move, -1 a move without effort.
    """
    volume_ratio = ratio(x.volume, rolling_mean(x.volume, params.volume_window), undefined=1.0)
    spread_atr = x.in_atr(x.spread)
    position, before = x.close_position, x.previous_close
    up, down = x.close > before, x.close < before
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
    unknown = np.isnan(volume_ratio)
    found = {name: np.where(unknown, np.nan, flag) for name, flag in flags.items()}
    signal = _signal(found, position, volume_ratio / params.climax_volume_ratio)
    node = rolling_argmax(x.volume, NODE_WINDOW)
    return {
        "spread_atr": spread_atr,
        "volume_ratio": volume_ratio,
        **found,
        "effort_result": ratio(spread_atr - volume_ratio, spread_atr + volume_ratio, undefined=0.0),
        "effort_to_move": _effort_to_move(x, volume_ratio),
        "vsa_signal": signal,
        "vsa_signal_12": rolling_mean(signal, SIGNAL_BARS),
        "volume_node_distance": x.in_atr(x.close - x.close[node]),
        **_levels(x, params, volume_ratio, node),
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


def _effort_to_move(x: Inputs, effort: Array) -> Array:
    move = x.in_atr(np.abs(x.close - x.previous_close))
    return ratio(effort - move, effort + move, undefined=0.0)


def _levels(
    x: Inputs, params: FeatureParams, volume_ratio: Array, node: NDArray[np.int64]
) -> dict[str, Array]:
    """Whether the level of high volume before this bar was tested and held.

    The level is the close of the busiest of the 60 bars before, if its volume ratio exceeds
    `level_volume_ratio`. Support: both closes lie above it and the low comes within `level_distance_atr` of
    it; resistance is the mirror.
    """
    level = delay(np.where(volume_ratio[node] > params.level_volume_ratio, x.close[node], np.nan), 1)
    near = params.level_distance_atr * x.atr
    above = np.minimum(x.close, x.previous_close) > level
    below = np.maximum(x.close, x.previous_close) < level
    unknown = np.isnan(volume_ratio) | np.isnan(x.atr)
    return {
        "high_volume_support": np.where(unknown, np.nan, above & (x.low <= level + near)),
        "high_volume_resistance": np.where(unknown, np.nan, below & (x.high >= level - near)),
    }
