"""What the gate says of a simulated track. Enters: `Simulated`. Leaves: its metrics, the gate's `Decision`.

The figures are computed by the functions of the stage `backtest`; the policy is the committee's threshold
rule at one quantile of the signal, so it trades whether or not that pays. What is no figure of a track
(export parity, causality, the refit's agreement) is taken as in order, and nothing was tried before: the gate
must refuse by the track alone.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.gate_tracks import Simulated
from xrl import columns as c
from xrl.account.step import terms_of
from xrl.backtest import baselines, ceiling, portfolio, report
from xrl.backtest.baselines import Court
from xrl.backtest.replay import Replay, replay_targets
from xrl.config import Config
from xrl.env.market import stack
from xrl.registry.bundle import Parity
from xrl.registry.gate import Decision, Evidence, Track, judge
from xrl.registry.trials import Tried
from xrl.stages.policy_inputs import naive

Array = NDArray[np.float64]

#: Of the signal's size on the folds before: beyond it the rule enters.
QUANTILE: Final = 0.8
#: What the stages `refit` and `bundle` add of a bundle that is in order.
IN_ORDER: Final = {
    "refit": {
        "rank_correlation": 1.0,
        "side_agreement": 1.0,
        "side_share": 0.5,
        **{f"share_{name}": 1 / 3 for name in c.CLASSES},
    },
    "checklist": {"class_weights": {"value": "balanced", "bound": "not none", "passed": True, "binds": True}},
    "causality": {
        "difference": 0.0,
        "label_difference": 0.0,
        "scaler_difference": 0.0,
        "reaching_labels": 0,
        "other_rows": 0,
    },
}


class Judged(NamedTuple):
    """A track's figures and the decision about it."""

    metrics: dict[str, Any]
    decision: Decision


def judged(track: Simulated, world: str, seed: int, config: Config) -> Judged:
    """Measure a track and put it before the gate; it is its model's first candidate."""
    traded = track.rows[track.rows[c.FOLD] > track.laid[0].index].reset_index(drop=True)
    span = naive(track.laid[1].test_start), naive(track.laid[-1].test_end)
    tensors = [tensor.between(*span) for tensor in track.tensors]
    grid = portfolio.grid_of([tensor.timestamp for tensor in tensors])
    court = Court(stack(tensors), grid, terms_of(config.backtest))
    sell, _, buy = c.probability_columns("committee")
    signal = (track.rows[buy] - track.rows[sell]).to_numpy(np.float64)
    targets = _targets(signal, track, court)
    replay = replay_targets(targets, court.panel, court.terms)
    metrics = {**_metrics(track.rows, traded, targets, replay, court, config), **IN_ORDER}
    if world == "planted":
        metrics["ceiling"] = _ceiling(track.rows, traded, court, seed, config)
    return Judged(metrics, _decision(metrics, traded, replay, world == "planted", config))


def _targets(signal: Array, track: Simulated, court: Court) -> Array:
    """1x beyond a quantile of the signal's size on the folds before; traded bars alone."""
    fold = track.rows[c.FOLD].to_numpy(np.int64)
    known = {own.index: (track.rows[c.TIMESTAMP] < own.train_end).to_numpy() for own in track.laid[1:]}
    threshold = baselines.quantile_thresholds(signal, fold, known, QUANTILE)
    traded = fold > track.laid[0].index
    return baselines.threshold_targets(signal[traded], threshold[traded], court.panel)


def _metrics(
    rows: pd.DataFrame, traded: pd.DataFrame, targets: Any, replay: Replay, court: Court, config: Config
) -> dict[str, Any]:
    params, seed = config.backtest, config.backtest.bootstrap_seed
    shift = config.labels.horizon_bars + config.experts.window_bars
    timing = baselines.random_timing(targets, court, params.random_timing_runs, seed)
    dear = court._replace(terms=terms_of(params, 2.0))
    held = court.sharpe(baselines.constant_targets(1.0, court.grid))
    equity = portfolio.equity_curve(replay.net_return, court.grid)
    trading = report.trading_section(replay, court.grid, params.bootstrap, seed)
    found: dict[str, Any] = report.plain_tree(
        {
            "prediction": report.prediction_section(rows, shift, params.bootstrap, seed),
            "trading": {**trading, "sharpe_costs_x2": dear.sharpe(targets)},
            "baselines": {
                "buy_and_hold": {"sharpe": held},
                "random_timing": {"median": np.median(timing), "p95": np.quantile(timing, 0.95)},
            },
            "folds": report.fold_section(rows, equity, court.grid),
            "start": traded[c.TIMESTAMP].min().isoformat(),
            "end": (traded[c.TIMESTAMP].max() + pd.Timedelta(hours=1)).isoformat(),
        }
    )
    return found


def _ceiling(
    rows: pd.DataFrame, traded: pd.DataFrame, court: Court, seed: int, config: Config
) -> dict[str, float]:
    known = rows.dropna(subset=[c.LABEL])
    horizon = config.labels.horizon_bars
    held = ceiling.targets(traded[[c.SYMBOL, c.TIMESTAMP]], court.panel, court.terms, seed, horizon)
    return {**ceiling.class_scores(known, seed, horizon)._asdict(), "sharpe": court.sharpe(held)}


def _decision(
    metrics: dict[str, Any], traded: pd.DataFrame, replay: Replay, has_ceiling: bool, config: Config
) -> Decision:
    probabilities = list(c.probability_columns("committee"))
    table = traded[[c.SYMBOL, c.TIMESTAMP, *probabilities, c.LABEL]].assign(
        exposure=replay.exposure, net_return=replay.net_return
    )
    through = traded[c.TIMESTAMP].max().to_pydatetime()
    challenger = Track("simulated", "simulated", table, through)
    nothing = Tried({}, frozenset())
    evidence = Evidence(challenger, metrics, Parity(0.0, 0), has_ceiling, champion=None, tried=nothing)
    return judge(evidence, config.gate)
