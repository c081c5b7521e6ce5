"""Everything that is said of one traded strategy, beside the Sharpe ratio that the gate reads.

Enters: a replay, its grid, its round trips. Leaves: plain figures, of the whole and of every year and symbol.
Shares are fractions; `annual` figures and ratios are of daily UTC equity, a year of 365 days; see
`portfolio.flow_figures` for turnover, fee and funding shares.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.backtest import portfolio
from xrl.backtest.portfolio import Grid
from xrl.backtest.replay import Replay
from xrl.backtest.trades import REASONS
from xrl.env.market import Panel
from xrl.evaluation import metrics, significance

Array = NDArray[np.float64]

#: Figures of daily returns that are shown with an interval, beside the Sharpe ratio.
_DRAWN: Final[dict[str, Callable[[Array], Array]]] = {
    "sortino": metrics.sortino,
    "annual_return": metrics.annual_return,
}
_MIN_DAYS_OF_A_YEAR: Final = 30


class Traded(NamedTuple):
    """One strategy over a panel."""

    replay: Replay
    grid: Grid
    trades: pd.DataFrame  # of the replay, columns.TRADE
    symbols: tuple[str, ...]  # in the panel's order


def equity_figures(timestamp: NDArray[np.datetime64], equity: Array) -> dict[str, float]:
    """Figures of an equity curve. Both (bars,); NaN where a ratio's divisor is 0."""
    daily = metrics.daily_returns(timestamp, equity)
    growth, fall = float(metrics.annual_return(daily)), metrics.max_drawdown(equity)
    return {
        "sharpe": float(metrics.sharpe(daily)),
        "sortino": float(metrics.sortino(daily)),
        "calmar": growth / fall if fall > 0.0 else float("nan"),
        "annual_return": growth,
        "annual_volatility": float(metrics.annual_volatility(daily)),
        "total_return": metrics.total_return(equity),
        "max_drawdown": fall,
        "longest_drawdown_days": float(metrics.longest_drawdown_days(daily)),
    }


def intervals(daily: Array, draws: int, seed: int) -> dict[str, dict[str, float]]:
    """Sortino ratio and annual return with 95 % stationary-bootstrap intervals over the same draws."""
    resampled = daily[significance.stationary_indices(len(daily), draws, seed)]  # (draws, days)
    found = {}
    for name, figure in _DRAWN.items():
        low, high = np.quantile(figure(resampled), (0.025, 0.975), method="nearest")  # may be infinite
        found[name] = {"value": float(figure(daily)), "low": float(low), "high": float(high)}
    return found


def exposure_figures(replay: Replay) -> dict[str, float]:
    """Mean size of exposure at the closes, its mean with sign; shares of closes held, long, short."""
    held = replay.exposure
    return {
        "exposure": float(np.abs(held).mean()),
        "net_exposure": float(held.mean()),
        "time_in_market": float((held != 0.0).mean()),
        "time_long": float((held > 0.0).mean()),
        "time_short": float((held < 0.0).mean()),
    }


def trade_figures(trades: pd.DataFrame) -> dict[str, Any]:
    """Figures of round trips; those still open at the end count among `trades` alone.

    Returns:
        `win_rate`: share with a gain after all costs; `profit_factor`: returns won over returns lost, each a
        share of the equity before, so that late trades do not weigh more; means of these returns, of fees,
        slippage and funding in the same unit; `bars_held`: median; `exits`: numbers by reason. NaN where
        there is nothing to count.
    """
    ended = _ended(trades)
    won = ended[c.TRADE_RETURN].to_numpy(np.float64)
    equity = ended[c.ENTRY_EQUITY].to_numpy(np.float64)
    lost = float(-won[won <= 0.0].sum())
    return {
        "trades": float(len(trades)),
        "win_rate": _mean(won > 0.0),
        "profit_factor": float(_profit_factor(np.array([lost, won[won > 0.0].sum()]))),
        "mean_trade": _mean(won),
        "mean_win": _mean(won[won > 0.0]),
        "mean_loss": _mean(won[won <= 0.0]),
        **{f"mean_{name}": _mean(ended[name] / equity) for name in (c.FEES, c.SLIPPAGE, c.FUNDING_PAID)},
        "bars_held": float(ended[c.BARS_HELD].median()),
        "exits": {reason: float((trades[c.EXIT_REASON] == reason).sum()) for reason in REASONS},
    }


def trade_intervals(trades: pd.DataFrame, draws: int, seed: int) -> dict[str, dict[str, float]]:
    """Win rate and profit factor with 95 % intervals that resample the weeks of the exits.

    The bounds are NaN with exits in fewer than two weeks; a resample without a loss has an infinite factor.
    """
    ended = _ended(trades)
    won = ended[c.TRADE_RETURN].to_numpy(np.float64)
    week = significance.week_index(ended[c.EXIT_TIME].dt.tz_localize(None).to_numpy("datetime64[ms]"))
    if not len(week) or week.max() == 0:
        plain = trade_figures(trades)
        unknown = {"low": float("nan"), "high": float("nan")}
        return {name: {"value": plain[name], **unknown} for name in ("win_rate", "profit_factor")}
    wins = significance.block_sums(np.stack([np.ones(len(won)), won > 0.0], axis=1), week)
    money = significance.block_sums(np.stack([np.maximum(-won, 0.0), np.maximum(won, 0.0)], axis=1), week)
    drawn = significance.bootstrap(_profit_factor, money, draws, seed)
    low, high = np.quantile(drawn, (0.025, 0.975), method="nearest")  # may be infinite
    factor = {"value": float(_profit_factor(money.sum(axis=0))), "low": float(low), "high": float(high)}
    return {
        "win_rate": significance.interval(significance.share, wins, draws, seed)._asdict(),
        "profit_factor": factor,
    }


def limited_figures(replay: Replay, panel: Panel, grid: Grid) -> dict[str, float]:
    """What a replay under risk limits came to.

    Returns:
        `sharpe`, `max_drawdown`, `liquidations`; `held_share`: share of closes at which a limit changed the
        order or forbade any; `killed`: accounts that the drawdown limit closed.
    """
    equity = portfolio.equity_curve(replay.net_return, grid)
    spans = zip(panel.starts, panel.ends)
    return {
        "sharpe": portfolio.sharpe_of(equity, grid.timestamp),
        "max_drawdown": metrics.max_drawdown(equity),
        "liquidations": float(replay.liquidated.sum()),
        "held_share": float(replay.limited.mean()),
        "killed": float(sum(replay.killed[start:end].any() for start, end in spans)),
    }


def symbol_section(traded: Traded) -> dict[str, dict[str, Any]]:
    """Figures of every sub-account by itself, and what it contributed to the portfolio."""
    grid = traded.grid
    found = {}
    for number, symbol in enumerate(traded.symbols):
        rows = grid.column == number
        trades = traded.trades[traded.trades[c.SYMBOL] == symbol]
        alone = grid._replace(row=grid.row[rows], column=np.zeros(int(rows.sum()), dtype=np.int64))
        found[symbol] = {
            **_figures(_only(traded.replay, rows), alone, trades),
            **equity_figures(grid.timestamp, portfolio.equity_curve(traded.replay.net_return[rows], alone)),
            "contribution": float(trades[c.CONTRIBUTION].sum()),
        }
    return found


def year_section(traded: Traded) -> dict[str, dict[str, Any]]:
    """Figures of every calendar year with at least 30 days; a round trip belongs to its exit's year."""
    grid = traded.grid
    equity = portfolio.equity_curve(traded.replay.net_return, grid)
    year, exited = metrics.years(grid.timestamp), traded.trades[c.EXIT_TIME].dt.year.to_numpy()
    found = {}
    for number in np.unique(year):
        bars = np.flatnonzero(year == number)
        if len(bars) < _MIN_DAYS_OF_A_YEAR * 24:
            continue
        own_equity, time = portfolio.with_base(equity, grid.timestamp, bars)
        own = _only(traded.replay, year[grid.row] == number)
        found[str(number)] = {
            **_figures(own, grid, traded.trades[exited == number]),
            **equity_figures(time, own_equity),
        }
    return found


def monthly_returns(timestamp: NDArray[np.datetime64], equity: Array) -> pd.Series:
    """Return of every calendar month; equity is 1 before the first bar. Index: months."""
    month = pd.DatetimeIndex(timestamp).to_period("M")
    ends = pd.Series(equity, index=month).groupby(level=0).last()
    return ends / ends.shift(1, fill_value=1.0) - 1.0


def _figures(replay: Replay, grid: Grid, trades: pd.DataFrame) -> dict[str, Any]:
    return {**exposure_figures(replay), **portfolio.flow_figures(replay, grid), **trade_figures(trades)}


def _only(replay: Replay, rows: NDArray[np.bool_]) -> Replay:
    return Replay(**{name: values[rows] for name, values in replay._asdict().items()})


def _ended(trades: pd.DataFrame) -> pd.DataFrame:
    return trades[trades[c.EXIT_REASON] != REASONS[-1]]


def _profit_factor(sums: Array) -> Array:
    """Won over lost of sums (..., 2) lost and won: infinite without a loss, NaN where neither is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[..., 1] / np.abs(sums[..., 0]))


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
