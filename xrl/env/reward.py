"""What a policy is paid for: weighted terms of one bar, each logged apart.

Enters: an account before and after a bar, what was asked for, what experts and volume said at the decision.
Leaves: weighted terms, dimensionless, whose sum is the reward. Terms that need the past (the last trades,
labels that mature later) keep it in one row of memory an account, emptied when an episode begins.

| kind | reward |
|---|---|
| growth | change of log equity |
| agreement | growth + 0.3 agreement - 0.5 conflict |
| source | 0.7 realised + 0.2 trade_sharpe + 0.1 safety + 0.1 vsa |
| pattern | 0.8 confirmed + 0.2 growth |
| indicator | 0.6 growth - 0.4 drawdown - 0.2 leverage |

Weights are those of the source documents. Where `scales` are given, each term is divided by its own, so that
its variance is 1 (`env.scales`).
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import inlined, njit
from xrl.account.step import Account, Flows
from xrl.errors import ConfigError

#: An account below this share of its starting equity is ruined: the episode terminates.
RUIN_SHARE = 0.01
TERMS: Final = (
    "growth",  # change of log equity over the bar
    "realised",  # change of the wallet / equity before, less 0.001 |exposure held|
    "trade_sharpe",  # mean / standard deviation of the last 10 closed trades' log returns, clipped to +-3
    "safety",  # 1 - drawdown
    "vsa",  # 1 where the side held is that of the VSA signal, -1 where it is the other
    "agreement",  # 1 where both experts exceed 0.7 while long
    "conflict",  # 1 where the pattern expert exceeds 0.7 and the indicator expert is below 0.3, in a position
    "confirmed",  # when its horizon is over: 1 for a side that prices confirmed, -1 for one they did not
    "drawdown",  # 10 (1 - equity / peak)
    "leverage",  # 0.5 |exposure held|
)
_WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "growth": {"growth": 1.0},
        "agreement": {"growth": 1.0, "agreement": 0.3, "conflict": -0.5},
        "source": {"realised": 0.7, "trade_sharpe": 0.2, "safety": 0.1, "vsa": 0.1},
        "pattern": {"confirmed": 0.8, "growth": 0.2},
        "indicator": {"growth": 0.6, "drawdown": -0.4, "leverage": -0.2},
    }
)
KINDS: Final = tuple(_WEIGHTS)
_TRADES: Final = 10  # whose Sharpe ratio is paid
_FIRST_SIDE: Final = 2 + _TRADES  # memory: trades closed, bars lived, their returns, sides by bar
_HIGH, _LOW = 0.7, 0.3
_SHARPE_BOUND = 3.0


class Reward(NamedTuple):
    """A kind of reward, ready for compiled loops."""

    weights: NDArray[np.float64]  # (TERMS,)
    confirm_bars: int  # after which a side taken is judged
    is_growth: bool  # nothing but the first term is paid: the others are not computed
    needs_hints: bool  # experts or VSA are paid for, so the tensors must say what those said


def reward_of(kind: str, confirm_bars: int, scales: Sequence[float] | None = None) -> Reward:
    """The reward of that name.

    Args:
        kind: one of `KINDS`.
        confirm_bars: the label's horizon.
        scales: what each term is divided by; None: 1. (TERMS,)

    Raises:
        ConfigError: no such kind, or a horizon below 2 bars.
    """
    if kind not in _WEIGHTS or confirm_bars < 2:
        raise ConfigError(
            f"a reward is one of {', '.join(KINDS)} with a horizon of 2 or more bars; "
            f"received {kind!r}, {confirm_bars}"
        )
    weights = np.array([_WEIGHTS[kind].get(name, 0.0) for name in TERMS])
    divisor = np.ones(len(TERMS)) if scales is None else np.asarray(scales, dtype=np.float64)
    told = any(_WEIGHTS[kind].get(name) for name in ("vsa", "agreement", "conflict"))
    return Reward(weights / divisor, confirm_bars, kind == "growth", told)


def memories(accounts: int, reward: Reward) -> NDArray[np.float64]:
    """Empty memory of `accounts`. (accounts, 12 + confirm_bars)"""
    return np.zeros((accounts, 0 if reward.is_growth else _FIRST_SIDE + reward.confirm_bars))


class Lived(NamedTuple):
    """One bar of one account, as far as it is paid for."""

    before: Account
    after: Account
    target: float  # asked for at the decision
    has_closed: bool  # a position ended within the bar
    close: float
    close_then: float  # `confirm_bars` before; any number while the episode is younger
    pattern: float  # the experts' percentile of P(BUY) against P(SELL) at the decision, 0..1
    indicator: float
    vsa: float  # signal at the decision, > 0: bullish


@inlined
def has_closed(before: Account, after: Account, flows: Flows) -> bool:
    """Whether a position ended within the bar, one that was opened in it included."""
    turned = before.quantity != 0.0 and before.quantity * after.quantity <= 0.0
    return turned or flows.liquidated + flows.stopped + flows.took_profit > 0.0


@inlined
def log_growth(equity_t: float, equity_tp1: float) -> float:
    """Change of log equity over a bar; a total loss counts as a loss of 99 %, so that it stays finite."""
    if equity_t <= 0.0:
        return 0.0
    return math.log(max(equity_tp1 / equity_t, RUIN_SHARE))


@inlined
def pay(terms: NDArray[np.float64], memory: NDArray[np.float64], lived: Lived, reward: Reward) -> float:
    """Write the weighted terms of a bar, move the memory on, and return their sum.

    Args:
        terms: receives the weighted terms. (TERMS,)
        memory: one row of `memories`, changed in place.
        lived: the bar.
        reward: weights and horizon.
    """
    growth = log_growth(lived.before.equity, lived.after.equity)
    terms[0] = growth * reward.weights[0]
    if reward.is_growth:
        return float(terms[0])
    before, after = lived.before, lived.after
    equity = max(before.equity, 1e-12)
    held = abs(after.quantity) * lived.close / max(after.equity, 1e-12)
    fallen = 1.0 - after.equity / max(after.peak, 1e-12)
    side = np.sign(after.quantity)
    terms[1] = (after.wallet - before.wallet) / equity - 0.001 * held
    terms[2] = _trade_sharpe(memory, after.last_trade, lived.has_closed)
    terms[3] = 1.0 - fallen
    terms[4] = side * np.sign(lived.vsa)
    terms[5] = 1.0 if side > 0.0 and lived.pattern > _HIGH and lived.indicator > _HIGH else 0.0
    terms[6] = 1.0 if side != 0.0 and lived.pattern > _HIGH and lived.indicator < _LOW else 0.0
    terms[7] = _confirmed(memory, lived, reward.confirm_bars)
    terms[8] = 10.0 * fallen
    terms[9] = 0.5 * held
    total = terms[0]
    for k in range(1, 10):
        terms[k] *= reward.weights[k]
        total += terms[k]
    return float(total)


@inlined
def _trade_sharpe(memory: NDArray[np.float64], last_trade: float, has_closed: bool) -> float:
    """Note a closed trade; the Sharpe ratio of the last ten, 0 before there are two."""
    if has_closed:
        memory[2 + int(memory[0]) % _TRADES] = last_trade
        memory[0] += 1.0
    count = min(int(memory[0]), _TRADES)
    if count < 2:
        return 0.0
    mean = 0.0
    for k in range(count):
        mean += memory[2 + k] / count
    spread = 0.0
    for k in range(count):
        spread += (memory[2 + k] - mean) ** 2 / (count - 1)
    return float(min(max(mean / max(math.sqrt(spread), 1e-6), -_SHARPE_BOUND), _SHARPE_BOUND))


@inlined
def _confirmed(memory: NDArray[np.float64], lived: Lived, bars: int) -> float:
    """Note the side that was taken at the decision, and judge the one whose horizon ends with this bar."""
    k = int(memory[1])
    took = lived.target * lived.before.target <= 0.0 and lived.target != 0.0
    memory[_FIRST_SIDE + k % bars] = np.sign(lived.target) if took else 0.0
    memory[1] += 1.0
    if k + 1 < bars:
        return 0.0
    side = memory[_FIRST_SIDE + (k + 1) % bars]
    if side == 0.0:
        return 0.0
    return 1.0 if side * (lived.close - lived.close_then) > 0.0 else -1.0


@njit
def pay_one(terms: NDArray[np.float64], memory: NDArray[np.float64], lived: Lived, reward: Reward) -> float:
    """`pay`, compiled for callers that are not."""
    total: float = pay(terms, memory, lived, reward)
    return total
