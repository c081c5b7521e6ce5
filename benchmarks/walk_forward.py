"""The stages `backtest` and `report` over years; predictions and policies are drawn, not trained.

Enters: an empty folder. Leaves: a call that runs both there; nothing is trained in it but the rivals. Bars
come straight from the planted world; features and labels are built by their stages.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.material import SEED, config, planted_bars
from xrl import columns as c
from xrl.config import Config
from xrl.env.market import STATE_COLUMNS
from xrl.env.observation import observation_width
from xrl.features import scaling
from xrl.labels import folds
from xrl.labels.folds import Fold
from xrl.paths import Paths
from xrl.stages import backtest, features, labels, report

_HOURS_A_YEAR = 8766


def prepare(root: Path, years: float) -> Callable[[], None]:
    """Both stages, ready to run over `years` of the symbols of params.yaml below `root`."""
    paths, settings = Paths(root), config()
    bars = [
        planted_bars(symbol, int(years * _HOURS_A_YEAR)).assign(**{c.SYMBOL: symbol})
        for symbol in settings.market.symbols
    ]
    paths.bars.parent.mkdir(parents=True)
    pd.concat(bars, ignore_index=True)[[c.SYMBOL, *c.BAR]].to_parquet(paths.bars, index=False)
    features.run(settings, paths)
    labels.run(settings, paths)
    laid, _ = folds.load(paths.folds)
    rng = np.random.default_rng(SEED)
    _predictions(paths, settings, laid, rng)
    _policies(paths, settings, laid, rng)
    return partial(_run, settings, paths)


def _run(settings: Config, paths: Paths) -> None:
    backtest.run(settings, paths)
    report.run(settings, paths)


def _predictions(paths: Paths, settings: Config, laid: tuple[Fold, ...], rng: np.random.Generator) -> None:
    """Random probabilities of every model on every fold's test bars, and random expert blocks."""
    table = pd.read_parquet(paths.labels)
    parts = [
        table.loc[folds.test_mask(table, fold), [c.SYMBOL, c.TIMESTAMP]].assign(fold=fold.index)
        for fold in laid
    ]
    rows = pd.concat(parts).sort_index().reset_index(drop=True)
    for model in (*c.EXPERTS, "committee"):
        rows[list(c.probability_columns(model))] = rng.dirichlet((4.0, 4.0, 4.0), size=len(rows))
        rows[c.uncertainty_column(model)] = 0.0
    paths.oof_predictions.parent.mkdir(parents=True)
    rows.to_parquet(paths.oof_predictions, index=False)
    width = 2 * settings.oof.projection_width
    np.save(paths.oof_blocks, rng.standard_normal((len(rows), width), dtype=np.float32))


def _policies(paths: Paths, settings: Config, laid: tuple[Fold, ...], rng: np.random.Generator) -> None:
    """A linear policy of random weights, and the scaler of its states, for every fold that is traded."""
    states = pd.read_parquet(paths.features, columns=list(STATE_COLUMNS)).to_numpy(np.float64)
    scaler = scaling.fit(states, STATE_COLUMNS).to_json()
    width = observation_width(2 * settings.oof.projection_width)
    paths.stage("policy").mkdir(parents=True)
    for fold in laid[1:]:
        weights = rng.normal(0.0, 0.1, (width, len(c.ACTIONS))).astype(np.float32)
        paths.fold_policy(fold.index).write_bytes(_linear_policy(weights))
        paths.fold_policy_scaler(fold.index).write_text(scaler)


def _linear_policy(weights: NDArray[np.float32]) -> bytes:
    """Softmax of observation times `weights` (width, actions), as the exported policies are called."""
    nodes = [
        helper.make_node("MatMul", ["observation", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["action_probabilities"], axis=-1),
    ]
    taken, given = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in zip(("observation", "action_probabilities"), weights.shape)
    )
    stored = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph(nodes, "linear", [taken], [given], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
