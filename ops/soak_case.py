"""One trial of the soak: which market is pulled when, how the venue misbehaves, and what befalls the pull.

Enters: the soak's seed and the trial's number. Leaves: a `Case`; the same two numbers give the same case.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, get_args

import pandas as pd

from xrl.market.pull import Order
from xrl.sandbox.faults import Script, random_script

HOUR: Final = pd.Timedelta(hours=1)
Damage = Literal["cut short", "one bit", "emptied"]
VENUES: Final = ("binance", "bybit", "okx")
COINS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
#: Share of trials and longest interval in days of each timeframe.
_TIMEFRAMES: Final = (("1h", 0.7, 60), ("15m", 0.2, 15), ("1m", 0.1, 4))
#: How long after the full hour the first pull runs: some bars have just closed, or have half passed.
_PAST_THE_HOUR_S: Final = (5, 20, 44, 50, 61, 70, 1200, 3599)
_JUST_CLOSED_S: Final = (5, 20, 44)
#: Hours from the interval's end to the pull; before 0 the interval reaches into the future.
_HOURS_ON: Final = (0, 0, 0, 0, -1, -5, 30, 200)
#: Kinds that concern the newest bars alone, or the future.
_YOUNG: Final = frozenset({"late", "preliminary", "revised", "unclosed", "clock_skew"})


@dataclass(frozen=True)
class Kill:
    """`kill -9` after `seconds`, or when the `parts`-th unfinished file appears."""

    seconds: float
    parts: int | None


@dataclass(frozen=True)
class Case:
    """A trial.

    Args:
        order: what every pull of this trial asks for; the second pull's interval ends `later - now` later.
        now: clock of the venue at the first pull, `later` at the second.
        ahead_s: how far the puller's own clock goes ahead of it.
        earlier: the store holds the interval until then before the trial, well pulled; None: it is empty.
        pulls: first pulls that run at once on the same store.
        damage: what happens to one stored file before the second pull.
    """

    seed: int
    number: int
    venue: Literal["binance", "bybit", "okx"]
    world: Literal["planted", "random_walk"]
    order: Order
    now: pd.Timestamp
    later: pd.Timestamp
    ahead_s: float
    earlier: pd.Timestamp | None
    script: Script
    kill: Kill | None
    pulls: int
    damage: Damage | None
    connections: int
    batch_rows: int

    @property
    def later_order(self) -> Order:
        return self.order._replace(end=self.order.end + (self.later - self.now))

    @property
    def earlier_order(self) -> Order:
        return self.order._replace(end=self.earlier)

    @property
    def wide_order(self) -> Order:
        """All months that the second pull touches, whole."""
        first, last = (time.normalize().replace(day=1) for time in (self.order.start, self.later_order.end))
        return self.order._replace(start=first - pd.Timedelta(days=31), end=last + pd.Timedelta(days=32))

    def sentence(self) -> str:
        order = self.order
        kinds = ", ".join(fault.kind for fault in self.script.faults)
        return (
            f"{self.venue} {order.timeframe} {'+'.join(order.symbols)} {order.start:%Y-%m-%d %H:%M} to "
            f"{order.end:%Y-%m-%d %H:%M}: {kinds}"
        )


def draw(seed: int, number: int) -> Case:
    """Trial `number` of the soak with that seed."""
    rng = random.Random(f"soak {seed} trial {number}")
    symbols = tuple(rng.sample(COINS, rng.choice((1, 1, 2, 3))))
    script = random_script(rng.getrandbits(48), symbols)
    kinds = {fault.kind for fault in script.faults}
    order, now = _interval(rng, symbols, kinds)
    return Case(
        seed=seed,
        number=number,
        venue=rng.choice(VENUES),
        world=rng.choice(("planted", "random_walk")),
        order=order,
        now=now,
        # a correction is met by a pull whose interval reaches past the rows that it already has
        later=now + rng.choice((1, 3, 26) if "revised" in kinds else (0, 0, 1, 3, 26)) * HOUR,
        ahead_s=0.0 if "clock_skew" in kinds else rng.choice((0, 0, 0, 90, 4000)),  # one clock must be right
        earlier=_earlier(rng, order, now),
        script=script,
        kill=_kill(rng),
        pulls=2 if rng.random() < 0.15 else 1,
        damage=rng.choice(get_args(Damage)) if rng.random() < 0.15 else None,
        connections=rng.choice((1, 2, 4, 8)),
        batch_rows=rng.choice((1000, 3000, 100_000)),
    )


def _interval(
    rng: random.Random, symbols: tuple[str, ...], kinds: Collection[str]
) -> tuple[Order, pd.Timestamp]:
    """An interval of whole hours over the end of a month; a clock near its end, where `kinds` can bite."""
    timeframe, _, days = rng.choices(_TIMEFRAMES, [share for _, share, _ in _TIMEFRAMES])[0]
    hours = rng.randint(72, days * 24)
    border = pd.Timestamp(year=2024, month=rng.randint(1, 12), day=1, tz="UTC")
    start = border - rng.randint(1, hours - 1) * HOUR
    end = start + hours * HOUR
    hours_on = rng.choice(_HOURS_ON if _YOUNG.isdisjoint(kinds) else (0, 0, -1, -5))
    seconds = rng.choice(_JUST_CLOSED_S if "preliminary" in kinds else _PAST_THE_HOUR_S)
    return Order(symbols, timeframe, start, end), end + hours_on * HOUR + pd.Timedelta(seconds=seconds)


def _earlier(rng: random.Random, order: Order, now: pd.Timestamp) -> pd.Timestamp | None:
    if rng.random() < 0.65:
        return None
    hours = int((min(order.end, now) - order.start) / HOUR)
    return order.start + rng.choice((rng.randint(1, hours - 1), hours - rng.randint(1, 5))) * HOUR


def _kill(rng: random.Random) -> Kill | None:
    if rng.random() > 0.37:
        return None
    return Kill(rng.uniform(0.0, 2.0), rng.choice((None, 1, 1, 2, 3, 5)))
