"""What a strategy is worth in money, and what choosing it among others was worth.

Enters: target exposures and the court that trades them, equity curves of every candidate. Leaves: figures.
Sharpe ratios are of daily UTC equity times sqrt(365), net of costs.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl.account.costs import Terms
from xrl.backtest import baselines, portfolio
from xrl.backtest.baselines import Court
from xrl.backtest.replay import replay_targets
from xrl.config import BacktestParams
from xrl.evaluation import metrics, overfitting, sharpe, significance, trials

Array = NDArray[np.float64]

#: Candidates that share half of their variance are one try.
_SAME_TRIAL: Final = 0.7


def traded(
    targets: Array, court: Court, params: BacktestParams, stress: Mapping[str, Terms]
) -> dict[str, Any]:
    """Figures of one strategy: Sharpe with its interval, year by year, under stress, and against luck.

    Args:
        targets: exposures asked for. (rows,)
        court: where they are traded.
        params: bootstrap and number of random timings.
        stress: other terms to trade under, by name.
    """
    seed = params.bootstrap_seed
    replay = replay_targets(targets, court.panel, court.terms)
    equity = portfolio.equity_curve(replay.net_return, court.grid)
    daily = metrics.daily_returns(court.grid.timestamp, equity)
    track = sharpe.moments(daily)
    timing = baselines.random_timing(targets, court, params.random_timing_runs, seed)
    return {
        "sharpe": significance.sharpe_interval(daily, params.bootstrap, seed)._asdict(),
        "sharpe_year": portfolio.sharpe_by_year(equity, court.grid.timestamp),
        "total_return": metrics.total_return(equity),
        "max_drawdown": metrics.max_drawdown(equity),
        **portfolio.flow_figures(replay, court.grid),
        **{f"sharpe_{name}": court._replace(terms=terms).sharpe(targets) for name, terms in stress.items()},
        "sharpe_delay_1": court.sharpe(baselines.late(targets, court.panel)),
        "random_timing": {"median": np.median(timing), "p95": np.quantile(timing, 0.95)},
        "probabilistic_sharpe": sharpe.probabilistic_sharpe(track),
        "minimum_track_days": sharpe.minimum_track_days(track),
        "days": track.days,
    }


def sharpe_difference(ours: Array, theirs: Array, court: Court, params: BacktestParams) -> dict[str, float]:
    """Sharpe of ours minus theirs, equity curves over the same days: a paired stationary-bootstrap test."""
    a, b = (metrics.daily_returns(court.grid.timestamp, equity) for equity in (ours, theirs))
    drawn = significance.sharpe_differences(a, b, params.bootstrap, params.bootstrap_seed)
    value = float(metrics.sharpe(a) - metrics.sharpe(b))
    return significance.of_draws(value, drawn)._asdict()


def searched(candidates: Mapping[str, Array], court: Court) -> dict[str, Any]:
    """What picking the best of `candidates` (equities by name) by hindsight is worth.

    Its deflated Sharpe ratio, and the probability that such a pick is no better than the median afterwards.
    """
    days = np.unique(court.grid.timestamp.astype("datetime64[D]"))
    returns = {
        name: metrics.daily_returns(court.grid.timestamp, equity) for name, equity in candidates.items()
    }
    best = max(returns, key=lambda name: float(metrics.sharpe(returns[name])))
    series = [pd.Series(own, index=pd.DatetimeIndex(days)) for own in returns.values()]
    search = trials.search_of(series, 0, _SAME_TRIAL, len(days))
    picked = overfitting.probability_of_overfitting(np.stack(list(returns.values()), axis=1))
    return {
        "best": best,
        "best_sharpe": float(metrics.sharpe(returns[best])),
        "candidates": search.trials,
        "effective_trials": search.effective,
        "deflated_sharpe": trials.deflated(sharpe.moments(returns[best]), search),
        "probability_of_overfitting": picked.probability,
        "chosen_sharpe": picked.chosen_sharpe * metrics.DAYS_PER_YEAR**0.5,
        "kept_sharpe": picked.kept_sharpe * metrics.DAYS_PER_YEAR**0.5,
    }
