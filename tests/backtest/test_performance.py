"""Every figure by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.env import toy
from xrl import columns as c
from xrl.backtest import performance
from xrl.backtest.performance import Traded
from xrl.backtest.portfolio import equity_curve, grid_of, sharpe_by_year
from xrl.backtest.replay import replay_targets
from xrl.backtest.trades import round_trips
from xrl.env.market import stack
from xrl.evaluation import metrics


def listed(returns: list[float], reasons: list[str] | None = None, hours_apart: int = 24 * 7) -> pd.DataFrame:
    """Round trips with these returns on an equity of 200, one a week."""
    time = pd.date_range("2025-12-01", periods=len(returns), freq=f"{hours_apart}h", tz="UTC", unit="ms")
    won = np.array(returns, dtype=np.float64)
    frame = pd.DataFrame(0.0, index=range(len(won)), columns=list(c.TRADE))
    return frame.assign(
        **{
            c.SYMBOL: "A", c.EXIT_TIME: time, c.EXIT_REASON: reasons or "signal", c.ENTRY_EQUITY: 200.0,
            c.TRADE_RETURN: won, c.PNL: 200.0 * won, c.FEES: 2.0, c.SLIPPAGE: 1.0, c.FUNDING_PAID: -0.5,
            c.BARS_HELD: np.arange(len(won)),
        }
    )  # fmt: skip


def of_days(*returns: float) -> dict[str, float]:
    """Figures of a curve with these daily returns, two bars a day, half a day's way at noon."""
    ends = np.cumprod(np.append(1.0, 1.0 + np.array(returns)))
    equity = np.ravel([(ends[:-1] + ends[1:]) / 2.0, ends[1:]], order="F")
    time = np.datetime64("2026-01-01T11", "ms") + np.arange(2 * len(returns)) * np.timedelta64(12, "h")
    return performance.equity_figures(
        np.append(time[0] - np.timedelta64(1, "h"), time), np.append(1.0, equity)
    )


def test_equity_figures_of_four_days() -> None:
    found = of_days(0.10, -0.05, -0.02, 0.04)
    end = 1.1 * 0.95 * 0.98 * 1.04
    mean, downside = 0.07 / 4, math.sqrt((0.05**2 + 0.02**2) / 4)
    assert found["total_return"] == pytest.approx(end - 1)
    assert found["annual_return"] == pytest.approx(end ** (365 / 4) - 1)
    assert found["max_drawdown"] == pytest.approx(1 - 0.95 * 0.98)
    assert found["longest_drawdown_days"] == 3.0  # never back at 1.1
    assert found["sortino"] == pytest.approx(mean / downside * math.sqrt(365))
    assert found["calmar"] == pytest.approx((end ** (365 / 4) - 1) / (1 - 0.95 * 0.98))
    deviation = math.sqrt(sum((r - mean) ** 2 for r in (0.10, -0.05, -0.02, 0.04)) / 3)
    assert found["annual_volatility"] == pytest.approx(deviation * math.sqrt(365))
    assert found["sharpe"] == pytest.approx(mean / deviation * math.sqrt(365))


def test_who_never_loses_has_no_bound_and_who_never_moves_has_nothing() -> None:
    winner, flat = (of_days(*[daily] * 5) for daily in (0.01, 0.0))
    assert winner["sortino"] == math.inf
    assert math.isnan(winner["calmar"])
    assert (winner["max_drawdown"], winner["longest_drawdown_days"]) == (0.0, 0.0)
    assert (flat["sharpe"], flat["sortino"], flat["annual_return"]) == (0.0, 0.0, 0.0)


def test_a_fall_within_a_day_counts() -> None:
    time = np.datetime64("2026-01-01", "ms") + np.arange(4) * np.timedelta64(12, "h")
    found = performance.equity_figures(time, np.array([1.0, 0.5, 0.8, 1.0]))
    assert found["max_drawdown"] == 0.5


def test_rounding_of_a_flat_curve_is_no_gain() -> None:
    assert float(metrics.sortino(np.array([0.0, 2e-16, 0.0]))) == 0.0


def test_a_total_loss_is_a_year_of_nothing_left() -> None:
    assert float(metrics.annual_return(np.array([0.5, -1.0]))) == pytest.approx(-1.0)


def test_a_drawdown_ends_where_the_old_peak_is_reached() -> None:
    assert metrics.longest_drawdown_days(np.array([0.1, -0.1, 0.2, -0.1, -0.1, 0.5])) == 2


def test_intervals_hold_their_value_and_narrow_with_time() -> None:
    rng = np.random.default_rng(0)
    long = rng.normal(0.002, 0.02, 1600)
    found = performance.intervals(long, draws=400, seed=0)
    assert list(found) == ["sortino", "annual_return"]
    for figure in found.values():
        assert figure["low"] < figure["value"] < figure["high"]
    assert found["sortino"]["value"] == pytest.approx(float(metrics.sortino(long)))
    short = performance.intervals(long[:200], draws=400, seed=0)
    wide, narrow = (own["sortino"]["high"] - own["sortino"]["low"] for own in (short, found))
    assert wide > 2 * narrow


def test_trade_figures_of_five_round_trips_and_an_open_one() -> None:
    reasons = ["signal", "stop", "signal", "liquidation", "take_profit", "end"]
    found = performance.trade_figures(listed([0.04, -0.01, 0.02, -0.03, 0.0, 0.5], reasons))
    assert found["trades"] == 6.0
    assert found["win_rate"] == pytest.approx(2 / 5)  # a trade that gives nothing is no win
    assert found["profit_factor"] == pytest.approx(0.06 / 0.04)
    assert found["mean_trade"] == pytest.approx(0.02 / 5)
    assert found["mean_win"] == pytest.approx(0.03)
    assert found["mean_loss"] == pytest.approx(-0.04 / 3)
    assert (found["mean_fees"], found["mean_slippage"], found["mean_funding"]) == (0.01, 0.005, -0.0025)
    assert found["bars_held"] == 2.0
    assert found["exits"] == {
        "signal": 2,
        "limit": 0,
        "stop": 1,
        "take_profit": 1,
        "liquidation": 1,
        "end": 1,
    }


def test_without_losses_the_profit_factor_is_infinite_and_without_trades_none() -> None:
    assert performance.trade_figures(listed([0.01]))["profit_factor"] == math.inf
    wins = performance.trade_intervals(listed([0.01] * 20, hours_apart=84), 100, 0)
    assert wins["profit_factor"] == {"value": math.inf, "low": math.inf, "high": math.inf}
    one_loss = [0.02] * 19 + [-0.01]
    factor = performance.trade_intervals(listed(one_loss, hours_apart=84), 400, 0)["profit_factor"]
    assert factor["value"] == pytest.approx(38.0)
    assert factor["low"] > 1.0
    assert factor["high"] == math.inf
    nothing = performance.trade_figures(listed([]))
    assert math.isnan(nothing["profit_factor"])
    assert nothing["trades"] == 0.0
    assert math.isnan(nothing["win_rate"])
    unknown = performance.trade_intervals(listed([0.01, -0.02], hours_apart=1), 100, 0)
    assert unknown["win_rate"]["value"] == 0.5
    assert math.isnan(unknown["win_rate"]["low"])


def test_win_rate_and_profit_factor_resample_weeks() -> None:
    trades = listed([0.02, -0.01] * 30, hours_apart=84)
    found = performance.trade_intervals(trades, 200, 0)
    assert found["win_rate"]["value"] == 0.5
    assert found["profit_factor"]["value"] == pytest.approx(2.0)
    # Every week holds one win and one loss, so no resample differs.
    assert found["win_rate"]["low"] == found["win_rate"]["high"] == 0.5


@pytest.fixture(scope="module")
def traded() -> Traded:
    """Two symbols over the turn of a year: one long half the time, one flat."""
    rng = np.random.default_rng(1)
    bars = 24 * 80
    tensors = [toy.tensor(rng.normal(0.0, 0.01, bars), symbol=name) for name in ("A", "B")]
    time = np.datetime64("2025-11-15", "ms") + np.arange(bars) * np.timedelta64(1, "h")
    targets = np.concatenate([np.tile(np.repeat([1.0, 0.0], 24), bars // 48), np.zeros(bars)])
    panel, grid = stack(tensors), grid_of([time, time])
    replay = replay_targets(targets, panel, toy.TERMS)
    sent = np.zeros((2 * bars, 4))
    sent[:, 0] = targets
    replay = replay._replace(sent=sent, limited=np.zeros(2 * bars))
    trades = round_trips(replay, panel, toy.TERMS, grid, ("A", "B"))
    return Traded(replay, grid, trades, ("A", "B"))


def test_exposure_is_counted_at_closes(traded: Traded) -> None:
    found = performance.exposure_figures(traded.replay)
    assert found["time_in_market"] == pytest.approx(0.25, abs=0.01)
    assert (found["time_long"], found["time_short"]) == (found["time_in_market"], 0.0)
    assert found["exposure"] == found["net_exposure"] == pytest.approx(0.25, abs=0.01)


def test_every_symbol_stands_for_itself(traded: Traded) -> None:
    replay, grid, trades, _ = traded
    found = performance.symbol_section(traded)
    assert (found["B"]["trades"], found["B"]["total_return"], found["B"]["contribution"]) == (0.0, 0.0, 0.0)
    assert found["A"]["trades"] == len(trades)
    assert found["A"]["time_in_market"] == pytest.approx(0.5, abs=0.01)
    alone = np.prod(1.0 + replay.net_return[grid.column == 0])
    assert found["A"]["total_return"] == pytest.approx(alone - 1.0)
    whole = equity_curve(replay.net_return, grid)[-1]
    assert 1.0 + found["A"]["contribution"] == pytest.approx(whole)


def test_years_divide_the_equity_and_the_trades(traded: Traded) -> None:
    replay, grid, trades, _ = traded
    equity = equity_curve(replay.net_return, grid)
    found = performance.year_section(traded)
    assert list(found) == ["2025", "2026"]
    growth = math.prod(1.0 + year["total_return"] for year in found.values())
    assert growth == pytest.approx(equity[-1] / equity[0])
    assert sum(year["trades"] for year in found.values()) == len(trades)
    own = sharpe_by_year(equity, grid.timestamp)
    assert {number: year["sharpe"] for number, year in found.items()} == pytest.approx(own)


def test_months_multiply_to_the_whole(traded: Traded) -> None:
    replay, grid, _, _ = traded
    equity = equity_curve(replay.net_return, grid)
    months = performance.monthly_returns(grid.timestamp, equity)
    assert [str(month) for month in months.index] == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert np.prod(1.0 + months) == pytest.approx(equity[-1])


def test_a_month_is_judged_by_its_last_bar() -> None:
    time = np.array(["2026-01-31T22", "2026-01-31T23", "2026-02-01T00"], dtype="datetime64[ms]")
    months = performance.monthly_returns(time, np.array([1.0, 1.1, 1.21]))
    assert months.tolist() == pytest.approx([0.1, 0.1])
