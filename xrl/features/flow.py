"""Who pushed the price, and what holding costs: volume, taker flow, funding, open interest.

Enters: `Inputs`. Leaves: (n,) arrays. Taker volume, funding and open interest may be absent, wholly or in
parts: their columns are then 0 and the flag `*_available` of that bar is 0; no bar is dropped.
"""

import numpy as np

from xrl.features.inputs import Inputs
from xrl.features.rolling import Array, delay, ratio, rolling_sum, trailing_sum

#: Bars behind the funding z-score: 30 settlements at one every 8 hours.
FUNDING_WINDOW = 240
#: A funding rate older than this is not known any more.
FUNDING_AGE = 48
FUNDING_SETTLEMENTS = 5
#: Rates that differ by less than this fraction of notional (0.001 bps) count as constant.
FUNDING_FLOOR = 1e-7
OPEN_INTEREST_BARS = 12
TAKER_BARS = 12


def flow(x: Inputs) -> dict[str, Array]:
    """Every flow column; see `table.FEATURES` for units and warm-up."""
    return {**_volume(x), **_taker(x), **_funding(x), **_open_interest(x)}


def _volume(x: Inputs) -> dict[str, Array]:
    """Whether moves came with volume.

    `volume_return_w` is the volume-weighted mean one-bar return of w bars over 60-bar volatility;
    `confirmed_move_12` is the 12-bar return in volatilities times twice the share `volume_trend`, which is
    short over short plus long mean volume (0.5 where both are alike or no volume was traded).
    """
    short, long = rolling_sum(x.volume, 12) / 12.0, rolling_sum(x.volume, 60) / 60.0
    trend = ratio(short, short + long, undefined=0.5)
    move = ratio(rolling_sum(x.log_return, 12), x.volatility * 12**0.5, undefined=0.0, floor=1e-9)
    return {
        "volume_trend": trend,
        "volume_return_12": _volume_return(x, 12),
        "volume_return_24": _volume_return(x, 24),
        "confirmed_move_12": 2.0 * trend * move,
    }


def _volume_return(x: Inputs, window: int) -> Array:
    weighted = rolling_sum(x.log_return * x.volume, window)
    mean = ratio(weighted, rolling_sum(x.volume, window), undefined=0.0)
    return ratio(mean, x.volatility, undefined=0.0, floor=1e-9)


def _taker(x: Inputs) -> dict[str, Array]:
    """Taker buys minus taker sells over volume, of the bar and of the last 12 bars that report it."""
    bought = np.full(len(x), np.nan) if x.taker_buy_volume is None else x.taker_buy_volume
    known = np.isfinite(bought)
    net = np.where(known, np.clip(2.0 * bought - x.volume, -x.volume, x.volume), 0.0)
    volume = np.where(known, x.volume, 0.0)
    return {
        "taker_imbalance": ratio(net, volume, undefined=0.0),
        "taker_imbalance_12": ratio(
            trailing_sum(net, TAKER_BARS), trailing_sum(volume, TAKER_BARS), undefined=0.0
        ),
        "taker_available": known.astype(np.float64),
    }


def _funding(x: Inputs) -> dict[str, Array]:
    """Last settled rate, and its z-score among the settlements of the last 240 bars."""
    rates = np.full(len(x), np.nan) if x.funding_rate is None else x.funding_rate
    settled = np.isfinite(rates)
    position = np.arange(len(x))
    last = np.maximum.accumulate(np.where(settled, position, -1)) if len(x) else position
    known = (last >= 0) & (position - last < FUNDING_AGE)
    paid = np.where(settled, rates, 0.0)
    current = np.where(known, paid[last] if len(x) else paid, 0.0)
    count = trailing_sum(settled.astype(np.float64), FUNDING_WINDOW)
    mean = ratio(trailing_sum(paid, FUNDING_WINDOW), count, undefined=0.0)
    square = ratio(trailing_sum(paid * paid, FUNDING_WINDOW), count, undefined=0.0)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
    score = ratio(current - mean, deviation, undefined=0.0, floor=FUNDING_FLOOR)
    return {
        "funding_rate_last": current,
        "funding_z": np.where(known & (count >= FUNDING_SETTLEMENTS), score, 0.0),
        "funding_available": known.astype(np.float64),
    }


def _open_interest(x: Inputs) -> dict[str, Array]:
    """Log change of open interest over 12 bars."""
    held = np.full(len(x), np.nan) if x.open_interest is None else x.open_interest
    before = delay(held, OPEN_INTEREST_BARS)
    known = (held > 0) & (before > 0) & np.isfinite(held) & np.isfinite(before)
    change = np.log(np.where(known, held, 1.0)) - np.log(np.where(known, before, 1.0))
    return {"open_interest_change": change, "open_interest_available": known.astype(np.float64)}
