"""The policy's observation: the one builder for environment, backtest and server.

Order: pattern block | indicator block | MARKET_STATE | ACCOUNT_STATE | REGIME_STATE, units in
`columns.py`. Nothing in it is an absolute price, an absolute amount or a step index.
"""

import math

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import inlined, njit
from xrl.account.step import Account
from xrl.columns import ACCOUNT_STATE, MARKET_STATE, REGIME_STATE
from xrl.errors import DataError

#: Volatility below this is a dead market; keeps ratios finite.
VOLATILITY_FLOOR = 1e-6
MAX_VOLATILITIES = 3.0
LONG_HOLD_BARS = 100.0
CARRY_SCALE = 1e3
LIQUIDATION_VOLATILITIES = 10.0

ACCOUNT_WIDTH = len(ACCOUNT_STATE)
MARKET_WIDTH = len(MARKET_STATE)
REGIME_WIDTH = len(REGIME_STATE)


def observation_width(block_width: int) -> int:
    """Width of an observation whose two expert blocks have `block_width` columns together."""
    return block_width + MARKET_WIDTH + ACCOUNT_WIDTH + REGIME_WIDTH


@njit
def account_features(
    account: Account,
    close: float,
    volatility: float,
    funding_rate_last: float,
    max_leverage: float,
) -> NDArray[np.float64]:
    """The account as the policy sees it, in the order and units of `columns.ACCOUNT_STATE`.

    Args:
        account: state marked at `close`.
        close: last close, quote currency.
        volatility: standard deviation of the 20-bar log return as known at that close.
        funding_rate_last: last settled rate, fraction of notional.
        max_leverage: largest target exposure.

    Returns:
        (10,) float64.
    """
    out = np.zeros(ACCOUNT_WIDTH)
    write_account_features(out, account, close, volatility, funding_rate_last, max_leverage)
    return out


@inlined
def write_account_features(
    out: NDArray[np.float64],
    account: Account,
    close: float,
    volatility: float,
    funding_rate_last: float,
    max_leverage: float,
) -> None:
    """`account_features` into `out`, (10,) of any float dtype."""
    sigma = max(volatility, VOLATILITY_FLOOR)
    side = np.sign(account.quantity)
    equity = max(account.equity, 1e-12)
    out[0] = _clip(account.quantity * close / equity / max_leverage, -1.0, 1.0)
    out[1] = 1.0 if side > 0.0 else 0.0
    out[2] = 1.0 if side < 0.0 else 0.0
    out[3] = 0.0
    out[4] = 1.0 - account.equity / max(account.peak, 1e-12)
    out[5] = min(math.log1p(account.held) / math.log1p(LONG_HOLD_BARS), 2.0)
    out[6] = min(math.log1p(account.idle) / math.log1p(LONG_HOLD_BARS), 2.0)
    out[7] = 1.0
    out[8] = _clip(-side * funding_rate_last * CARRY_SCALE, -1.0, 1.0)
    out[9] = _clip(account.last_trade / sigma, -MAX_VOLATILITIES, MAX_VOLATILITIES)
    if side != 0.0:
        gain = side * math.log(close / account.entry) / sigma
        out[3] = _clip(gain, -MAX_VOLATILITIES, MAX_VOLATILITIES)
        if account.liquidation > 0.0:
            away = abs(math.log(account.liquidation / close))
            out[7] = min(away / sigma / LIQUIDATION_VOLATILITIES, 1.0)


@njit
def write_observation(
    out: NDArray[np.float32],
    block: NDArray[np.float32],
    market: NDArray[np.float32],
    regime: NDArray[np.float32],
    account: NDArray[np.float64],
) -> None:
    """Fill `out` (width,) float32 in the order of the module's docstring."""
    width = block.shape[0]
    out[:width] = block
    out[width : width + MARKET_WIDTH] = market
    out[width + MARKET_WIDTH : width + MARKET_WIDTH + ACCOUNT_WIDTH] = account
    out[width + MARKET_WIDTH + ACCOUNT_WIDTH :] = regime


def observation(
    block: NDArray[np.float32],
    market: NDArray[np.float32],
    account: NDArray[np.float64],
    regime: NDArray[np.float32],
) -> NDArray[np.float32]:
    """One observation out of its parts.

    Args:
        block: pattern block, then indicator block. (2 w,)
        market: scaled columns of MARKET_STATE. (10,)
        account: `account_features`. (10,)
        regime: scaled columns of REGIME_STATE. (5,)

    Returns:
        (2 w + 25,) float32.

    Raises:
        DataError: a part has the wrong width.
    """
    for name, part, width in (
        ("market", market, MARKET_WIDTH),
        ("account", account, ACCOUNT_WIDTH),
        ("regime", regime, REGIME_WIDTH),
    ):
        if part.shape != (width,):
            raise DataError(
                f"the observation's `{name}` part must have shape ({width},); received {part.shape}. "
                "Build it from the columns listed in xrl/columns.py."
            )
    out = np.empty(observation_width(block.shape[0]), dtype=np.float32)
    write_observation.py_func(  # uncompiled: a server need not wait for the compiler
        out,
        np.asarray(block, np.float32),
        np.asarray(market, np.float32),
        np.asarray(regime, np.float32),
        np.asarray(account, np.float64),
    )
    return out


@inlined
def _clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)
