"""Maintenance-margin tiers: the larger a position, the more margin must stay behind it.

Enters: a venue's brackets. Leaves: the maintenance margin of a notional, and the liquidation price by the
bracket of the notional there. Within bracket n the margin is `notional * rate_n - amount_n`, where
`amount_n = amount_(n-1) + floor_n (rate_n - rate_(n-1))` makes it continuous. Source: Binance FAQ
b3c689c1f50a44cabb3a84e663b81d93.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import njit
from xrl.account.margin import liquidation_price
from xrl.errors import ConfigError


class Tiers(NamedTuple):
    """Brackets of one symbol, ascending; notionals in quote currency."""

    floor: NDArray[np.float64]  # (tiers,) smallest notional; the first is 0
    rate: NDArray[np.float64]  # (tiers,) fraction of notional
    amount: NDArray[np.float64]  # (tiers,) the deduction `cum`


def tiers_of(brackets: Sequence[tuple[float, float]]) -> Tiers:
    """Tiers of (floor, rate) pairs.

    Raises:
        ConfigError: there is none, the first floor is not 0, or floors or rates do not rise.
    """
    floor, rate = (np.array(column, dtype=np.float64) for column in zip(*brackets)) if brackets else (None, None)
    if floor is None or floor[0] != 0.0 or (np.diff(floor) <= 0).any() or (np.diff(rate) < 0).any():
        raise ConfigError(
            "`tiers` must be pairs of [smallest notional, rate], the first notional 0, notionals rising and "
            f"rates not falling; received {list(brackets)}"
        )
    if rate[0] <= 0.0 or rate[-1] >= 1.0:
        raise ConfigError(f"maintenance rates must lie between 0 and 1; received {rate.tolist()}")
    steps = floor[1:] * np.diff(rate)
    return Tiers(floor, rate, np.concatenate([[0.0], np.cumsum(steps)]))


@njit
def maintenance_margin(notional: float, tiers: Tiers) -> float:
    """Margin below which a position of `notional` is liquidated, quote currency.

    Rates rise, so the brackets' lines `notional * rate - amount` bound each other: the largest is in force.
    """
    margin = 0.0
    for n in range(len(tiers.floor)):
        margin = max(margin, notional * tiers.rate[n] - tiers.amount[n])
    return margin


@njit
def tiered_liquidation_price(quantity: float, entry: float, wallet: float, tiers: Tiers) -> float:
    """`margin.liquidation_price` by the bracket that holds the notional at that very price.

    It is the first price that any bracket's line meets: the highest for a long, the lowest for a short.

    Args:
        quantity: signed coins, not 0.
        entry: average entry price.
        wallet: isolated wallet balance without unrealised profit.
        tiers: of the symbol.

    Returns:
        The price; at or below 0 when a long cannot be liquidated.
    """
    price = liquidation_price(quantity, entry, wallet, tiers.rate[0], tiers.amount[0])
    for n in range(1, len(tiers.floor)):
        other = liquidation_price(quantity, entry, wallet, tiers.rate[n], tiers.amount[n])
        price = max(price, other) if quantity > 0.0 else min(price, other)
    return price
