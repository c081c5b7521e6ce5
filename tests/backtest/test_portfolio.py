"""Equal-weight sub-accounts, rebalanced monthly."""

import numpy as np
import pytest

from tests.env import toy
from xrl.backtest.portfolio import equity_curve, flow_figures, grid_of, sharpe_by_year, sharpe_of
from xrl.backtest.replay import replay_targets
from xrl.env.market import stack


def hours(start: str, count: int) -> np.ndarray:
    return np.datetime64(start, "ms") + np.arange(count) * np.timedelta64(1, "h")


def test_sub_accounts_compound_alone_within_a_month_and_share_at_its_end() -> None:
    time = hours("2026-01-31T22", 4)  # two bars of January, two of February
    grid = grid_of([time, time])
    returns = np.array([1.0, 0.5, 0.1, 0.0, 0.0, 0.0, -0.1, 0.2])
    # January: 2, 3 and 1, 1: mean 1.5, 2. February from 2: 1.1, 1.1 and 0.9, 1.08
    assert equity_curve(returns, grid) == pytest.approx([1.5, 2.0, 2.0 * 1.0, 2.0 * 1.09])


def test_a_symbol_without_a_bar_earns_nothing_there() -> None:
    grid = grid_of([hours("2026-03-01T00", 3), hours("2026-03-01T01", 2)])
    assert grid.timestamp.tolist() == hours("2026-03-01T00", 3).tolist()
    assert equity_curve(np.array([0.1, 0.0, 0.0, 0.2, 0.0]), grid) == pytest.approx([1.05, 1.15, 1.15])


def test_a_lost_sub_account_takes_its_share_only() -> None:
    time = hours("2026-03-01T00", 2)
    assert equity_curve(np.array([-1.0, 0.5, 0.0, 0.0]), grid_of([time, time])) == pytest.approx([0.5, 0.5])


def test_sharpe_is_of_daily_returns_of_a_year_of_365_days() -> None:
    time = hours("2026-03-01T00", 72)
    equity = np.repeat([1.01, 1.01 * 0.99, 1.01 * 0.99 * 1.03], 24)
    equity[0] = 1.0  # the base
    daily = np.array([0.01, -0.01, 0.03])
    assert sharpe_of(equity, time) == pytest.approx(daily.mean() / daily.std(ddof=1) * np.sqrt(365))
    assert sharpe_of(np.ones(72), time) == 0.0


def test_years_with_less_than_thirty_days_have_no_sharpe() -> None:
    time = hours("2025-12-22T00", 24 * 50)
    equity = np.exp(np.cumsum(np.random.default_rng(0).normal(0.0, 0.01, len(time))))
    assert list(sharpe_by_year(equity, time)) == ["2026"]


def test_a_year_begins_with_the_return_of_its_first_day() -> None:
    time = hours("2025-12-30T00", 24 * 42)
    equity = np.exp(np.cumsum(np.random.default_rng(0).normal(0.0, 0.01, len(time))))
    closes = equity[23::24][1:]  # the old year's last one is the base
    daily = closes[1:] / closes[:-1] - 1.0
    expected = daily.mean() / daily.std(ddof=1) * np.sqrt(365)
    assert sharpe_by_year(equity, time)["2026"] == pytest.approx(expected)


def test_flows_are_per_sub_account_and_day_or_year() -> None:
    panel = stack([toy.tensor(np.zeros(48)), toy.tensor(np.zeros(48))])
    replay = replay_targets(np.repeat([1.0, 0.0], 48), panel, toy.TERMS)
    found = flow_figures(replay, grid_of([hours("2026-01-01", 48)] * 2))
    assert found["turnover"] == pytest.approx(0.25)  # one account buys 1x once in two days, the other nothing
    assert found["fee_share"] == pytest.approx((0.0002 + 1.0002 * 0.0005) * 365 / 4)
    assert found["funding_share"] == 0.0
    assert found["liquidations"] == 0.0
