"""Figures of a track."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.env import toy
from xrl import columns as c
from xrl.backtest import plots, report
from xrl.backtest.performance import Traded
from xrl.backtest.portfolio import equity_curve, grid_of
from xrl.backtest.replay import replay_policy
from xrl.backtest.trades import round_trips
from xrl.env.market import stack
from xrl.evaluation import calibration, metrics


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Six weeks of one symbol: a committee that knows something, a rival that knows nothing."""
    rng = np.random.default_rng(0)
    bars = 24 * 42
    score = rng.normal(size=bars)
    signal = 0.5 * score + rng.normal(size=bars)
    frame = pd.DataFrame(
        {
            c.SYMBOL: "AAA",
            c.TIMESTAMP: pd.date_range("2026-01-05", periods=bars, freq="h", tz="UTC", unit="ms"),
            c.FOLD: np.repeat([0, 1], bars // 2),
            c.LABEL: np.digitize(score, [-0.44, 0.44]).astype(float),
            c.FORWARD_RETURN: 0.02 * score,
            c.SCORE: score,
        }
    )
    for model, strength in (("committee", signal), ("lightgbm", rng.normal(size=bars))):
        odds = np.exp(np.stack([-strength, np.full(bars, 0.1), strength], axis=1))
        frame[list(c.probability_columns(model))] = odds / odds.sum(axis=1, keepdims=True)
    frame.loc[frame.index[-20:], [c.LABEL, c.FORWARD_RETURN, c.SCORE]] = np.nan  # not matured
    return frame


def test_bars_without_a_matured_label_are_not_judged(rows: pd.DataFrame) -> None:
    assert len(report.predictions_of(rows, "committee").truth) == len(rows) - 20


def test_the_prediction_section_has_every_figure_the_gate_reads(rows: pd.DataFrame) -> None:
    found = report.prediction_section(rows, min_shift_bars=80, draws=200, seed=0)
    for name in ("f1_macro", "direction_accuracy", "ic", "accuracy_minus_majority", "f1_minus_lightgbm"):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    assert found["f1_minus_lightgbm"]["low"] > 0.0
    assert found["null_f1"] < found["f1_macro"]["low"]
    assert found["null_direction"] == pytest.approx(0.5, abs=0.03)
    assert found["share_sell"] + found["share_hold"] + found["share_buy"] == pytest.approx(1.0)


def test_the_prediction_section_says_which_bars_it_judged(rows: pd.DataFrame) -> None:
    found = report.prediction_section(rows, min_shift_bars=80, draws=200, seed=0)
    assert (found["start"], found["end"]) == ("2026-01-05T00:00:00+00:00", "2026-02-15T04:00:00+00:00")
    judged = report.predictions_of(rows, "committee")
    dealt = np.random.default_rng(1).permutation(judged.predicted)  # the same calls at random
    expected = metrics.f1_macro(metrics.confusion(judged.truth, dealt))
    assert found["chance_f1"] == pytest.approx(float(expected), abs=0.03)
    assert found["null_f1"] == pytest.approx(found["chance_f1"], abs=0.02)


def test_reliability_counts_every_matured_bar_for_every_event(rows: pd.DataFrame) -> None:
    found = report.reliability_of(rows, "committee")
    assert list(found) == ["top label", *c.CLASSES]
    assert {int(event.rows.sum()) for event in found.values()} == {len(rows) - 20}
    buy = found["buy"]
    seen = buy.rows > 30
    assert np.corrcoef(buy.said[seen], buy.came_true[seen])[0, 1] > 0.9  # this committee knows something


def test_constant_calls_score_a_third_of_their_class(rows: pd.DataFrame) -> None:
    truth = report.predictions_of(rows, "committee").truth
    share = (truth == c.BUY).mean()
    assert report.constant_f1(rows, c.BUY) == pytest.approx(2 * share / (1 + share) / 3)


def test_trading_counts_actions_and_keeps_intervals() -> None:
    tensor = toy.foreseen(24 * 40, 0)
    panel, grid = stack([tensor]), grid_of([tensor.timestamp])
    long = c.ACTIONS.index("buy_1x")
    replay = replay_policy(lambda seen, rows: np.full(len(seen), long), panel, toy.TERMS)
    trades = round_trips(replay, panel, toy.TERMS, grid, ["TOY0"])
    found = report.trading_section(Traded(replay, grid, trades, ("TOY0",)), draws=200, seed=0)
    assert found["action_share"]["buy_1x"] == 1.0
    assert sum(found["action_share"].values()) == 1.0
    for name in ("sharpe", "sortino", "annual_return"):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    equity = equity_curve(replay.net_return, grid)
    assert found["total_return"] == pytest.approx(equity[-1] - 1.0)
    assert (found["trades"], found["time_long"]) == (1.0, pytest.approx(1.0, abs=0.01))  # held to the end
    assert trades[c.CONTRIBUTION].sum() == pytest.approx(equity[-1] - 1.0)
    assert set(found["symbols"]) == {"TOY0"}
    assert set(found["years"]) == {"2026"}


def test_a_baseline_is_compared_with_the_policy_on_the_same_days() -> None:
    time = np.datetime64("2026-01-01", "ms") + np.arange(24 * 100) * np.timedelta64(1, "h")
    grid, rng = grid_of([time]), np.random.default_rng(0)
    ours, theirs = (np.exp(np.cumsum(rng.normal(mean, 0.005, len(time)))) for mean in (0.0005, 0.0))
    found = report.baseline_figures(theirs, ours, grid, draws=200, seed=0)
    sharpe = [float(metrics.sharpe(metrics.daily_returns(time, curve))) for curve in (ours, theirs)]
    assert found["policy_minus"]["value"] == pytest.approx(sharpe[0] - sharpe[1])
    assert found["policy_minus"]["low"] < found["policy_minus"]["value"] < found["policy_minus"]["high"]
    assert found["sharpe_interval"]["value"] == pytest.approx(found["sharpe"]) == pytest.approx(sharpe[1])
    assert report.baseline_figures(ours, ours, grid, draws=200, seed=0)["policy_minus"]["value"] == 0.0


def test_folds_without_trading_have_no_sharpe(rows: pd.DataFrame) -> None:
    second = rows[rows[c.FOLD] == 1]
    grid = grid_of([second[c.TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[ms]")])
    equity = np.exp(np.cumsum(np.random.default_rng(1).normal(0.001, 0.01, len(second))))
    found = report.fold_section(rows, equity, grid)
    assert list(found) == ["0", "1"]
    assert found["0"]["sharpe"] is None
    assert found["1"]["sharpe"] == pytest.approx(
        float(metrics.sharpe(metrics.daily_returns(grid.timestamp, equity)))
    )
    assert found["0"]["ic"] > 0.2


def test_what_is_not_finite_becomes_null() -> None:
    tree = {"a": np.float64("nan"), "b": {"c": np.int64(3), "d": [1, float("inf")]}, "e": "x", "f": None}
    assert json.loads(json.dumps(report.plain_tree(tree), allow_nan=False)) == {
        "a": None,
        "b": {"c": 3.0, "d": [1.0, None]},
        "e": "x",
        "f": None,
    }


def test_daily_equity_is_each_days_last(tmp_path: Path) -> None:
    time = np.datetime64("2026-01-01T22", "ms") + np.arange(5) * np.timedelta64(1, "h")
    daily = plots.daily_equity(time, {"policy": np.arange(1.0, 6.0), "flat": np.ones(5)})
    assert daily.to_dict("list") == {
        "date": ["2026-01-01", "2026-01-02"],
        "policy": [2.0, 5.0],
        "flat": [1.0, 1.0],
    }
    plots.draw_equity(daily, tmp_path / "equity.png", "two days")
    plots.draw_confusion(np.eye(3) * 7, tmp_path / "confusion.png", "perfect")
    said = np.linspace(0.2, 0.8, 500)
    curve = calibration.reliability(said, np.random.default_rng(0).random(500) < said)
    plots.draw_reliability({"one": {"top label": curve, "buy": curve}}, tmp_path / "reliability.png", "fair")
    plots.draw_intervals(
        {"ic": {"one": {"value": 0.1, "low": 0.0, "high": 0.2}}}, tmp_path / "ic.png", "one", {"ic": 0.0}
    )
    assert {path.stat().st_size > 5000 for path in tmp_path.iterdir()} == {True}
