"""Margin of one perpetual position: liquidation and bankruptcy prices, funding.

Enters: signed quantity in coins (long > 0), prices and balances in quote currency. Sources: Binance FAQ
b3c689c1f50a44cabb3a84e663b81d93 (liquidation price of USD-M futures) and 360033525031 (funding); Bybit help
centre, "Liquidation Price (USDT Contract)"; Gate and OKX, whose formulas hold the taker fee of the closing
trade back. The account engine uses Binance's, with tiers (`account.tiers`).
"""

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import inlined

#: A position opened so soon after a settlement still pays it, and one closed at it does (seconds).
SETTLEMENT_GRACE_S = 15.0


@inlined
def liquidation_price(
    quantity: float,
    entry: float,
    wallet: float,
    maintenance_rate: float,
    maintenance_amount: float = 0.0,
    other_positions: float = 0.0,
) -> float:
    """Mark price at which the margin balance equals the maintenance margin.

    `LP = (wallet + other_positions + amount - quantity * entry) / (|quantity| * rate - quantity)`

    Args:
        quantity: signed coins, not 0.
        entry: average entry price.
        wallet: isolated wallet balance without unrealised profit.
        maintenance_rate: fraction of notional.
        maintenance_amount: the tier's deduction `cum`, quote currency.
        other_positions: cross margin only: unrealised profit less maintenance margin of the other positions.

    Returns:
        The price; at or below 0 when a long cannot be liquidated.
    """
    available = wallet + other_positions + maintenance_amount
    return (available - quantity * entry) / (abs(quantity) * maintenance_rate - quantity)


def liquidation_price_gate(
    quantity: float, entry: float, wallet: float, maintenance_rate: float, taker_fee: float
) -> float:
    """Gate's and OKX's price: `(entry - s wallet / |quantity|) / (1 - s (rate + taker))`, s the side.

    Args:
        quantity, entry, wallet, maintenance_rate: as in `liquidation_price`.
        taker_fee: of notional, of the trade that closes.
    """
    side = 1.0 if quantity > 0.0 else -1.0
    return (entry - side * wallet / abs(quantity)) / (1.0 - side * (maintenance_rate + taker_fee))


def liquidation_price_bybit(quantity: float, entry: float, wallet: float, maintenance_rate: float) -> float:
    """Bybit's price of USDT contracts, whose maintenance margin is that of the entry:
    `entry - s (initial margin - maintenance margin) / |quantity|`.
    """
    return entry - (wallet - abs(quantity) * entry * maintenance_rate) / quantity


@inlined
def bankruptcy_price(quantity: float, entry: float, wallet: float) -> float:
    """Price at which the margin balance is 0; at or below 0 when a long cannot lose it all."""
    return entry - wallet / quantity


@inlined
def funding_payment(quantity: float, mark: float, rate: float) -> float:
    """Quote currency the holder pays at a settlement (negative: receives); longs pay a positive rate."""
    return quantity * mark * rate


def pays_settlement(
    opened: np.datetime64, closed: np.datetime64, settled: NDArray[np.datetime64]
) -> NDArray[np.bool_]:
    """Which settlements a position pays: those from its opening, less the grace, up to its closing.

    A position held from 00:00:00 to 08:00:00 pays both settlements; one opened at 00:00:15 pays the second.

    Args:
        opened, closed: of the position, UTC.
        settled: times of settlement. (settlements,)

    Returns:
        (settlements,)
    """
    grace = np.timedelta64(int(SETTLEMENT_GRACE_S * 1000), "ms")
    return np.asarray((settled > opened - grace) & (settled <= closed))
