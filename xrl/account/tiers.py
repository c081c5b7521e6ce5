"""Maintenance-margin tiers: the larger a position, the more margin must stay behind it.

Enters: a venue's brackets. Leaves: the maintenance margin of a notional, and the liquidation price by the
bracket of the notional there. Within bracket n the margin is `notional * rate_n - amount_n`, where
`amount_n = amount_(n-1) + floor_n (rate_n - rate_(n-1))` makes it continuous. Source: Binance FAQ
b3c689c1f50a44cabb3a84e663b81d93.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from xrl.account.compiled import inlined
from xrl.account.margin import liquidation_price
from xrl.errors import ConfigError

#: Largest number of brackets; tables are filled up to it, so that compiled code knows their length.
LENGTH: Final = 10


class Tiers(NamedTuple):
    """Brackets of one symbol, ascending, the last one repeated up to `LENGTH`.

    Rates rise, so the brackets' lines `notional * rate - amount` bound each other and no floor is needed.
    """

    rate: tuple[float, ...]  # fraction of notional
    amount: tuple[float, ...]  # the deduction `cum`, quote currency


def tiers_of(brackets: Sequence[tuple[float, float]]) -> Tiers:
    """Tiers of (smallest notional, rate) pairs.

    Raises:
        ConfigError: none or too many, a first notional that is not 0, notionals or rates that do not rise.
    """
    floors, rates = [float(floor) for floor, _ in brackets], [float(rate) for _, rate in brackets]
    in_order = all(a < b for a, b in pairwise(floors)) and all(a <= b for a, b in pairwise(rates))
    if not 0 < len(brackets) <= LENGTH or floors[0] != 0.0 or not in_order:
        raise ConfigError(
            f"`tiers` must be 1 to {LENGTH} pairs of [smallest notional, rate], the first notional 0, "
            f"notionals rising and rates not falling; received {list(brackets)}"
        )
    if rates[0] <= 0.0 or rates[-1] >= 1.0:
        raise ConfigError(f"maintenance rates must lie between 0 and 1; received {rates}")
    amounts = [0.0]
    for floor, (low, high) in zip(floors[1:], pairwise(rates)):
        amounts.append(amounts[-1] + floor * (high - low))
    beyond = LENGTH - len(brackets)
    return Tiers((*rates, *[rates[-1]] * beyond), (*amounts, *[amounts[-1]] * beyond))


@inlined
def maintenance_margin(notional: float, tiers: Tiers) -> float:
    """Margin below which a position of `notional` is liquidated, quote currency: the largest line's."""
    margin = 0.0
    for n in range(LENGTH):
        margin = max(margin, notional * tiers.rate[n] - tiers.amount[n])
    return margin


@inlined
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
    price: float = liquidation_price(quantity, entry, wallet, tiers.rate[0], tiers.amount[0])
    for n in range(1, LENGTH):
        other = liquidation_price(quantity, entry, wallet, tiers.rate[n], tiers.amount[n])
        price = max(price, other) if quantity > 0.0 else min(price, other)
    return price
