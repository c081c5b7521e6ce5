"""Limits outside the policy, the same in backtest, service and bot: they may only take risk away.

Enters: an order, the account it is for, what the guard remembers. Leaves: the order that is allowed. A breach
closes the position and keeps it closed: for the day (daily loss), for some bars (after a liquidation), or
until somebody opens the account again (drawdown).
"""

import math
from typing import Final, NamedTuple

from xrl.account.compiled import inlined
from xrl.account.orders import Order
from xrl.account.step import Account
from xrl.config import RiskParams


class Limits(NamedTuple):
    """Bounds; an infinite one is none."""

    max_exposure: float  # largest |notional / equity|, of targets and of what prices make of them
    daily_loss: float  # share of the equity at the last close of the UTC day before
    max_drawdown: float  # share of the largest equity so far
    cooldown_bars: float  # without a position after a liquidation


#: Nothing is forbidden.
UNLIMITED: Final = Limits(math.inf, math.inf, math.inf, 0.0)
_DAY_MS: Final = 86_400_000


class Guard(NamedTuple):
    """What the limits remember; every field a float."""

    closed: float  # last close seen, milliseconds UTC
    last_equity: float  # equity at that close
    day_equity: float  # equity at the last close of the UTC day before, or at the opening since
    is_stopped: float  # 1.0: the day's loss is spent
    is_killed: float  # 1.0: the drawdown is spent
    cooling: float  # bars left of the cool-down


def limits_of(params: RiskParams) -> Limits:
    """Limits of `backtest.risk`; null there is no limit."""

    def bound(value: float | None) -> float:
        return math.inf if value is None else float(value)

    return Limits(
        bound(params.max_exposure),
        bound(params.daily_loss),
        bound(params.max_drawdown),
        float(params.cooldown_bars),
    )


@inlined
def _day(closed: float) -> float:
    """UTC day that holds the last moment before a close: midnight ends the day before."""
    return (closed - 1.0) // _DAY_MS


@inlined
def new_guard(closed: float, equity: float) -> Guard:
    """A guard that has seen nothing but the account's opening at the close `closed`, milliseconds UTC."""
    return Guard(closed, equity, equity, 0.0, 0.0, 0.0)


@inlined
def watched(guard: Guard, account: Account, was_liquidated: bool, closed: float, limits: Limits) -> Guard:
    """The guard after a close.

    A liquidation ends all it remembers: the account is opened again, and rests first. A close seen before,
    or an older one, changes nothing else, so that asking twice spends no cool-down and lifts no stop.

    Args:
        guard: before it.
        account: at the close; after a liquidation, with the money put in again, if any.
        was_liquidated: within the bar.
        closed: the close, milliseconds UTC.
        limits: bounds.
    """
    equity = account.equity
    if was_liquidated:
        return Guard(max(closed, guard.closed), equity, equity, 0.0, 0.0, limits.cooldown_bars)
    if closed <= guard.closed:
        return guard
    stopped, day_equity = guard.is_stopped, guard.day_equity
    if _day(closed) != _day(guard.closed) or guard.last_equity <= 0.0:
        stopped = 0.0
        day_equity = guard.last_equity if guard.last_equity > 0.0 else equity  # else: money was put in
    if 0.0 < equity <= day_equity * (1.0 - limits.daily_loss):
        stopped = 1.0
    killed = 1.0 if 0.0 < equity <= account.peak * (1.0 - limits.max_drawdown) else guard.is_killed
    return Guard(closed, equity, day_equity, stopped, killed, max(guard.cooling - 1.0, 0.0))


@inlined
def allowed(order: Order, account: Account, close: float, guard: Guard, limits: Limits) -> Order:
    """What of `order` may be sent at this close.

    Args:
        order: the policy's.
        account: at the close.
        close: price of the close.
        guard: after this close (`watched`).
        limits: bounds.
    """
    if guard.is_stopped + guard.is_killed + guard.cooling > 0.0:
        return Order(0.0, 0.0, 0.0, 0.0)
    bound = limits.max_exposure
    target = min(max(order.target, -bound), bound)
    drifted = abs(account.quantity) * close > bound * account.equity
    keeps_side = target * account.quantity > 0.0
    rebalances = 1.0 if drifted and keeps_side else order.rebalances
    return Order(target, order.stop, order.take_profit, rebalances)


def explained(asked: Order, sent: Order, guard: Guard) -> str | None:
    """Why `allowed` sent another order than was asked for, in a sentence; None where it did not."""
    if sent.target != asked.target:
        return reason(guard) or f"the target was cut to the largest exposure allowed, {abs(sent.target):g}x"
    if sent.rebalances != asked.rebalances:
        return "prices carried the position beyond the largest exposure allowed: it is traded back"
    return reason(guard)


def reason(guard: Guard) -> str | None:
    """Why nothing may be held, in a sentence; None where it may."""
    if guard.is_killed:
        return "the drawdown limit was reached: the account stays closed until it is opened again"
    if guard.is_stopped:
        return "the day's loss limit was reached: no position until the next UTC day"
    if guard.cooling:
        return f"{guard.cooling:.0f} bars of cool-down are left after a liquidation"
    return None
