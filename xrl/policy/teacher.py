"""A threshold rule that the policy is cloned from before PPO refines it.

PPO alone meets a signal of a few hundredths of a bar's noise behind costs, and what it finds first is that
not trading pays. The rule is plain: ridge regression of the volatility-scaled forward return on what the
policy sees of the market, a long or short of 1x beyond a threshold, out when the sign turns. The threshold
is chosen, net of costs, on the later part of the training bars, which the regression behind that choice has
not seen; when no threshold earns reliably there, the teacher is flat.

Enters: market tensors of training bars alone. Leaves: a target exposure for any bar.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl.account.compiled import njit
from xrl.account.step import Terms, open_account, step
from xrl.env.market import MarketTensor, Panel, stack

#: Share of each symbol's training bars that the trial regression is fitted on; the rest chooses the
#: threshold.
FIT_SHARE = 0.6
#: Candidate thresholds, as quantiles of the edge's size on the bars it was fitted on.
QUANTILES = (0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
#: Candidate ridge penalties, per row of standardised inputs.
PENALTIES = (0.03, 0.3, 3.0)
#: The chosen threshold must earn this many standard errors of its daily growth.
MIN_T_STATISTIC = 1.0
_BARS_PER_DAY = 24


class Choice(NamedTuple):
    """What is chosen on the later part of the training bars."""

    penalty: float  # one of PENALTIES
    quantile: float | None  # of the edge's size, beyond which is traded; None: never


@dataclass(frozen=True)
class Teacher:
    """Linear edge and a threshold; `threshold` is infinite when the teacher is flat."""

    choice: Choice
    weights: NDArray[np.float64]  # (inputs,)
    intercept: float
    threshold: float

    @property
    def trades(self) -> bool:
        """Whether it ever asks for a position."""
        return math.isfinite(self.threshold)

    def edge(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Expected forward return in its own volatilities. inputs: (bars, inputs) -> (bars,)"""
        return np.asarray(inputs @ self.weights + self.intercept, dtype=np.float64)


def market_inputs(tensor: MarketTensor | Panel) -> NDArray[np.float32]:
    """What the policy sees of the market, without the account: block | MARKET_STATE | REGIME_STATE."""
    return np.concatenate([tensor.block, tensor.market, tensor.regime], axis=1)


def fit_teacher(
    tensors: Sequence[MarketTensor], terms: Terms, horizon_bars: int, choice: Choice | None = None
) -> Teacher:
    """Fit the rule on training bars.

    Args:
        tensors: training bars of every symbol.
        terms: costs the threshold is chosen under.
        horizon_bars: bars ahead of the return that is regressed.
        choice: penalty and threshold that were chosen elsewhere; None: choose them here.
    """
    choice = _chosen(tensors, terms, horizon_bars) if choice is None else choice
    final = _regress(tensors, horizon_bars, choice.penalty)
    threshold = math.inf if choice.quantile is None else _threshold(final, tensors, choice.quantile)
    return Teacher(choice, final.weights, final.intercept, threshold)


def _chosen(tensors: Sequence[MarketTensor], terms: Terms, horizon_bars: int) -> Choice:
    """What earned most reliably on the later part, by a regression on the earlier."""
    cuts = [int(len(tensor) * FIT_SHARE) for tensor in tensors]
    early = [tensor.rows(slice(0, cut)) for tensor, cut in zip(tensors, cuts)]
    late = [tensor.rows(slice(cut, None)) for tensor, cut in zip(tensors, cuts)]
    panel = stack(late)
    best_t, best = MIN_T_STATISTIC, Choice(PENALTIES[-1], None)
    for penalty in PENALTIES:
        trial = _regress(early, horizon_bars, penalty)
        for quantile in QUANTILES:
            t = _t_statistic(trial, _threshold(trial, early, quantile), panel, terms)
            if t > best_t:
                best_t, best = t, Choice(penalty, quantile)
    return best


@njit
def desired(edge: float, threshold: float, standing: float) -> float:
    """Target exposure: in beyond the threshold, out when the edge turns against the position."""
    if edge > threshold:
        return 1.0
    if edge < -threshold:
        return -1.0
    return 0.0 if edge * standing < 0.0 or math.isinf(threshold) else standing


def _regress(tensors: Sequence[MarketTensor], horizon: int, penalty: float) -> Teacher:
    inputs = np.concatenate([market_inputs(tensor)[:-horizon] for tensor in tensors]).astype(np.float64)
    score = np.concatenate([_forward_score(tensor, horizon) for tensor in tensors])
    center, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    x = (inputs - center) / scale
    gram = x.T @ x + penalty * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x.T @ (score - score.mean())) / scale
    return Teacher(Choice(penalty, None), weights, float(-center @ weights), math.inf)


def _forward_score(tensor: MarketTensor, horizon: int) -> NDArray[np.float64]:
    """Log return over the horizon in volatilities, clipped to 3. (bars - horizon,)"""
    log_close = np.log(tensor.prices[:, 3])
    volatility = np.maximum(tensor.volatility[:-horizon], 1e-6)
    return np.clip((log_close[horizon:] - log_close[:-horizon]) / volatility, -3.0, 3.0)


def _threshold(rule: Teacher, tensors: Sequence[MarketTensor], quantile: float) -> float:
    edges = np.concatenate([rule.edge(market_inputs(tensor)) for tensor in tensors])
    return float(np.quantile(np.abs(edges), quantile))


def _t_statistic(rule: Teacher, threshold: float, panel: Panel, terms: Terms) -> float:
    """Mean daily log growth of all accounts together, in standard errors."""
    edges = rule.edge(market_inputs(panel))
    growth = np.zeros(len(edges))
    _run(growth, edges, threshold, panel, terms)
    days = int(min(panel.ends - panel.starts)) // _BARS_PER_DAY
    daily = np.zeros(days)
    for start in panel.starts:
        daily += growth[start : start + days * _BARS_PER_DAY].reshape(days, -1).sum(axis=1)
    return float(daily.mean() / max(float(daily.std()), 1e-12) * math.sqrt(days))


@njit
def _run(
    growth: NDArray[np.float64], edges: NDArray[np.float64], threshold: float, panel: Panel, terms: Terms
) -> None:
    """Log growth of each bar when the rule trades each symbol."""
    for s in range(len(panel.starts)):
        account = open_account(1.0)
        for t in range(panel.starts[s] + 1, panel.ends[s]):
            target = desired(edges[t - 1], threshold, account.target)
            p = panel.prices[t]
            after = step(account, target, p[0], p[1], p[2], p[3], panel.funding[t], terms).account
            growth[t] = math.log(max(after.equity, 1e-6) / account.equity)
            account = after
            if account.equity < 1e-6:
                account = open_account(1.0)
