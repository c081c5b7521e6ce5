"""One portfolio of equal-weight isolated sub-accounts, one per symbol, rebalanced monthly.

Enters: each sub-account's bar returns. Leaves: the portfolio's equity and its figures. The transfers at a
month's turn are free here: they are a few per cent of equity, so at 7 bps well below a basis point a month.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl.backtest.replay import Replay
from xrl.evaluation import metrics


class Grid(NamedTuple):
    """Where a panel's rows stand in time: row i is symbol `column[i]` in bar `row[i]`."""

    timestamp: NDArray[np.datetime64]  # (bars,) sorted, of all symbols together
    row: NDArray[np.int64]  # (rows,)
    column: NDArray[np.int64]  # (rows,)
    month: NDArray[np.int64]  # (bars,) months since 1970


def grid_of(timestamps: list[NDArray[np.datetime64]]) -> Grid:
    """Grid of symbols' timestamps, stacked in that order as `env.market.stack` does."""
    stacked = np.concatenate(timestamps)
    timestamp, row = np.unique(stacked, return_inverse=True)
    column = np.repeat(np.arange(len(timestamps)), [len(own) for own in timestamps])
    month = timestamp.astype("datetime64[M]").astype(np.int64)
    return Grid(timestamp, row.astype(np.int64), column, month)


def equity_curve(net_return: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Portfolio equity after each bar, 1 before the first.

    Within a month each sub-account compounds by itself; at its end all are set to the same share. A symbol
    without a bar at some time earns nothing there.

    Args:
        net_return: return of each panel row. (rows,)
        grid: of the panel.

    Returns:
        (bars,)
    """
    return np.asarray(_accounts(net_return, grid)[1:].mean(axis=1))


def money_before(net_return: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """The portfolio's money in each row's sub-account before its bar; all of it is 1 at the start.

    So `net_return * money_before` is what a row adds to the portfolio's equity. Arguments as above; (rows,)
    """
    after = _accounts(net_return, grid)
    shared = after[:-1].mean(axis=1, keepdims=True)
    turned = np.append(False, np.diff(grid.month) != 0)
    before = np.where(turned[:, None], shared, after[:-1]) / after.shape[1]
    return np.asarray(before[grid.row, grid.column])


def _accounts(net_return: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Every sub-account at the start, where it is 1, and after each bar; (1 + bars, symbols)."""
    wide = np.zeros((len(grid.timestamp), int(grid.column.max()) + 1))
    wide[grid.row, grid.column] = net_return
    accounts = np.ones((len(wide) + 1, wide.shape[1]))
    turns = np.flatnonzero(np.diff(grid.month)) + 1
    for month in np.split(np.arange(len(wide)), turns):
        accounts[month + 1] = accounts[month[0]].mean() * np.cumprod(1.0 + wide[month], axis=0)
    return accounts


def sharpe_of(equity: NDArray[np.float64], timestamp: NDArray[np.datetime64]) -> float:
    """Sharpe ratio of daily UTC equity, times sqrt(365); 0 where equity does not move."""
    return float(metrics.sharpe(metrics.daily_returns(timestamp, equity)))


def sharpe_by_year(equity: NDArray[np.float64], timestamp: NDArray[np.datetime64]) -> dict[str, float]:
    """Sharpe ratio of each calendar year with at least 30 days."""
    year = pd.DatetimeIndex(timestamp).year.to_numpy()
    found = {}
    for number in np.unique(year):
        rows = np.flatnonzero(year == number)
        if len(rows) >= 30 * 24:
            found[str(number)] = sharpe_of(*with_base(equity, timestamp, rows))
    return found


def with_base(
    equity: NDArray[np.float64], timestamp: NDArray[np.datetime64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.datetime64]]:
    """Equity and times of consecutive `rows`, begun with the bar before, which their first day is earned on.

    That bar bears the first row's time: on a day of its own it would count as a day without a return.
    """
    base = max(int(rows[0]) - 1, 0)
    return equity[base : rows[-1] + 1], timestamp[[rows[0], *range(base + 1, rows[-1] + 1)]]


def flow_figures(replay: Replay, grid: Grid) -> dict[str, float]:
    """What trading moved, per sub-account.

    Returns:
        `turnover`: notional traded, multiples of equity a day; `fee_share`, `funding_share`: costs and
        funding paid, share of equity a year; `liquidations`: their number in all.
    """
    bars = len(replay.traded)
    days = bars / 24.0
    return {
        "turnover": float(replay.traded.sum() / days),
        "fee_share": float(replay.costs.sum() / days * metrics.DAYS_PER_YEAR),
        "funding_share": float(replay.funding.sum() / days * metrics.DAYS_PER_YEAR),
        "liquidations": float(replay.liquidated.sum()),
    }
