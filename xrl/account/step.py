"""One bar of one isolated account: the only place where money is made or lost.

Environment, backtest, service and paper bot all call `step`. Enters: the account at the close of bar t, the
order decided there, and bar t+1. Leaves: the account at the close of bar t+1 and what it paid.

Order within the bar:
1. funding on the position coming in, at the open;
2. a position that the open already finds below maintenance is liquidated;
3. the order fills at the open, as a taker; a reversal closes first; its stop and take-profit replace the old;
4. what works against the position comes first: its stop, as a taker at the stop or at an open beyond it, or
   its liquidation, whichever price is met first on the way to the low (long) or high (short), which stand for
   the mark price;
5. its take-profit, as a maker, at its price or at an open beyond it;
6. mark at the close.

All the account's money backs its one position: that is its isolated margin. A liquidated position is closed
at its bankruptcy price, so all of it is lost: out of what the margin had left at the liquidation price comes
the liquidation fee, and the rest goes to the venue's insurance fund.
"""

import math
from typing import NamedTuple

from xrl.account.compiled import inlined
from xrl.account.contract import Contract
from xrl.account.costs import Terms, slippage
from xrl.account.margin import funding_payment
from xrl.account.orders import Order, tradable
from xrl.account.tiers import tiered_liquidation_price


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
    liquidation: float  # price at which the position is liquidated; 0: flat, or a long that cannot be
    stop: float  # price at which the position is given up; 0: none
    take_profit: float  # price at which the position is sold with profit; 0: none


class Bar(NamedTuple):
    """Bar t+1, and what was known of the market's unrest and size before it."""

    open: float
    high: float
    low: float
    close: float
    funding_rate: float  # sum of the rates settled in [open, close); 0 where none
    volatility: float  # standard deviation of one bar's log return, as known at close t
    volume: float  # quote currency traded in a bar, as known at close t; 0: unknown


class Flows(NamedTuple):
    """What one bar moved, quote currency."""

    costs: float  # fees, slippage and the liquidation fee; >= 0 but for rebates
    funding: float  # paid; negative when received
    traded: float  # notional filled by orders, at the price before slippage; >= 0
    insurance: float  # what the venue's fund kept of a liquidated margin; >= 0
    liquidated: float  # 1.0 when the position was liquidated within the bar
    stopped: float  # 1.0 when its stop was filled
    took_profit: float  # 1.0 when its take-profit was filled


class Step(NamedTuple):
    """The account after a bar and what moved."""

    account: Account
    flows: Flows


@inlined
def open_account(equity: float) -> Account:
    """A flat account holding `equity` that has never traded."""
    return Account(equity, 0.0, 0.0, 0.0, equity, equity, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@inlined
def step(account: Account, order: Order, bar: Bar, contract: Contract, terms: Terms) -> Step:
    """Carry `account` over bar t+1 with the order decided at close t.

    A target equal to the standing one trades nothing, unless the order rebalances: exposure drifts with the
    price.

    Args:
        account: state at close t.
        order: what was decided there; its target within +-`terms.max_leverage`.
        bar: t+1.
        contract: of the symbol.
        terms: costs.
    """
    paid = funding_payment(account.quantity, bar.open, bar.funding_rate)
    a = _after_funding(account, paid, contract)
    if is_liquidated(a, bar.open):
        a, costs, insurance = _liquidate(a, bar.open, terms)
        return Step(mark(a, bar.close), Flows(costs, paid, 0.0, insurance, 1.0, 0.0, 0.0))
    a, costs, traded = _fill(a, order, bar, contract, terms)
    insurance = liquidated = stopped = took_profit = 0.0
    if a.quantity != 0.0:
        worst = bar.low if a.quantity > 0.0 else bar.high
        best = bar.high if a.quantity > 0.0 else bar.low
        if _stop_is_met(a, worst):
            a, more, notional = _exit(a, _gapped(a.stop, bar.open, -a.quantity), False, bar, terms)
            costs, traded, stopped = costs + more, traded + notional, 1.0
        elif is_liquidated(a, worst):
            a, more, insurance = _liquidate(a, a.liquidation, terms)
            costs, liquidated = costs + more, 1.0
        elif a.take_profit > 0.0 and (best - a.take_profit) * a.quantity >= 0.0:
            a, more, notional = _exit(a, _gapped(a.take_profit, bar.open, a.quantity), True, bar, terms)
            costs, traded, took_profit = costs + more, traded + notional, 1.0
    return Step(mark(a, bar.close), Flows(costs, paid, traded, insurance, liquidated, stopped, took_profit))


@inlined
def hold(a: Account) -> Order:
    """The order that leaves everything as it stands."""
    return Order(a.target, a.stop, a.take_profit, 0.0)


@inlined
def is_liquidated(a: Account, price: float) -> bool:
    """Whether the margin balance at `price` has fallen to the maintenance margin."""
    return a.quantity * (price - a.liquidation) <= 0.0 and a.quantity != 0.0


@inlined
def equity_at(a: Account, price: float) -> float:
    """Wallet and unrealised profit at `price`; never below 0."""
    return max(a.wallet + a.quantity * (price - a.entry), 0.0)


@inlined
def mark(a: Account, close: float) -> Account:
    """Value the account at the close and count the bar."""
    equity = equity_at(a, close)
    return Account(
        a.wallet if a.quantity != 0.0 else equity,
        a.quantity,
        a.entry,
        a.target,
        equity,
        max(a.peak, equity),
        a.held + 1.0 if a.quantity != 0.0 else 0.0,
        a.idle,
        a.last_trade,
        a.liquidation,
        a.stop,
        a.take_profit,
    )


@inlined
def margined(a: Account, contract: Contract) -> Account:
    """The account with the liquidation price that its wallet and position have now."""
    price = 0.0
    if a.quantity != 0.0:
        price = max(tiered_liquidation_price(a.quantity, a.entry, a.wallet, contract.tiers), 0.0)
    return Account(
        a.wallet,
        a.quantity,
        a.entry,
        a.target,
        a.equity,
        a.peak,
        a.held,
        a.idle,
        a.last_trade,
        price,
        a.stop,
        a.take_profit,
    )


@inlined
def _after_funding(a: Account, paid: float, contract: Contract) -> Account:
    a = Account(
        a.wallet - paid,
        a.quantity,
        a.entry,
        a.target,
        a.equity,
        a.peak,
        a.held,
        a.idle + 1.0,
        a.last_trade,
        a.liquidation,
        a.stop,
        a.take_profit,
    )
    return margined(a, contract) if paid != 0.0 else a


@inlined
def _closed(a: Account, wallet: float, price: float) -> Account:
    """The account without its position and orders, closed at `price`."""
    won = _trade_return(a, price)
    return Account(wallet, 0.0, 0.0, 0.0, a.equity, a.peak, 0.0, 0.0, won, 0.0, 0.0, 0.0)


@inlined
def _liquidate(a: Account, price: float, terms: Terms) -> tuple[Account, float, float]:
    """Lose the margin at `price`. Returns account, fee, and what the insurance fund keeps."""
    left = equity_at(a, price)
    fee = min(abs(a.quantity) * price * terms.liquidation_fee, left)
    return _closed(a, 0.0, price), fee, left - fee


@inlined
def _fill(
    a: Account, order: Order, bar: Bar, contract: Contract, terms: Terms
) -> tuple[Account, float, float]:
    """Move to the order's target at the open; a reversal closes first. Returns account, costs, notional."""
    if order.target == a.target and order.rebalances == 0.0:
        return _guarded(a, a.target, order, a.idle), 0.0, 0.0
    costs = traded = 0.0
    if a.quantity * order.target <= 0.0 and a.quantity != 0.0:
        a, costs, traded = _exit(a, bar.open, False, bar, terms)
    wanted = order.target * equity_at(a, bar.open) / bar.open
    change = tradable(wanted - a.quantity, bar.open, contract)
    if change != 0.0:
        a, more = _trade(a, change, bar, terms)
        a = margined(a, contract)
        costs, traded = costs + more, traded + abs(change) * bar.open
    return _guarded(a, order.target, order, 0.0 if traded > 0.0 else a.idle), costs, traded


@inlined
def _guarded(a: Account, target: float, order: Order, idle: float) -> Account:
    """The account with the order's target, stop and take-profit; a flat one needs neither."""
    return Account(
        a.wallet,
        a.quantity,
        a.entry,
        target,
        a.equity,
        a.peak,
        a.held,
        idle,
        a.last_trade,
        a.liquidation,
        order.stop if a.quantity != 0.0 else 0.0,
        order.take_profit if a.quantity != 0.0 else 0.0,
    )


@inlined
def _trade(a: Account, change: float, bar: Bar, terms: Terms) -> tuple[Account, float]:
    """Buy `change` coins (sell if negative) at the open, never through zero. Returns account, costs."""
    side = 1.0 if change > 0.0 else -1.0
    notional = abs(change) * bar.open
    worse = slippage(notional, bar.volatility, bar.volume, terms)
    fill = bar.open * (1.0 + side * worse)
    fee = abs(change) * fill * terms.taker
    quantity = a.quantity + change
    entry, wallet = a.entry, a.wallet - fee
    if a.quantity * change >= 0.0:  # opens or adds
        entry = (a.quantity * a.entry + change * fill) / quantity
    else:
        wallet -= change * (fill - a.entry)
    moved = Account(
        wallet,
        quantity,
        entry,
        a.target,
        a.equity,
        a.peak,
        a.held,
        a.idle,
        a.last_trade,
        a.liquidation,
        a.stop,
        a.take_profit,
    )
    return moved, fee + notional * worse


@inlined
def _exit(a: Account, price: float, rests: bool, bar: Bar, terms: Terms) -> tuple[Account, float, float]:
    """Close the whole position at `price`, as a maker where the order rests there. Returns account, costs,
    notional."""
    notional = abs(a.quantity) * price
    worse = 0.0 if rests else slippage(notional, bar.volatility, bar.volume, terms)
    fill = price * (1.0 - worse) if a.quantity > 0.0 else price * (1.0 + worse)
    fee = abs(a.quantity) * fill * (terms.maker if rests else terms.taker)
    wallet = a.wallet - fee + a.quantity * (fill - a.entry)
    return _closed(a, wallet, fill), fee + notional * worse, notional


@inlined
def _stop_is_met(a: Account, worst: float) -> bool:
    """Whether the way to `worst` meets the stop, and meets it before the liquidation price."""
    return a.stop > 0.0 and (worst - a.stop) * a.quantity <= 0.0 and not is_liquidated(a, a.stop)


@inlined
def _gapped(price: float, open_price: float, side: float) -> float:
    """The price at which an order at `price` is filled; the open where that is already beyond it.

    `side` > 0 for orders that wait for a higher price: a long's take-profit, a short's stop.
    """
    return max(price, open_price) if side > 0.0 else min(price, open_price)


@inlined
def _trade_return(a: Account, price: float) -> float:
    """Log return from entry to `price` in the position's favour; a price of 0 or less counts as -1."""
    if price <= 0.0:
        return -1.0
    return math.log(price / a.entry) if a.quantity > 0.0 else -math.log(price / a.entry)
