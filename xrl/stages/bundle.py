"""Stage `bundle`: the refit exported to ONNX and packed with everything that judging and serving it takes.

Reads stages/{snapshot,features,labels,oof,refit,backtest}. Writes stages/bundle, whole or not at all, and
only when the server's own path answers the golden pairs as training's path did.
"""

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.errors import DataError, ExportError
from xrl.experts import backend, export, storage, train
from xrl.experts.windows import Rows
from xrl.features import table
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.paths import Paths
from xrl.registry.bundle import canonical_json, write_bundle
from xrl.serve import sources
from xrl.serve.predictor import leaning, replay_bundle
from xrl.serve.sources import Others
from xrl.stages import golden, leak_check, onnx_order
from xrl.stages.expert_rows import read_rows
from xrl.stages.lineage import lineage, sections

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
    _check_inputs(paths)
    backend.prepare()
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)  # tells every optimisation it tried
    bars = pd.read_parquet(paths.bars)
    others = _others(config, paths)
    required_bars = table.required_bars(config.experts.window_bars, table.declared(config.features))
    count, seed = config.bundle.golden_pairs, config.bundle.golden_seed
    rows = golden.choose_rows(bars, required_bars, count, seed, others)
    exported = {name: _export(config, paths, name, rows) for name in columns.EXPERTS}
    batch = golden.Batch(
        {name: found.probabilities for name, found in exported.items()},
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


class _Exported(NamedTuple):
    """One expert as ONNX, and what its Keras model says of the golden rows."""

    onnx: bytes
    scaler: Scaler
    probabilities: NDArray[np.float64]  # (n, 3)
    blocks: NDArray[np.float32]  # (n, w)


def _export(config: Config, paths: Paths, name: str, rows: NDArray[np.int64]) -> _Exported:
    folder, window = paths.refit_expert(name), config.experts.window_bars
    model = storage.load_model(folder / "model.keras")
    scaler = Scaler.from_json((folder / "scaler.json").read_text())
    temperature = float(json.loads((folder / "report.json").read_bytes())["temperature"])
    matrix = None
    if config.oof.observation != "probabilities":
        matrix = np.load(folder / "align.npz")["matrix"]  # (256, w)
    with tempfile.TemporaryDirectory(prefix="xrl-bundle-") as aside:
        path = Path(aside) / f"{name}.onnx"
        export.to_onnx(model, path, temperature, matrix, config.bundle.parity_tolerance)
        onnx = onnx_order.canonical(path.read_bytes())
    source = read_rows(paths, name)
    if source.names != scaler.columns:
        raise DataError(
            f"{folder / 'scaler.json'} was fitted on other columns than {paths.feature_spec} lists"
        )
    seen = Rows(scaler.transform(source.matrix), source.position, np.zeros(len(source.matrix), np.int8))
    found = train.predict(model, seen, rows, window, temperature)
    blocks = found.probabilities if matrix is None else found.embedding @ matrix
    return _Exported(onnx, scaler, found.probabilities, blocks.astype(np.float32))


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
        "neutral": [column["name"] for column in spec["left_out"] if column["observed"]],
        "spec": spec,
    }


def _labels(config: Config, paths: Paths) -> dict[str, Any]:
    """What the classes mean, and the out-of-fold distributions behind confidence and leanings."""
    _, refit = folds.load(paths.folds)
    oof = pd.read_parquet(paths.oof_predictions)
    sell, _, buy = columns.probability_columns("committee")
    seen = {"confidence": (oof[buy] - oof[sell]).abs().to_numpy(np.float64)}
    for expert in columns.EXPERTS:
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
    return {**found, "refit": refit, "causality": leak_check.figures(config, paths, bars)}


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


def _check_inputs(paths: Paths) -> None:
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
        **{paths.refit_expert(name) / "model.keras": "refit" for name in columns.EXPERTS},
    }
    for path, stage in needed.items():
        if not path.is_file():
            raise DataError(f"no {path.name} at {path}; run `xrl {stage}`")
