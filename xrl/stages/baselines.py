"""The command `xrl baselines`: what simple models reach on this data, out of sample, with intervals.

Reads stages/snapshot, features and labels. Writes a folder of baselines.md, baselines.json and pictures. No
DVC stage: nothing is trained on what it finds.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns as c
from xrl.account.contract import contract_of
from xrl.account.costs import terms_of
from xrl.backtest import baselines, contest, plots, portfolio, references, report, standings, value
from xrl.backtest.baselines import QUANTILES, Court
from xrl.backtest.rivals import RIVALS, rival_probabilities
from xrl.config import Config
from xrl.env.market import STATE_COLUMNS, MarketTensor, assemble, stack
from xrl.errors import DataError
from xrl.features import scaling
from xrl.labels import folds
from xrl.labels.classes import classes
from xrl.labels.folds import Fold
from xrl.paths import Paths
from xrl.stages.aside import aside, write_json
from xrl.stages.backtest import threshold_rule
from xrl.stages.policy_inputs import naive

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

_KEYS = [c.SYMBOL, c.TIMESTAMP]
#: Where chance stands in each picture.
CHANCE = {"f1_macro": 1 / 3, "direction_accuracy": 0.5, "ic_within_year": 0.0}


class Tables(NamedTuple):
    """What earlier stages wrote."""

    bars: pd.DataFrame
    features: pd.DataFrame
    labels: pd.DataFrame
    folds: tuple[Fold, ...]


def run(config: Config, paths: Paths, out: Path) -> dict[str, Any]:
    """Measure every baseline and write the page, its figures and its pictures to `out`.

    Raises:
        DataError: an earlier stage has not run.
    """
    tables = read(paths)
    rows = judged_rows(tables, config.experts.seeds[0])
    shift = config.labels.horizon_bars + config.experts.window_bars
    draws, seed = config.backtest.bootstrap, config.backtest.bootstrap_seed
    traded = _trade(config, tables, rows)
    found: dict[str, Any] = {
        "about": about(config, tables, rows),
        "models": report.plain_tree(contest.model_section(rows, shift, draws, seed)),
        "paired": report.plain_tree(contest.paired_section(rows, draws, seed)),
        "trading": traded.figures,
    }
    write_json(out / "baselines.json", found)
    with aside(out / "baselines.md") as place:
        place.write_text(standings.markdown(found))
    _draw(out, rows, found, traded)
    log.info("baselines written to %s", out)
    return found


def read(paths: Paths) -> Tables:
    """Read them.

    Raises:
        DataError: a stage has not run.
    """
    for path, stage in ((paths.bars, "snapshot"), (paths.features, "features"), (paths.labels, "labels")):
        if not path.is_file():
            raise DataError(f"no {path.name} at {path}; run `xrl {stage}`, or name files with `--data`")
    laid, _ = folds.load(paths.folds)
    bars, features, labels = (pd.read_parquet(path) for path in (paths.bars, paths.features, paths.labels))
    return Tables(bars, features, labels, laid)


def judged_rows(tables: Tables, seed: int) -> pd.DataFrame:
    """Every test bar of every fold with its class, NaN where not matured, and each model's probabilities."""
    parts = []
    for fold in tables.folds:
        own = tables.labels[folds.test_mask(tables.labels, fold)]
        called = classes(own, fold)
        known = np.where(called == c.UNKNOWN, np.nan, called)
        parts.append(own.assign(**{c.FOLD: fold.index, c.LABEL: known}))
    rows = pd.concat(parts).sort_index().reset_index(drop=True)
    number = rows[c.FOLD].to_numpy(np.int64)
    shares = references.majority(tables.labels, tables.folds, number)
    found = {
        "majority": shares,
        **rival_probabilities(tables.features, tables.labels, tables.folds, rows, seed),
    }
    found["volatility_only"] = references.volatility_only(found["lightgbm"], shares)
    for name, probabilities in found.items():
        rows[list(c.probability_columns(name))] = probabilities
    return rows


def about(config: Config, tables: Tables, rows: pd.DataFrame) -> dict[str, Any]:
    """What was judged, and on what; `rows` with their class."""
    judged = rows[rows[c.LABEL].notna()]
    return {
        "market": config.market.name,
        "symbols": [str(symbol) for symbol in rows[c.SYMBOL].unique()],
        "columns": len([name for name in tables.features.columns if name not in _KEYS]),
        "bars": len(judged),
        "start": judged[c.TIMESTAMP].min().isoformat(),
        "end": judged[c.TIMESTAMP].max().isoformat(),
        "folds": [fold.test_start.isoformat() for fold in tables.folds],
        "label": config.labels.kind.replace("_", " "),
        "horizon_bars": config.labels.horizon_bars,
        "class_shares": contest.class_shares(judged),
    }


class TradedMarket(NamedTuple):
    """Where signals are traded: every predicted bar, and the court of all folds but the first."""

    whole: tuple[MarketTensor, ...]
    court: Court


def traded_market(config: Config, tables: Tables, rows: pd.DataFrame) -> TradedMarket:
    """The market of the judged `rows`: symbol, timestamp and fold of every predicted bar."""
    laid, whole = tables.folds, tensors(config, tables, rows)
    span = naive(laid[1].test_start), naive(laid[-1].test_end)
    return TradedMarket(whole, court_of(config, [tensor.between(*span) for tensor in whole]))


def tensors(config: Config, tables: Tables, rows: pd.DataFrame) -> tuple[MarketTensor, ...]:
    """The market of `rows` (symbol, timestamp), one tensor a symbol, as rules on a signal trade it."""
    before = tables.features[tables.features[c.TIMESTAMP] < tables.folds[0].test_start]
    scaler = scaling.fit(before[list(STATE_COLUMNS)].to_numpy(np.float64), STATE_COLUMNS)
    blocks = np.zeros((len(rows), 0), dtype=np.float32)  # such rules see no expert
    return assemble(
        tables.bars,
        tables.features,
        rows[_KEYS],
        blocks,
        scaler,
        config.labels.volatility_window,
        config.labels.horizon_bars,
        partial(contract_of, params=config.backtest),
    )


def court_of(config: Config, traded: Sequence[MarketTensor]) -> Court:
    """The court of these bars, with params.yaml's terms."""
    grid = portfolio.grid_of([tensor.timestamp for tensor in traded])
    return Court(stack(list(traded)), grid, terms_of(config.backtest))


class _Traded(NamedTuple):
    """Figures of the section `trading`, and the equity curves behind them."""

    figures: dict[str, Any]
    curves: dict[str, Array]
    timestamp: NDArray[np.datetime64]


def _trade(config: Config, tables: Tables, rows: pd.DataFrame) -> _Traded:
    laid, params = tables.folds, config.backtest
    whole, court = traded_market(config, tables, rows)
    stress = {"costs_x0": terms_of(params, 0.0), "costs_x2": terms_of(params, 2.0)}
    signals = {name: signal_of(rows, name) for name in RIVALS}
    targets = {name: threshold_rule(signal, rows, whole, laid, court) for name, signal in signals.items()}
    targets |= {
        "buy_and_hold": baselines.constant_targets(1.0, court.grid),
        "always_short": baselines.constant_targets(-1.0, court.grid),
    }
    curves = {name: court.equity(own) for name, own in targets.items()}
    strategies = {name: value.traded(own, court, params, stress) for name, own in targets.items()}
    for name in ("buy_and_hold", "always_short"):  # they have no timing to lose
        del strategies[name]["random_timing"]
    pairs = [(name, other) for name in RIVALS for other in ("buy_and_hold", "logistic") if name != other]
    figures = {
        "strategies": strategies,
        "sharpe_differences": {
            f"{ours}_minus_{theirs}": value.sharpe_difference(curves[ours], curves[theirs], court, params)
            for ours, theirs in pairs
        },
        "search": value.searched(_candidates(signals, rows, laid, court), court),
        "fee_bps": params.taker_fee_bps,
        "slippage_bps": params.slippage_bps,
        "start": laid[1].test_start.isoformat(),
        "end": laid[-1].test_end.isoformat(),
    }
    return _Traded(report.plain_tree(figures), curves, court.grid.timestamp)


def signal_of(rows: pd.DataFrame, model: str) -> Array:
    """P(BUY) - P(SELL) of a model. (rows,)"""
    sell, _, buy = c.probability_columns(model)
    return np.asarray((rows[buy] - rows[sell]).to_numpy(np.float64))


def _candidates(
    signals: dict[str, Array], rows: pd.DataFrame, laid: Sequence[Fold], court: Court
) -> dict[str, Array]:
    """Equity of every (model, quantile) pair that one could have settled on beforehand."""
    fold = rows[c.FOLD].to_numpy(np.int64)
    traded = fold > laid[0].index
    known = {own.index: (rows[c.TIMESTAMP] < own.train_end).to_numpy(bool) for own in laid[1:]}
    found = {}
    for name, signal in signals.items():
        for share in QUANTILES:
            threshold = baselines.quantile_thresholds(signal, fold, known, share)
            held = baselines.threshold_targets(signal[traded], threshold[traded], court.panel)
            found[f"{name} {share:.0%}"] = court.equity(held)
    return found


def _draw(out: Path, rows: pd.DataFrame, found: dict[str, Any], traded: _Traded) -> None:
    name = found["about"]["market"]
    with aside(out / "reliability.png") as place:
        curves = {model: report.reliability_of(rows, model) for model in ("volatility_only", *RIVALS)}
        plots.draw_reliability(curves, place, f"{name}: what was said, and what came true")
    with aside(out / "scores.png") as place:
        figures = {
            figure: {
                model: own[figure] for model, own in found["models"].items() if _shown(model, own[figure])
            }
            for figure in CHANCE
        }
        plots.draw_intervals(figures, place, f"{name}: out of sample, 95 % intervals", CHANCE)
    with aside(out / "equity.png") as place:
        daily = plots.daily_equity(traded.timestamp, traded.curves)
        plots.draw_equity(daily, place, f"{name}: threshold rules, net of costs", front="lightgbm")


def _shown(model: str, found: dict[str, float] | None) -> bool:
    """The majority's F1 stands so far below that the others could not be told apart."""
    return found is not None and model != "majority"
