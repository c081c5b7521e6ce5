"""What a fill costs. Enters: notional, the market's recent size and unrest. Leaves: fractions of price.

Slippage of a taker: a constant, a share of one bar's volatility, and the square root of the order's size
relative to what is traded in a bar (Almgren et al. 2005, "Direct Estimation of Equity Market Impact"). A
resting order is filled at its price and pays the maker's fee.
"""

import math
from typing import NamedTuple

from xrl.account.compiled import inlined
from xrl.config import BacktestParams


class Terms(NamedTuple):
    """What trading costs and allows; fractions, not bps."""

    taker: float  # of notional, a side
    maker: float  # of notional, of resting orders; negative: a rebate
    slippage: float  # of price, a side, always against the order
    slippage_volatility: float  # on top, in standard deviations of one bar's log return
    slippage_size: float  # on top, times sqrt(notional / volume of a bar)
    liquidation_fee: float  # of notional, out of what the margin has left
    max_leverage: float  # largest |target|
    capital: float  # what an account is opened with, quote currency


def terms_of(params: BacktestParams, cost_factor: float = 1.0) -> Terms:
    """Terms of the section `backtest`; fees and slippage times `cost_factor` (liquidation fee unchanged)."""
    return Terms(
        taker=params.taker_fee_bps * 1e-4 * cost_factor,
        maker=params.maker_fee_bps * 1e-4 * cost_factor,
        slippage=params.slippage_bps * 1e-4 * cost_factor,
        slippage_volatility=params.slippage_volatility * cost_factor,
        slippage_size=params.slippage_size * cost_factor,
        liquidation_fee=params.liquidation_fee_bps * 1e-4,
        max_leverage=float(params.max_leverage),
        capital=float(params.account_usdt),
    )


@inlined
def slippage(notional: float, volatility: float, volume: float, terms: Terms) -> float:
    """Fraction of price by which a taker's fill is worse than the price it meets.

    Args:
        notional: of the order, quote currency.
        volatility: standard deviation of one bar's log return, as known when the order is sent.
        volume: quote currency traded in a bar, of late, as known then; 0: unknown, nothing is added for size.
        terms: the factors.
    """
    found = terms.slippage + terms.slippage_volatility * volatility
    if terms.slippage_size > 0.0 and volume > 0.0:
        found += terms.slippage_size * math.sqrt(notional / volume)
    return found
