"""Truths of the bundle stage, with real Keras experts behind it and the server's path in front."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.registry.evidence import metrics, track
from tests.serve import tiny
from tests.stages.fold_scalers import write_scalers
from xrl import columns
from xrl.config import Config, ContextParams, ExtraFeature
from xrl.env.observation import observation_width
from xrl.errors import BundleError, DataError, ExportError
from xrl.experts import boosted
from xrl.experts.ensemble import Ensemble
from xrl.experts.model import build_expert
from xrl.features import scaling
from xrl.labels import folds
from xrl.paths import Paths
from xrl.registry.bundle import open_bundle
from xrl.serve.predictor import load
from xrl.serve.sources import Others
from xrl.stages import bundle, features, forecast, golden, labels
from xrl.stages.expert_kinds import Expert, write_members
from xrl.stages.expert_rows import read_rows

pytestmark = pytest.mark.slow  # imports TensorFlow and converts four models
WIDTH = 8
_BASE = tiny.CONFIG
CONFIG: Config = _BASE.model_copy(
    update={
        "market": _BASE.market.model_copy(update={"symbols": tiny.SYMBOLS}),
        "bundle": _BASE.bundle.model_copy(update={"golden_pairs": 4}),
        "oof": _BASE.oof.model_copy(
            update={"projection_width": WIDTH, "committee": columns.VOTERS, "weights": (1.0, 1.0, 2.0)}
        ),
    }
)
#: Networks of each expert.
NETWORKS = {"pattern": 2, "indicator": 1}


def write_bars(paths: Paths) -> pd.DataFrame:
    frames = []
    for symbol in tiny.SYMBOLS:
        found = tiny.candles(symbol, bars=1100)
        frame = pd.DataFrame({name: pd.Series(values, dtype=float) for name, values in found.items()})
        time = pd.to_datetime(np.array(found["timestamp"]), unit="ms", utc=True).as_unit("ms")
        frame["timestamp"] = time
        frames.append(frame.assign(symbol=symbol)[["symbol", *columns.BAR]])
    bars = pd.concat(frames, ignore_index=True)
    paths.bars.parent.mkdir(parents=True)
    bars.to_parquet(paths.bars, index=False)
    return bars


def write_refit(paths: Paths) -> None:
    """Networks of random heads, which compute as much as trained ones, trees of random classes, a policy."""
    rng = np.random.default_rng(0)
    table = pd.read_parquet(paths.features)
    for name in columns.VOTERS:
        folder = paths.refit_expert(name)
        folder.mkdir(parents=True, exist_ok=True)
        names = read_rows(paths, name).names
        scaler = scaling.fit(table[list(names)].to_numpy(), names)
        matrix = _write_members(folder, name, scaler, table, rng)
        (folder / "scaler.json").write_text(scaler.to_json())
        (folder / "report.json").write_text(json.dumps({"temperature": 1.3}))
        np.savez(folder / "align.npz", matrix=matrix.astype(np.float32))
    state = [*columns.MARKET_STATE, *columns.REGIME_STATE]
    paths.refit_policy_scaler.write_text(scaling.fit(table[state].to_numpy(), state).to_json())
    weights = rng.normal(0, 0.3, (observation_width(2 * WIDTH + 2), len(columns.ACTIONS)))
    paths.refit_policy.write_bytes(tiny.policy_onnx(weights))
    paths.refit_report.write_text(json.dumps(metrics()["refit"]))


def _write_members(
    folder: Path, name: str, scaler: scaling.Scaler, table: pd.DataFrame, rng: np.random.Generator
) -> np.ndarray:
    """The expert's members; returns the matrix of its block."""
    if name == columns.BOOSTED:
        x = scaler.transform(table[list(scaler.columns)].to_numpy())
        x = x[np.isfinite(x).all(axis=1)][-300:]
        bags = boosted.fit(x, rng.integers(3, size=len(x)), seed=0)
        write_members(folder, Expert(bags, 1))
        return np.eye(2)
    models = []
    for _ in range(NETWORKS[name]):
        shape = CONFIG.experts.training.network
        model = build_expert(len(scaler.columns), CONFIG.experts.window_bars, shape).last
        model.get_layer("logits").set_weights([rng.normal(0, 0.05, (256, 3)), rng.normal(0, 0.1, 3)])
        models.append(model)
    bases = [np.eye(256), *(rng.normal(0, 0.06, (256, 256)) for _ in models[1:])]
    write_members(folder, Expert(Ensemble(tuple(models), tuple(bases), 60), 60))
    return rng.normal(0, 0.3, (256, WIDTH))


def write_reports(paths: Paths) -> None:
    """What the folds' trainings tell of their networks, as far as the checklist reads it."""
    final = {"train_loss": 1.0, "validation_loss": 1.1, "validation_accuracy": 0.4}
    networks = [{"member": 0, "seed": seed, "epochs": 3, "final": final} for seed in (0, 1)]
    for fold in folds.load(paths.folds)[0]:
        for name in columns.EXPERTS:
            path = paths.expert(fold.index, name) / "report.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"members": networks}))


def write_track(paths: Paths, bars: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    oof = bars[["symbol", "timestamp"]].copy()
    for model in (*columns.VOTERS, "committee"):
        oof[list(columns.probability_columns(model))] = rng.dirichlet([3, 3, 3], size=len(oof))
    paths.oof_predictions.parent.mkdir(parents=True)
    oof.to_parquet(paths.oof_predictions, index=False)
    paths.metrics.parent.mkdir(parents=True)
    paths.metrics.write_text(json.dumps(metrics()))
    track().to_parquet(paths.track, index=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return finish(tmp_path_factory.mktemp("checkout"), CONFIG)


def finish(folder: Path, config: Config) -> Paths:
    """A folder in which every stage before `bundle` has left its files, and `bundle` has run."""
    paths = Paths(folder)
    bars = write_bars(paths)
    features.run(config, paths)
    labels.run(config, paths)
    write_refit(paths)
    write_track(paths, bars)
    write_reports(paths)
    write_scalers(config, paths)
    forecast.run(config, paths)  # switched off: it says so
    paths.dvc_lock.write_text("stages:\n  features:\n    outs: [{path: stages/features, md5: abc.dir}]\n")
    bundle.run(config, paths)
    return paths


def test_the_server_answers_as_keras_did_on_the_whole_history(finished: Paths) -> None:
    predictor = load(finished.bundle)
    assert predictor.needs.symbols == ("BTCUSDT", "ETHUSDT")
    golden_pairs = open_bundle(finished.bundle).json("golden.json")["pairs"]
    assert len(golden_pairs) == 4
    for pair in golden_pairs:
        said = {name: np.array(pair["expected"][name]) for name in (*columns.VOTERS, "committee")}
        mean = (said["pattern"] + said["indicator"] + 2 * said["boosted"]) / 4
        np.testing.assert_allclose(said["committee"], mean)
        pattern, indicator, trees, committee = pair["expected"]["uncertainty"]
        assert (pattern > 1e-5, abs(indicator) < 1e-12, trees > 1e-5, committee > 1e-5) == (True,) * 4
    assert {len(pair["candles"]["close"]) for pair in golden_pairs} == {tiny.REQUIRED_BARS}
    assert None in golden_pairs[0]["candles"]["funding_rate"]
    assert {pair["account"]["exposure"] for pair in golden_pairs} >= {0.0, 0.97}


def test_other_symbols_and_users_columns_reach_the_server(tmp_path: Path) -> None:
    """The stage replays its golden pairs, candles of the other symbol and `ta` included, before it writes."""
    roc = ExtraFeature(
        name="roc_12",
        ta="momentum.ROCIndicator",
        output="roc",
        inputs=("close",),
        params={"window": 12},
        group="indicator",
        window=13,
        warmup=12,
    )
    context = ContextParams(lead="BTCUSDT", market=tiny.SYMBOLS)
    asked = _BASE.features.model_copy(update={"context": context, "extra": (roc,)})
    paths = finish(tmp_path, CONFIG.model_copy(update={"features": asked}))
    predictor = load(paths.bundle)
    assert (predictor.needs.context, predictor.needs.context_bars) == (("BTCUSDT", "ETHUSDT"), 120)
    for pair in open_bundle(paths.bundle).json("golden.json")["pairs"]:
        [(other, sent)] = pair["context"].items()
        assert {pair["symbol"], other} == set(tiny.SYMBOLS)
        assert (len(sent["close"]), sent["timestamp"][-1]) == (120, pair["candles"]["timestamp"][-1])
    assert "roc_12" in json.loads((paths.bundle / "scaler_indicator.json").read_text())["columns"]


def test_running_again_gives_the_identical_digest(finished: Paths, tmp_path: Path) -> None:
    again = Paths(tmp_path / "again")
    shutil.copytree(finished.root, again.root)
    shutil.rmtree(again.bundle)
    bundle.run(CONFIG, again)
    assert open_bundle(again.bundle).digest == open_bundle(finished.bundle).digest


def test_it_carries_lineage_track_figures_and_distributions(finished: Paths) -> None:
    found = open_bundle(finished.bundle)
    lineage = found.json("lineage.json")
    assert lineage["as_of"] == "2026-10-01T00:00:00+00:00"
    assert lineage["data"]["bars"] == {"BTCUSDT": 1100, "ETHUSDT": 1100}
    assert lineage["dvc"] == {"stages/features": "abc.dir"}
    assert lineage["git_commit"] is None  # the folder is no checkout
    assert lineage["samples"] > 1000
    assert found.json("metrics.json")["refit"]["rank_correlation"] == 0.7
    causality = found.json("metrics.json")["causality"]
    named = ("difference", "label_difference", "scaler_difference", "reaching_labels", "other_rows")
    assert [causality[name] for name in named] == [0, 0, 0, 0, 0]
    assert causality["bars"] > 4 * 2 * 440
    listed = found.json("metrics.json")["checklist"]
    assert listed["loss_gap"] == {
        "value": pytest.approx(0.1),
        "bound": "< 0.15",
        "passed": True,
        "binds": True,
    }
    assert listed["class_weights"]["value"] == "balanced"
    assert listed["accuracy_above_the_largest_class_lower_end"]["value"] == 0.02
    assert not listed["learning_rate"]["binds"]
    grids = found.json("labels.json")["percentiles"]
    assert {name: len(grid) for name, grid in grids.items()} == {
        "confidence": 101,
        "pattern": 101,
        "indicator": 101,
        "boosted": 101,
    }
    assert all(grid == sorted(grid) for grid in grids.values())
    assert "gate" not in (found.path / "params.yaml").read_text()
    pd.testing.assert_frame_equal(pd.read_parquet(found.path / "track.parquet"), track())


def test_a_path_that_computes_something_else_leaves_the_old_bundle_alone(
    finished: Paths, tmp_path: Path
) -> None:
    spoiled = Paths(tmp_path / "spoiled")
    shutil.copytree(finished.root, spoiled.root)
    table = pd.read_parquet(spoiled.features)
    table["rsi"] = table["rsi"] * 0.5  # training would have seen another feature than the server builds
    table.to_parquet(spoiled.features, index=False)
    with pytest.raises(ExportError, match=r"the server's path differs from training's by"):
        bundle.run(CONFIG, spoiled)
    assert open_bundle(spoiled.bundle).digest == open_bundle(finished.bundle).digest


def test_a_missing_stage_is_named(finished: Paths, tmp_path: Path) -> None:
    lacking = Paths(tmp_path / "lacking")
    shutil.copytree(finished.root, lacking.root)
    lacking.refit_policy.unlink()
    with pytest.raises(DataError, match=r"no policy\.onnx at .*; run `xrl refit`"):
        bundle.run(CONFIG, lacking)
    with pytest.raises(BundleError):
        open_bundle(tmp_path)


def test_golden_rows_have_an_unbroken_history_and_are_drawn_by_seed(finished: Paths) -> None:
    bars = pd.read_parquet(finished.bars)
    gapped = bars.drop(index=[600]).reset_index(drop=True)
    rows = golden.choose_rows(gapped, 440, 50, seed=3)
    assert (rows == golden.choose_rows(gapped, 440, 50, seed=3)).all()
    for row in rows:
        window = gapped.iloc[row - 439 : row + 1]
        assert window["symbol"].nunique() == 1
        assert window["timestamp"].diff().dropna().eq(pd.Timedelta(hours=1)).all()
    with pytest.raises(DataError, match="golden pairs need as many bars with 2000 consecutive bars"):
        golden.choose_rows(gapped, 2000, 1, seed=0)


def test_golden_rows_have_the_other_symbols_candles_too(finished: Paths) -> None:
    """ETHUSDT lacks hour 600 (row 1700): no hour of BTCUSDT is chosen until 120 have come again."""
    bars = pd.read_parquet(finished.bars).drop(index=[1700]).reset_index(drop=True)
    rows = golden.choose_rows(bars, 440, 100, 3, Others(("ETHUSDT",), 120))
    hour = (bars["timestamp"] - bars["timestamp"].min()) // pd.Timedelta(hours=1)
    chosen = hour[rows[bars["symbol"].iloc[rows] == "BTCUSDT"]]
    assert len(chosen) and not chosen.between(600, 719).any()
    assert (chosen < 600).any() and (chosen > 719).any()
