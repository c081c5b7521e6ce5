"""Margin of one isolated perpetual position: liquidation price and funding.

Enters: signed quantity in coins (long > 0), prices and balances in quote currency. Source: Binance FAQ
b3c689c1f50a44cabb3a84e663b81d93 (liquidation price of USD-M futures) and 360033525031 (funding).
"""

from xrl.account.compiled import njit


@njit
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


@njit
def funding_payment(quantity: float, mark: float, rate: float) -> float:
    """Quote currency the holder pays at a settlement (negative: receives); longs pay a positive rate."""
    return quantity * mark * rate
