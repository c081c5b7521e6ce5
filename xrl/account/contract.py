"""What a venue allows of one symbol: lot, smallest order, maintenance tiers.

Enters: the section `backtest` of params.yaml. Leaves: one `Contract`, or those of many symbols stacked for
compiled loops.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import njit
from xrl.account.tiers import Tiers, tiers_of
from xrl.config import BacktestParams


class Contract(NamedTuple):
    """One perpetual."""

    step_size: float  # coins; orders are whole multiples of it; 0: any quantity
    min_notional: float  # quote currency; a smaller order is not sent
    tiers: Tiers


class Contracts(NamedTuple):
    """Symbols stacked; shorter tier tables are filled up with brackets that no notional reaches."""

    step_size: NDArray[np.float64]  # (symbols,)
    min_notional: NDArray[np.float64]  # (symbols,)
    floor: NDArray[np.float64]  # (symbols, tiers)
    rate: NDArray[np.float64]  # (symbols, tiers)
    amount: NDArray[np.float64]  # (symbols, tiers)


def contract_of(symbol: str, params: BacktestParams) -> Contract:
    """The contract of `symbol`: what `backtest.contracts` says of it, else what it says of `default`.

    Raises:
        ConfigError: its tiers are not in order.
    """
    own = params.contracts.get(symbol, params.contracts["default"])
    return Contract(own.step_size, own.min_notional, tiers_of(own.tiers))


def stacked(contracts: Sequence[Contract]) -> Contracts:
    """Many contracts as arrays."""
    longest = max(len(contract.tiers.floor) for contract in contracts)

    def filled(values: NDArray[np.float64], beyond: float) -> NDArray[np.float64]:
        return np.concatenate([values, np.full(longest - len(values), beyond)])

    return Contracts(
        np.array([contract.step_size for contract in contracts]),
        np.array([contract.min_notional for contract in contracts]),
        np.stack([filled(contract.tiers.floor, np.inf) for contract in contracts]),
        np.stack([filled(contract.tiers.rate, contract.tiers.rate[-1]) for contract in contracts]),
        np.stack([filled(contract.tiers.amount, contract.tiers.amount[-1]) for contract in contracts]),
    )


@njit
def pick(contracts: Contracts, symbol: int) -> Contract:
    """The contract in place `symbol`."""
    tiers = Tiers(contracts.floor[symbol], contracts.rate[symbol], contracts.amount[symbol])
    return Contract(contracts.step_size[symbol], contracts.min_notional[symbol], tiers)
