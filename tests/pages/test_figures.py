"""Plots show the numbers they are given, thinned to what can be seen."""

import json

import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.pages import figures, prices
from xrl.pages.page import daily_sources


def trades(returns: list[float], side: str = "long") -> pd.DataFrame:
    hours = np.arange(len(returns)) * 10
    start = pd.Timestamp("2026-01-01", tz="UTC")
    return pd.DataFrame(
        {
            c.SYMBOL: "A", c.SIDE: side, c.EXIT_REASON: "signal", c.LEVERAGE: 1.0, c.BARS_HELD: 3,
            c.ENTRY_TIME: start + pd.to_timedelta(hours, "h"),
            c.EXIT_TIME: start + pd.to_timedelta(hours + 3, "h"),
            c.ENTRY_PRICE: 100.0, c.EXIT_PRICE: 100.0 * (1.0 + np.array(returns)), c.TRADE_RETURN: returns,
        }
    )  # fmt: skip


def bars(count: int) -> pd.DataFrame:
    base = np.arange(count, dtype=np.float64)
    time = pd.date_range("2026-01-01", periods=count, freq="h", tz="UTC")
    return pd.DataFrame(
        {c.TIMESTAMP: time, c.OPEN: base, c.HIGH: base + 5, c.LOW: base - 5, c.CLOSE: base + 1}
    )


def test_the_line_below_the_peak_is_the_drawdown() -> None:
    daily = pd.DataFrame({"date": ["a", "b", "c"], "policy": [1.0, 2.0, 1.5], "flat": [1.0, 1.0, 1.0]})
    above, below = figures.equity(daily)["data"][-2:]  # ours is drawn last
    assert (above["name"], above["y"]) == ("policy", [1.0, 2.0, 1.5])
    assert below["y"] == [0.0, 0.0, -25.0]
    assert above["visible"] is True


def test_months_stand_in_their_year_and_multiply_to_its_return() -> None:
    index = pd.PeriodIndex(["2025-12", "2026-01", "2026-03"], freq="M")
    trace = figures.months(pd.Series([0.10, 0.20, -0.50], index=index))["data"][0]
    assert trace["y"] == ["2026  -40.0 %", "2025  +10.0 %"]
    assert trace["z"][0] == [20.0, None, -50.0, *[None] * 9]
    assert trace["z"][1] == [*[None] * 11, 10.0]


def test_whiskers_reach_from_low_to_high() -> None:
    trace = figures.ratios([("policy", 1.0, 0.25, 2.0), ("flat", 0.0, None, None)])["data"][0]
    assert trace["y"] == ["flat", "policy"]
    assert trace["error_x"]["array"] == [0.0, 1.0]
    assert trace["error_x"]["arrayminus"] == [0.0, 0.75]


def test_sides_of_a_month_add_up_to_all_bars() -> None:
    time = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03", "2026-02-01"], utc=True)
    track = pd.DataFrame({c.TIMESTAMP: time, "exposure": [1.0, -0.5, 0.0, 2.0]})
    shares = {trace["name"]: trace["y"] for trace in figures.sides(track)["data"]}
    assert shares["long"] == pytest.approx([33.33, 100.0], abs=0.01)
    assert np.sum(list(shares.values()), axis=0) == pytest.approx([100.0, 100.0], abs=0.05)


def test_what_is_not_finite_is_not_drawn() -> None:
    assert figures.rounded([1.23456, float("nan"), float("inf")], 3) == [1.23, None, None]


def test_hours_are_merged_into_candles_that_keep_their_extremes() -> None:
    candles = prices.merged(bars(8), 4)
    assert candles[[c.OPEN, c.HIGH, c.LOW, c.CLOSE]].to_numpy().tolist() == [[0, 8, -5, 4], [4, 12, -1, 8]]


@pytest.mark.parametrize(("count", "hours"), [(1500, 1), (1501, 2), (24 * 365 * 4, 24), (24 * 365 * 40, 336)])
def test_candles_are_as_short_as_fits(count: int, hours: int) -> None:
    assert prices.candle_hours(count) == hours


def test_the_round_trips_that_moved_most_are_drawn_and_their_number_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prices, "MAX_TRADES", 2)
    chart = prices.price_chart(bars(48), trades([0.01, -0.3, 0.2, 0.0]))
    assert chart["note"] == {"candle_hours": 1, "shown": 2, "trades": 4}
    won, lost = chart["data"][1:3]
    assert won["y"] == [100.0, 120.0, None]
    assert lost["y"] == [100.0, 70.0, None]
    assert lost["x"] == ["2026-01-01 10:00", "2026-01-01 13:00", None]
    assert "-30.00 %" in lost["text"][0]
    assert json.dumps(chart, allow_nan=False)


def test_a_symbol_without_round_trips_has_a_chart() -> None:
    chart = prices.price_chart(bars(48), trades([]))
    assert chart["note"]["trades"] == 0
    assert len(chart["data"][0]["x"]) == 48


def test_sources_add_up_to_the_portfolio() -> None:
    time = pd.date_range("2026-01-31T22:00", periods=4, freq="h", tz="UTC").as_unit("ms")
    track = pd.DataFrame(
        {
            c.SYMBOL: np.repeat(["A", "B"], 4), c.TIMESTAMP: [*time, *time],
            "net_return": [0.0, 1.0, 0.0, -0.1, 0.0, 0.0, 0.0, 0.2],
            "costs": [0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.05],
            "funding": [0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0], "insurance": 0.0,
        }
    )  # fmt: skip
    days = daily_sources(track)
    # January: A doubles its half, so 1.5 and 0.75 each; then A loses 10 % of it and B wins 20 %.
    assert days["net"].tolist() == pytest.approx([0.5, 0.75 * 0.1])
    assert days["fees and slippage"].tolist() == pytest.approx([-0.05, -0.75 * 0.05])
    assert days["funding"].tolist() == pytest.approx([0.0, -0.75 * 0.1])
    assert "liquidated margin" not in days
    assert days.drop(columns="net").sum(axis=1).tolist() == pytest.approx(days["net"].tolist())


def test_a_policy_that_never_trades_has_days_without_gain() -> None:
    """On real data none may find a threshold worth its costs; the page must say so, not fail."""
    time = pd.date_range("2026-01-31T22:00", periods=4, freq="h", tz="UTC").as_unit("ms")
    flat = pd.DataFrame({c.SYMBOL: "A", c.TIMESTAMP: time, **dict.fromkeys(["net_return", "costs"], 0.0)})
    days = daily_sources(flat.assign(funding=0.0, insurance=0.0))
    assert days["net"].tolist() == [0.0, 0.0]
