"""Stage `backtest`: the walk-forward track with costs, beside its baselines.

Reads stages/snapshot, features, labels, oof and policy. Writes stages/backtest/{metrics.json, track.parquet,
returns.parquet, trades.parquet, trades.csv, plots/}, each aside and renamed. Predictions are scored over all
folds, trading from the second fold on: the first has no out-of-fold past to train a policy on.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.account.costs import Terms, terms_of
from xrl.account.risk import limits_of
from xrl.backtest import baselines, ceiling, performance, portfolio, report
from xrl.backtest.baselines import Court
from xrl.backtest.performance import Traded
from xrl.backtest.replay import Replay, replay_policy
from xrl.backtest.rivals import RIVALS
from xrl.backtest.trades import round_trips
from xrl.config import Config
from xrl.env.market import MarketTensor, Panel, stack
from xrl.labels import folds
from xrl.labels.folds import Fold
from xrl.paths import Paths
from xrl.stages import backtest_files
from xrl.stages.aside import write_json
from xrl.stages.backtest_inputs import KEYS, Trial, judged_rows, read_trial
from xrl.stages.policy_inputs import PolicyInputs, naive, read_policy_inputs

log = logging.getLogger(__name__)

Array = NDArray[np.float64]


def run(config: Config, paths: Paths) -> None:
    """Score, replay, compare and write.

    Raises:
        DataError: an earlier stage has not run.
        ExportError: a fold's policy is missing.
    """
    laid, _ = folds.load(paths.folds)
    inputs = read_policy_inputs(paths, config.labels, config.backtest)
    rows = judged_rows(config, paths, inputs, laid)
    trial = read_trial(paths, inputs, laid)
    panel, grid = stack(trial.tensors), portfolio.grid_of([tensor.timestamp for tensor in trial.tensors])
    court = Court(panel, grid, terms_of(config.backtest))
    replay = replay_policy(trial.decide, panel, court.terms)  # as the baselines: no limit hides a ruin
    log.info("policy replayed over %d bars", len(replay.net_return))
    traded = rows[rows[c.FOLD] > laid[0].index].reset_index(drop=True)
    listed = _listed(trial, court, replay)
    curves = _curves(config, inputs, rows, laid, court, replay)
    found = _metrics(config, rows, traded, trial, court, listed, curves)
    write_json(paths.metrics, found)
    track = backtest_files.track_of(traded, replay)
    backtest_files.write_tables(paths, track, listed.trades, court.grid, curves)
    backtest_files.draw(paths, config.market.name, found, rows, court.grid, curves)
    log.info(
        "F1 %.3f, direction %.3f, Sharpe %.2f (lightgbm %.2f, buy and hold %.2f)",
        found["prediction"]["f1_macro"]["value"],
        found["prediction"]["direction_accuracy"]["value"],
        found["trading"]["sharpe"]["value"],
        found["baselines"]["lightgbm"]["sharpe"],
        found["baselines"]["buy_and_hold"]["sharpe"],
    )


def _listed(trial: Trial, court: Court, replay: Replay) -> Traded:
    """The policy's replay with its round trips."""
    symbols = tuple(tensor.symbol for tensor in trial.tensors)
    trades = round_trips(replay, court.panel, court.terms, court.grid, symbols)
    return Traded(replay, court.grid, trades, symbols)


def _curves(
    config: Config,
    inputs: PolicyInputs,
    rows: pd.DataFrame,
    laid: Sequence[Fold],
    court: Court,
    replay: Replay,
) -> dict[str, Array]:
    """Portfolio equity of the policy and of every baseline that has one path."""
    curves = {
        "policy": portfolio.equity_curve(replay.net_return, court.grid),
        "flat": np.ones(len(court.grid.timestamp)),
        "buy_and_hold": court.equity(baselines.constant_targets(1.0, court.grid)),
        "always_short": court.equity(baselines.constant_targets(-1.0, court.grid)),
    }
    whole = inputs.tensors(inputs.scaler(laid[0].test_start))
    for name, model in {"committee_threshold": "committee", **{rival: rival for rival in RIVALS}}.items():
        sell, _, buy = c.probability_columns(model)
        signal = (rows[buy] - rows[sell]).to_numpy(np.float64)
        curves[name] = court.equity(threshold_rule(signal, rows, whole, laid, court))
        log.info("%s: Sharpe %.2f", name, portfolio.sharpe_of(curves[name], court.grid.timestamp))
    return curves


def threshold_rule(
    signal: Array, rows: pd.DataFrame, whole: Sequence[MarketTensor], laid: Sequence[Fold], court: Court
) -> Array:
    """Targets over the traded rows; each fold's threshold is chosen on the bars that trained its policy."""
    fold = rows[c.FOLD].to_numpy(np.int64)
    threshold = np.full(len(rows), np.inf)
    for own in laid[1:]:
        past = [tensor.between(naive(laid[0].test_start), naive(own.train_end)) for tensor in whole]
        earlier = Court(stack(past), portfolio.grid_of([tensor.timestamp for tensor in past]), court.terms)
        known = (rows[c.TIMESTAMP] < own.train_end).to_numpy()
        threshold[fold == own.index] = baselines.choose_threshold(signal[known], earlier)
    traded = fold > laid[0].index
    return baselines.threshold_targets(signal[traded], threshold[traded], court.panel)


def _metrics(
    config: Config,
    rows: pd.DataFrame,
    traded: pd.DataFrame,
    trial: Trial,
    court: Court,
    listed: Traded,
    curves: dict[str, Array],
) -> dict[str, Any]:
    params, seed = config.backtest, config.backtest.bootstrap_seed
    shift = config.labels.horizon_bars + config.experts.window_bars
    timing = baselines.random_timing(listed.replay.target, court, params.random_timing_runs, seed)
    figures = {
        name: report.baseline_figures(curve, curves["policy"], court.grid, params.bootstrap, seed)
        for name, curve in curves.items()
        if name != "policy"
    }
    for name, called in (("flat", c.HOLD), ("buy_and_hold", c.BUY), ("always_short", c.SELL)):
        figures[name]["f1_macro"] = report.constant_f1(rows, called)
    for name in RIVALS:
        figures[name] |= report.class_figures(rows, name)
    prediction = report.prediction_section(rows, shift, params.bootstrap, seed)
    trading = report.trading_section(listed, params.bootstrap, seed)
    found: dict[str, Any] = report.plain_tree(
        {
            "prediction": prediction,
            "trading": {
                **trading,
                **_stress(config, trial, court),
                **_collapse(figures),
                "limited": _limited(config, trial, court),
            },
            "baselines": {
                **figures,
                "random_timing": {"median": np.median(timing), "p95": np.quantile(timing, 0.95)},
                "volatility_only": {"f1_macro": prediction["f1_volatility_only"]},
            },
            "folds": report.fold_section(rows, curves["policy"], court.grid),
            "ceiling": _ceiling(config, rows, traded, court),
            "bars": len(traded),
            "start": traded[c.TIMESTAMP].min().isoformat(),
            "end": (traded[c.TIMESTAMP].max() + pd.Timedelta(hours=1)).isoformat(),
        }
    )
    return found


def _stress(config: Config, trial: Trial, court: Court) -> dict[str, float]:
    """The policy asked again: no costs, double costs, orders a bar late, nobody paying funding."""

    def sharpe(panel: Panel, terms: Terms, delay_bars: int = 0) -> float:
        replay = replay_policy(trial.decide, panel, terms, delay_bars)
        equity = portfolio.equity_curve(replay.net_return, court.grid)
        return portfolio.sharpe_of(equity, court.grid.timestamp)

    free = [replace(tensor, funding=np.zeros(len(tensor))) for tensor in trial.tensors]
    return {
        "sharpe_costs_x0": sharpe(court.panel, terms_of(config.backtest, 0.0)),
        "sharpe_costs_x2": sharpe(court.panel, terms_of(config.backtest, 2.0)),
        "sharpe_delay_1": sharpe(court.panel, court.terms, delay_bars=1),
        "sharpe_funding_off": sharpe(stack(free), court.terms),
    }


def _limited(config: Config, trial: Trial, court: Court) -> dict[str, float]:
    """What the service's risk limits would have made of the policy; nothing is judged by it."""
    limits = limits_of(config.backtest.risk)
    replay = replay_policy(trial.decide, court.panel, court.terms, limits=limits)
    return performance.limited_figures(replay, court.panel, court.grid)


def _collapse(figures: dict[str, dict[str, Any]]) -> dict[str, float]:
    """What the policy would earn if it always bought or always sold; always hold earns 0."""
    return {
        "sharpe_all_buy": figures["buy_and_hold"]["sharpe"],
        "sharpe_all_sell": figures["always_short"]["sharpe"],
    }


def _ceiling(
    config: Config, rows: pd.DataFrame, traded: pd.DataFrame, court: Court
) -> dict[str, float] | None:
    """The optimal rule's scores where the world is known: classes over all folds, Sharpe where we trade.

    Which barrier is met first has no closed form in the planted world, so that kind has no class scores.
    """
    if config.market.world != "planted":
        return None
    world = config.market.world_seed, config.labels.horizon_bars
    held = ceiling.targets(traded[KEYS], court.panel, court.terms, *world)
    sharpe = {"sharpe": court.sharpe(held)}
    if config.labels.kind == "triple_barrier":
        log.warning("no ceiling of F1 and direction: the planted world's is not known for a triple barrier")
        return sharpe
    return {**ceiling.class_scores(rows.dropna(subset=[c.LABEL]), *world)._asdict(), **sharpe}
