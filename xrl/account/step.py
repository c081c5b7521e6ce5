"""One bar of one isolated account: the only place where money is made or lost.

Environment, backtest, sandbox exchange and paper bot all call `step`. Enters: the account at the close of
bar t, the target exposure decided there, and bar t+1. Leaves: the account at the close of bar t+1 and what
it paid.

Order within the bar: (1) funding on the position coming in, at the open; (2) a position that the open already
finds below maintenance is liquidated; (3) the order fills at the open, paying fee and slippage;
(4) liquidation against low (long) or high (short); (5) mark at the close. All margin of the account backs its
one position.
"""

import math
from typing import NamedTuple

from xrl.account.compiled import njit
from xrl.account.margin import funding_payment, liquidation_price
from xrl.config import BacktestParams


class Account(NamedTuple):
    """State at a bar's close. Money in quote currency; every field a float."""

    wallet: float  # balance without unrealised profit
    quantity: float  # signed coins, long > 0
    entry: float  # average fill price; 0 when flat
    target: float  # exposure last asked for, signed multiples of equity
    equity: float  # wallet + unrealised profit at the close; never below 0
    peak: float  # largest equity at any close so far
    held: float  # closes seen by this position, 1 on the bar of its fill; 0 when flat
    idle: float  # bars since the last fill
    last_trade: float  # log return of the last closed position, in its favour > 0


class Terms(NamedTuple):
    """What trading costs and allows; fractions, not bps."""

    fee: float  # of notional, a side
    slippage: float  # of price, a side, always against the order
    maintenance: float  # maintenance margin as a fraction of notional
    liquidation_fee: float  # of notional, when liquidated
    max_leverage: float  # largest |target|


class Flows(NamedTuple):
    """What one bar moved, quote currency."""

    costs: float  # fees, slippage and liquidation fee; >= 0
    funding: float  # paid; negative when received
    traded: float  # notional filled at the open price; >= 0
    liquidated: float  # 1.0 when the position was liquidated within the bar


class Step(NamedTuple):
    """The account after a bar and what moved."""

    account: Account
    flows: Flows


def terms_of(params: BacktestParams, cost_factor: float = 1.0) -> Terms:
    """Terms of the section `backtest`; fees and slippage times `cost_factor` (liquidation fee unchanged)."""
    return Terms(
        fee=params.fee_bps * 1e-4 * cost_factor,
        slippage=params.slippage_bps * 1e-4 * cost_factor,
        maintenance=float(params.maintenance_margin),
        liquidation_fee=params.liquidation_fee_bps * 1e-4,
        max_leverage=float(params.max_leverage),
    )


@njit
def open_account(equity: float) -> Account:
    """A flat account holding `equity` that has never traded."""
    return Account(equity, 0.0, 0.0, 0.0, equity, equity, 0.0, 0.0, 0.0)


@njit
def step(
    account: Account,
    target: float,
    open_tp1: float,
    high_tp1: float,
    low_tp1: float,
    close_tp1: float,
    funding_rate_tp1: float,
    terms: Terms,
) -> Step:
    """Carry `account` over bar t+1 with the target exposure decided at close t.

    A target equal to the standing one trades nothing: hold does not rebalance.

    Args:
        account: state at close t.
        target: signed multiples of equity, within +-`terms.max_leverage`.
        open_tp1, high_tp1, low_tp1, close_tp1: prices of bar t+1.
        funding_rate_tp1: sum of the rates settled in [open, close) of bar t+1; 0 where none.
        terms: costs and margin.
    """
    paid = funding_payment(account.quantity, open_tp1, funding_rate_tp1)
    incoming = _after_funding(account, paid)
    if _is_liquidated(incoming, open_tp1, terms):
        liquidated, fee = _liquidate(incoming, open_tp1, terms)
        return Step(_mark(liquidated, close_tp1), Flows(fee, paid, 0.0, 1.0))
    filled, costs, traded = _fill(incoming, target, open_tp1, terms)
    worst = low_tp1 if filled.quantity > 0.0 else high_tp1
    if _is_liquidated(filled, worst, terms):
        price = liquidation_price(filled.quantity, filled.entry, filled.wallet, terms.maintenance)
        liquidated, fee = _liquidate(filled, price, terms)
        return Step(_mark(liquidated, close_tp1), Flows(costs + fee, paid, traded, 1.0))
    return Step(_mark(filled, close_tp1), Flows(costs, paid, traded, 0.0))


@njit
def _after_funding(a: Account, paid: float) -> Account:
    return Account(
        a.wallet - paid, a.quantity, a.entry, a.target, a.equity, a.peak, a.held, a.idle + 1.0, a.last_trade
    )


@njit
def _is_liquidated(a: Account, price: float, terms: Terms) -> bool:
    """Whether the margin balance at `price` has fallen to the maintenance margin."""
    if a.quantity == 0.0:
        return False
    return a.wallet + a.quantity * (price - a.entry) <= abs(a.quantity) * price * terms.maintenance


@njit
def _liquidate(a: Account, price: float, terms: Terms) -> tuple[Account, float]:
    """Close everything at `price` and take the fee; the venue bears what the margin cannot pay."""
    margin = max(a.wallet + a.quantity * (price - a.entry), 0.0)
    fee = min(abs(a.quantity) * price * terms.liquidation_fee, margin)
    left = margin - fee
    return Account(left, 0.0, 0.0, 0.0, left, a.peak, 0.0, 0.0, _trade_return(a, price)), fee


@njit
def _fill(a: Account, target: float, price: float, terms: Terms) -> tuple[Account, float, float]:
    """Move to `target` at the open `price`; a reversal closes first. Returns account, costs, notional."""
    if target == a.target:
        return a, 0.0, 0.0
    costs = 0.0
    traded = 0.0
    if a.quantity * target <= 0.0 and a.quantity != 0.0:
        traded = abs(a.quantity) * price
        a, costs = _trade(a, -a.quantity, price, terms)
    equity = max(a.wallet + a.quantity * (price - a.entry), 0.0)
    change = target * equity / price - a.quantity
    if change != 0.0:
        traded += abs(change) * price
        a, more = _trade(a, change, price, terms)
        costs += more
    return (
        Account(a.wallet, a.quantity, a.entry, target, a.equity, a.peak, a.held, 0.0, a.last_trade),
        costs,
        traded,
    )


@njit
def _trade(a: Account, change: float, price: float, terms: Terms) -> tuple[Account, float]:
    """Buy `change` coins (sell if negative) around `price`, never through zero. Returns account, costs."""
    side = 1.0 if change > 0.0 else -1.0
    fill = price * (1.0 + side * terms.slippage)
    fee = abs(change) * fill * terms.fee
    costs = fee + abs(change) * price * terms.slippage
    quantity = a.quantity + change
    if a.quantity * change >= 0.0:  # opens or adds
        entry = (a.quantity * a.entry + change * fill) / quantity
        moved = Account(a.wallet - fee, quantity, entry, 0.0, a.equity, a.peak, a.held, 0.0, a.last_trade)
        return moved, costs
    wallet = a.wallet - fee - change * (fill - a.entry)
    if quantity == 0.0:
        return Account(wallet, 0.0, 0.0, 0.0, a.equity, a.peak, 0.0, 0.0, _trade_return(a, fill)), costs
    return Account(wallet, quantity, a.entry, 0.0, a.equity, a.peak, a.held, 0.0, a.last_trade), costs


@njit
def _mark(a: Account, close: float) -> Account:
    """Value the account at the close and count the bar."""
    wallet = a.wallet if a.quantity != 0.0 else max(a.wallet, 0.0)
    equity = max(wallet + a.quantity * (close - a.entry), 0.0)
    held = a.held + 1.0 if a.quantity != 0.0 else 0.0
    peak = max(a.peak, equity)
    return Account(wallet, a.quantity, a.entry, a.target, equity, peak, held, a.idle, a.last_trade)


@njit
def _trade_return(a: Account, price: float) -> float:
    """Log return from entry to `price` in the position's favour; a price of 0 or less counts as -1."""
    if price <= 0.0:
        return -1.0
    return math.log(price / a.entry) if a.quantity > 0.0 else -math.log(price / a.entry)
