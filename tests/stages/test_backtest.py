"""The walk-forward track, its figures and its files."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.stages import predicted
from xrl import columns as c
from xrl.account.costs import terms_of
from xrl.backtest import ceiling
from xrl.backtest.baselines import Court
from xrl.backtest.portfolio import grid_of
from xrl.backtest.replay import replay_targets
from xrl.env.market import stack
from xrl.evaluation import metrics
from xrl.labels import folds
from xrl.paths import Paths
from xrl.registry import comparison
from xrl.stages import backtest, policy
from xrl.stages.backtest_inputs import read_trial
from xrl.stages.policy_inputs import read_policy_inputs


@pytest.fixture(scope="module")
def found(walked: Any) -> dict[str, Any]:
    return json.loads(walked.paths.metrics.read_text())


@pytest.fixture(scope="module")
def track(walked: Any) -> pd.DataFrame:
    return pd.read_parquet(walked.paths.track)


def test_figures_have_the_names_the_gate_reads(found: dict[str, Any]) -> None:
    assert set(found) == {
        "prediction", "trading", "baselines", "folds", "ceiling", "bars", "start", "end",
    }  # fmt: skip
    for name in (
        "f1_macro", "balanced_accuracy", "direction_accuracy", "ic", "ic_within_year", "log_loss",
        "ece_interval", "accuracy_minus_majority",
    ):  # fmt: skip
        assert set(found["prediction"][name]) == {"value", "low", "high"}
    for name in ("f1_minus_volatility_only", "f1_minus_lightgbm"):
        assert set(found["prediction"][name]) == {"value", "low", "high"}
    for name in (
        "f1_sell", "f1_hold", "f1_buy", "accuracy", "f1_volatility_only",
        "ece", "ece_sell", "ece_hold", "ece_buy",
        "share_sell", "share_hold", "share_buy", "null_f1", "null_direction", "chance_f1",
    ):  # fmt: skip
        assert np.isfinite(found["prediction"][name])
    for name in (
        "sharpe_costs_x0", "sharpe_costs_x2", "sharpe_delay_1", "sharpe_funding_off", "max_drawdown",
        "liquidations", "turnover", "total_return", "fee_share", "funding_share", "sharpe_all_buy",
        "sharpe_all_sell", "calmar", "annual_volatility", "longest_drawdown_days", "exposure", "trades",
        "time_in_market", "mean_trade", "bars_held",
    ):  # fmt: skip
        assert np.isfinite(found["trading"][name])
    for name in ("sharpe", "sortino", "annual_return", "win_rate", "profit_factor"):
        assert set(found["trading"][name]) == {"value", "low", "high"}
    assert set(found["trading"]["years"]) == {"2025"}
    assert set(found["trading"]["symbols"]) == {"BTCUSDT", "SOLUSDT"}
    for own in (*found["trading"]["years"].values(), *found["trading"]["symbols"].values()):
        assert {"sharpe", "sortino", "calmar", "max_drawdown", "turnover", "trades", "win_rate"} <= set(own)
    assert set(found["trading"]["sharpe_year"]) == {"2025"}
    assert set(found["trading"]["action_share"]) == set(c.ACTIONS)
    assert set(found["baselines"]) == {
        "flat", "buy_and_hold", "always_short", "random_timing", "committee_threshold", "logistic",
        "lightgbm", "volatility_only",
    }  # fmt: skip
    assert set(found["baselines"]["random_timing"]) == {"median", "p95"}
    for name in ("flat", "buy_and_hold", "always_short", "committee_threshold", "logistic", "lightgbm"):
        assert set(found["baselines"][name]["sharpe_interval"]) == {"value", "low", "high"}
        assert set(found["baselines"][name]["policy_minus"]) == {"value", "low", "high", "p"}
    assert found["folds"]["0"]["sharpe"] is None
    assert np.isfinite(found["folds"]["2"]["sharpe"])


def test_a_noisy_oracle_is_traded_at_a_profit_that_costs_lower(found: dict[str, Any]) -> None:
    trading = found["trading"]
    assert trading["sharpe_costs_x0"] > trading["sharpe"]["value"] > trading["sharpe_costs_x2"]
    assert trading["sharpe_costs_x2"] > 1.0
    # The 95th percentile of luck, and the threshold rule, are out of reach of a policy that saw 35 days.
    assert trading["sharpe"]["value"] > found["baselines"]["random_timing"]["median"]
    assert found["baselines"]["committee_threshold"]["sharpe"] > 5.0
    assert trading["liquidations"] == 0.0
    assert trading["fee_share"] > 0.0


def test_the_ceiling_of_the_planted_world_stands_above(found: dict[str, Any]) -> None:
    assert found["ceiling"]["direction_accuracy"] > 0.5
    assert found["ceiling"]["sharpe"] > found["baselines"]["buy_and_hold"]["sharpe"]


def test_the_ceiling_is_rebalanced_monthly_over_the_same_bars_as_every_strategy(
    walked: Any, found: dict[str, Any], track: pd.DataFrame
) -> None:
    laid, _ = folds.load(walked.paths.folds)
    trial = read_trial(
        walked.paths, read_policy_inputs(walked.paths, walked.config.labels, walked.config.backtest), laid
    )
    panel, terms = stack(trial.tensors), terms_of(walked.config.backtest)
    world = walked.config.market.world_seed, walked.config.labels.horizon_bars
    targets = ceiling.targets(track[[c.SYMBOL, c.TIMESTAMP]], panel, terms, *world)
    earned = replay_targets(targets, panel, terms).net_return
    daily = comparison.daily_returns(track.assign(net_return=earned))  # the gate's own reading of a track
    assert found["ceiling"]["sharpe"] == pytest.approx(float(metrics.sharpe(daily)), rel=1e-6)


def test_scores_name_the_span_they_were_measured_on(walked: Any, found: dict[str, Any]) -> None:
    laid, _ = folds.load(walked.paths.folds)
    horizon = pd.Timedelta(hours=walked.config.labels.horizon_bars)
    assert pd.Timestamp(found["prediction"]["start"]) == laid[0].test_start  # all folds are scored
    assert pd.Timestamp(found["prediction"]["end"]) == laid[-1].test_end - horizon  # matured bars alone
    assert pd.Timestamp(found["start"]) == laid[1].test_start  # no policy trades the first fold
    assert pd.Timestamp(found["end"]) == laid[-1].test_end


def test_the_track_holds_the_folds_that_have_a_policy(walked: Any, track: pd.DataFrame) -> None:
    laid, _ = folds.load(walked.paths.folds)
    assert list(track) == [
        c.SYMBOL, c.TIMESTAMP, c.FOLD,
        *c.probability_columns("committee"), *c.probability_columns("lightgbm"),
        c.LABEL, c.FORWARD_RETURN, "action", "exposure", "net_return", "costs", "funding", "insurance",
    ]  # fmt: skip
    assert sorted(track[c.FOLD].unique()) == [1, 2]
    assert track[c.TIMESTAMP].min() == laid[1].test_start
    assert set(track["action"]) <= set(c.ACTIONS)
    assert track[c.LABEL].isna().groupby(track[c.SYMBOL]).sum().tolist() == [20, 20]  # not matured


def test_actions_decided_at_a_close_show_in_the_next_bars_exposure(track: pd.DataFrame) -> None:
    own = track[track[c.SYMBOL] == "BTCUSDT"].reset_index(drop=True)
    bought = own.index[(own["action"] == "buy_1x")][:-1]
    assert len(bought) > 0
    assert (own["exposure"].iloc[bought + 1] > 0.7).all()
    assert (own["net_return"].iloc[0], own["exposure"].iloc[0]) == (0.0, 0.0)


def test_the_gate_finds_the_reported_sharpe_in_the_track(found: dict[str, Any], track: pd.DataFrame) -> None:
    daily = comparison.daily_returns(track)
    assert float(metrics.sharpe(daily)) == pytest.approx(found["trading"]["sharpe"]["value"], rel=1e-6)


def test_round_trips_add_up_to_the_equity(walked: Any, found: dict[str, Any]) -> None:
    trades = pd.read_parquet(walked.paths.trades)
    assert list(trades) == list(c.TRADE)
    assert len(trades) == found["trading"]["trades"] > 0
    assert trades[c.CONTRIBUTION].sum() == pytest.approx(found["trading"]["total_return"], abs=1e-9)
    for symbol, own in found["trading"]["symbols"].items():
        gained = trades.loc[trades[c.SYMBOL] == symbol, c.PNL].sum()
        opened = walked.config.backtest.account_usdt
        assert gained == pytest.approx(opened * own["total_return"], abs=0.005)  # to the cent


def test_round_trips_stand_in_a_file_that_people_open(walked: Any) -> None:
    whole, shown = pd.read_parquet(walked.paths.trades), pd.read_csv(walked.paths.trades_csv)
    assert list(shown) == list(whole)
    assert shown[c.EXIT_REASON].tolist() == whole[c.EXIT_REASON].tolist()
    assert shown[c.PNL].to_numpy() == pytest.approx(whole[c.PNL].to_numpy(), rel=1e-7)
    assert (pd.to_datetime(shown[c.ENTRY_TIME]) == whole[c.ENTRY_TIME]).all()


def test_without_funding_nobody_pays_it(walked: Any, found: dict[str, Any], track: pd.DataFrame) -> None:
    assert (track["funding"] != 0.0).any()
    assert found["trading"]["sharpe_funding_off"] != found["trading"]["sharpe"]["value"]


def test_returns_hold_one_equity_curve_per_strategy(walked: Any, found: dict[str, Any]) -> None:
    returns = pd.read_parquet(walked.paths.returns)
    assert str(returns[c.TIMESTAMP].dtype) == c.TIME_DTYPE
    assert returns["policy"].iloc[-1] - 1.0 == pytest.approx(found["trading"]["total_return"])
    assert (returns["flat"] == 1.0).all()


def test_no_limit_hides_what_the_policy_lost_and_what_limits_make_of_it_stands_beside(
    walked: Any, found: dict[str, Any], tmp_path: Path
) -> None:
    tight = walked.config.backtest.risk.model_copy(update={"max_drawdown": 0.001, "daily_loss": 0.001})
    asked = walked.config.backtest.model_copy(update={"risk": tight})
    shutil.copytree(walked.paths.root / "stages", tmp_path / "stages")
    paths = Paths(tmp_path)
    backtest.run(walked.config.model_copy(update={"backtest": asked}), paths)
    figures = json.loads(paths.metrics.read_text())["trading"]
    calm, limited = found["trading"]["limited"], figures.pop("limited")
    assert figures == {name: own for name, own in found["trading"].items() if name != "limited"}
    pd.testing.assert_frame_equal(pd.read_parquet(paths.track), pd.read_parquet(walked.paths.track))
    assert (calm["killed"], limited["killed"]) == (0.0, 2.0)
    assert limited["held_share"] > 0.5 > calm["held_share"]
    assert limited["max_drawdown"] < figures["max_drawdown"]


def test_a_rivals_threshold_does_not_depend_on_the_embargo(walked: Any) -> None:
    laid, _ = folds.load(walked.paths.folds)
    inputs = read_policy_inputs(walked.paths, walked.config.labels, walked.config.backtest)
    rows, trial = inputs.predictions, read_trial(walked.paths, inputs, laid)
    grid = grid_of([tensor.timestamp for tensor in trial.tensors])
    court = Court(stack(trial.tensors), grid, terms_of(walked.config.backtest))
    whole = inputs.tensors(inputs.scaler(laid[0].test_start))
    signal = (rows["committee_buy"] - rows["committee_sell"]).to_numpy(np.float64)
    embargo = rows[c.TIMESTAMP].between(laid[1].train_end, laid[1].test_start, inclusive="left").to_numpy()
    calm, loud = (
        backtest.threshold_rule(found, rows, whole, laid, court)
        for found in (signal, np.where(embargo, 9.0, signal))
    )
    first = rows.loc[rows[c.FOLD] > 0, c.FOLD].to_numpy() == 1
    assert (calm[first] == loud[first]).all()
    assert (calm[first] != 0.0).any()


def test_plots_are_tables_and_pictures(walked: Any, track: pd.DataFrame) -> None:
    folder = walked.paths.plots
    assert {path.name for path in folder.iterdir()} == {
        "equity.csv",
        "equity.png",
        "confusion.csv",
        "confusion.png",
        "reliability.png",
    }
    calls = pd.read_csv(folder / "confusion.csv")
    assert list(calls) == ["actual", "predicted"]
    assert set(calls["actual"]) == set(c.CLASSES)
    assert list(pd.read_csv(folder / "equity.csv"))[:2] == ["date", "policy"]


def test_the_same_inputs_give_the_same_files(walked: Any) -> None:
    written = (walked.paths.metrics, walked.paths.track, walked.paths.trades, walked.paths.trades_csv)
    before = {path.name: path.read_bytes() for path in written}
    backtest.run(*walked)
    assert before == {path.name: path.read_bytes() for path in written}


def test_where_nothing_is_foreseen_nothing_is_earned(walked: Any, tmp_path: Path) -> None:
    market = walked.config.market.model_copy(update={"world": "random_walk", "name": "random_walk"})
    config = walked.config.model_copy(update={"market": market})
    paths = Paths(tmp_path)
    predicted.build(config, paths, days=120, world="random_walk")
    policy.run(config, paths)
    backtest.run(config, paths)
    figures = json.loads(paths.metrics.read_text())
    assert figures["trading"]["sharpe"]["low"] <= 0.0
    assert figures["trading"]["fee_share"] < 0.5  # it does not burn its money in fees
    assert figures["prediction"]["ic"]["low"] < 0.0
    assert figures["prediction"]["f1_macro"]["value"] < 0.37
    assert figures["ceiling"] is None
