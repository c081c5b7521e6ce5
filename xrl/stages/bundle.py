"""Stage `bundle`: the refit exported to ONNX and packed with everything that judging and serving it takes.

Reads stages/{snapshot,features,labels,oof,refit,backtest}. Writes stages/bundle, whole or not at all, and
only when the server's own path answers the golden pairs as training's path did.
"""

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml

from xrl import columns
from xrl.config import Config
from xrl.errors import DataError, ExportError
from xrl.features import table
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.paths import Paths
from xrl.registry.bundle import canonical_json, write_bundle
from xrl.serve import sources
from xrl.serve.predictor import leaning, replay_bundle
from xrl.serve.sources import Others
from xrl.stages import checklist, forecast, golden, leak_check
from xrl.stages.expert_export import export_expert
from xrl.stages.lineage import lineage, sections
from xrl.stages.oof import COMMITTEE

log = logging.getLogger(__name__)

_BAR_MS: Final = {"1h": 3_600_000}
#: Points of the distributions that turn a spread or a leaning into a percentile.
_QUANTILES: Final = 101


def run(config: Config, paths: Paths) -> None:
    """Export, compute the golden pairs, pack, replay, write.

    Raises:
        DataError: an earlier stage has not run.
        ExportError: the server's path computes something else than training's.
    """
    _check_inputs(config, paths)
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)  # tells every optimisation it tried
    bars = pd.read_parquet(paths.bars)
    others = _others(config, paths)
    required_bars = table.required_bars(config.experts.window_bars, table.declared(config.features))
    count, seed = config.bundle.golden_pairs, config.bundle.golden_seed
    rows = golden.choose_rows(bars, required_bars, count, seed, others)
    exported = {name: export_expert(config, paths, name, rows) for name in config.oof.committee}
    batch = golden.Batch(
        {name: found.said.vote for name, found in exported.items()},
        config.oof.shares,
        np.concatenate([found.blocks for found in exported.values()], axis=1),
        required_bars,
        others,
    )
    scalers = {name: found.scaler for name, found in exported.items()}
    scalers["policy"] = Scaler.from_json(paths.refit_policy_scaler.read_text())
    pairs = golden.golden_pairs(bars, rows, batch, scalers["policy"], config, paths)
    files = {
        **{f"{name}.onnx": found.onnx for name, found in exported.items()},
        "policy.onnx": paths.refit_policy.read_bytes(),
        **{f"scaler_{name}.json": scaler.to_json().encode() for name, scaler in scalers.items()},
        "features.json": canonical_json(_features(config, paths, bars, scalers)),
        "labels.json": canonical_json(_labels(config, paths)),
        "account.json": canonical_json(config.backtest.model_dump(mode="json")),
        "golden.json": canonical_json({"tolerance": config.bundle.parity_tolerance, "pairs": pairs}),
        "metrics.json": canonical_json(_metrics(config, paths, bars)),
        "track.parquet": paths.track.read_bytes(),
        "lineage.json": canonical_json(lineage(config, paths, bars)),
        "params.yaml": yaml.safe_dump(sections(config), sort_keys=True).encode(),
    }
    files |= forecast.bundle_files(paths)
    if paths.dvc_lock.is_file():
        files["dvc.lock"] = paths.dvc_lock.read_bytes()
    _prove(files, config.bundle.parity_tolerance)
    written = write_bundle(paths.bundle, files)
    log.info("bundle %s, %d golden pairs", written.digest[:12], len(pairs))


def _others(config: Config, paths: Paths) -> Others:
    """Other symbols whose candles the server will ask for."""
    spec = json.loads(paths.feature_spec.read_bytes())
    neutral = {column["name"] for column in spec["left_out"]}
    read = {column["name"] for column in spec["columns"]} - neutral
    features = table.declared(config.features)
    return sources.others(read, config.experts.window_bars, config.features.context, features)


def _features(
    config: Config, paths: Paths, bars: pd.DataFrame, scalers: Mapping[str, Scaler]
) -> dict[str, Any]:
    """What the server needs to turn candles into the models' inputs."""
    spec = json.loads(paths.feature_spec.read_bytes())
    features = table.declared(config.features)
    return {
        "symbols": [str(symbol) for symbol in bars[columns.SYMBOL].unique()],
        "bar_ms": _BAR_MS[config.market.timeframe],
        "window_bars": config.experts.window_bars,
        "required_bars": table.required_bars(config.experts.window_bars, features),
        "params": config.features.model_dump(mode="json"),
        "schemas": {name: table.schema_hash(scaler.columns, features) for name, scaler in scalers.items()},
        "committee": config.oof.shares,
        "neutral": [column["name"] for column in spec["left_out"] if column["observed"]],
        "spec": spec,
    }


def _labels(config: Config, paths: Paths) -> dict[str, Any]:
    """What the classes mean, and the out-of-fold distributions behind confidence and leanings."""
    _, refit = folds.load(paths.folds)
    oof = pd.read_parquet(paths.oof_predictions)
    sell, _, buy = columns.probability_columns(COMMITTEE)
    seen = {"confidence": (oof[buy] - oof[sell]).abs().to_numpy(np.float64)}
    for expert in config.oof.committee:
        own = oof[list(columns.probability_columns(expert))].to_numpy(np.float64)  # (rows, 3)
        seen[expert] = np.apply_along_axis(leaning, 1, own)
    shares = np.linspace(0.0, 1.0, _QUANTILES)
    return {
        "params": config.labels.model_dump(mode="json"),
        "cuts": [refit.cut_low, refit.cut_high],
        "volatility_floor": refit.volatility_floor,
        "percentiles": {name: np.quantile(values, shares).tolist() for name, values in seen.items()},
    }


def _metrics(config: Config, paths: Paths, bars: pd.DataFrame) -> dict[str, Any]:
    """The track's figures, beside them the refit's agreement and shares and what looks for leaks found."""
    found: dict[str, Any] = json.loads(paths.metrics.read_bytes())
    refit = json.loads(paths.refit_report.read_bytes())
    listed = checklist.figures(config, paths, found)
    causality = leak_check.figures(config, paths, bars)
    return {**found, "refit": refit, "causality": causality, "checklist": listed}


def _prove(files: Mapping[str, bytes], tolerance: float) -> None:
    """Replay the golden pairs through the server's path before anything is put in place."""
    with tempfile.TemporaryDirectory(prefix="xrl-bundle-") as aside:
        parity = replay_bundle(write_bundle(Path(aside) / "bundle", files))
    if parity.difference > tolerance or parity.disagreements:
        raise ExportError(
            f"the server's path differs from training's by {parity.difference:.3g}, allowed {tolerance:g}, "
            f"and decides otherwise in {parity.disagreements} cases; look for a feature whose warm-up "
            "exceeds its `window`, or an export that lost precision"
        )
    log.info("golden pairs replayed, largest difference %.1e", parity.difference)


def _check_inputs(config: Config, paths: Paths) -> None:
    needed = {
        paths.bars: "snapshot",
        paths.features: "features",
        paths.feature_spec: "features",
        paths.folds: "labels",
        paths.oof_predictions: "oof",
        paths.metrics: "backtest",
        paths.track: "backtest",
        paths.refit_policy: "refit",
        paths.refit_policy_scaler: "refit",
        paths.refit_report: "refit",
        paths.forecast_report: "forecast",
        **{paths.refit_expert(name) / "report.json": "refit" for name in config.oof.committee},
    }
    for path, stage in needed.items():
        if not path.is_file():
            raise DataError(f"no {path.name} at {path}; run `xrl {stage}`")
