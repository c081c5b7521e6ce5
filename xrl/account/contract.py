"""What a venue allows of one symbol: lot, smallest order, maintenance tiers.

Enters: the section `backtest` of params.yaml. Leaves: one `Contract`, or those of many symbols stacked for
compiled loops.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import inlined
from xrl.account.tiers import LENGTH, Tiers, tiers_of
from xrl.config import BacktestParams

#: Contracts stacked: step size, smallest notional, rates, amounts. (symbols, 2 + 2 LENGTH)
Contracts = NDArray[np.float64]
_RATE: Final = 2
_AMOUNT: Final = 2 + LENGTH


class Contract(NamedTuple):
    """One perpetual."""

    step_size: float  # coins; orders are whole multiples of it; 0: any quantity
    min_notional: float  # quote currency; a smaller order is not sent
    tiers: Tiers


def contract_of(symbol: str, params: BacktestParams) -> Contract:
    """The contract of `symbol`: what `backtest.contracts` says of it, else what it says of `default`.

    Raises:
        ConfigError: its tiers are not in order.
    """
    own = params.contracts.get(symbol, params.contracts["default"])
    return Contract(own.step_size, own.min_notional, tiers_of(own.tiers))


def stacked(contracts: Sequence[Contract]) -> Contracts:
    """Many contracts as rows."""
    return np.array([[c.step_size, c.min_notional, *c.tiers.rate, *c.tiers.amount] for c in contracts])


@inlined
def pick(c: Contracts, s: int) -> Contract:
    """Row `s` as a `Contract`; spelled out, for compiled tuples have no loops."""
    r, a = _RATE, _AMOUNT
    rate = (
        *(c[s, r], c[s, r + 1], c[s, r + 2], c[s, r + 3], c[s, r + 4]),
        *(c[s, r + 5], c[s, r + 6], c[s, r + 7], c[s, r + 8], c[s, r + 9]),
    )
    amount = (
        *(c[s, a], c[s, a + 1], c[s, a + 2], c[s, a + 3], c[s, a + 4]),
        *(c[s, a + 5], c[s, a + 6], c[s, a + 7], c[s, a + 8], c[s, a + 9]),
    )
    return Contract(c[s, 0], c[s, 1], Tiers(rate, amount))
