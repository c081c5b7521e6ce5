"""The stage on a tiny planted market of made-up feature columns: files in, files out."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from xrl import columns
from xrl.config import Config
from xrl.errors import ConfigError, DataError
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.paths import Paths
from xrl.stages import experts, leak_training, oof
from xrl.stages.expert_rows import alignment_rows, read_rows, split_tail

START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)
BARS, WARMUP, WINDOW = 700, 5, 30


@pytest.fixture(scope="module")
def config() -> Config:
    params = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
    params["labels"] |= {"folds": [0, 1]}
    params["experts"] |= {"window_bars": WINDOW, "override": {"schedule": {"epochs": 1}}, "seeds": [0, 1]}
    params["oof"] |= {"observation": "projected", "projection_width": 4}
    params["oof"] |= {"committee": list(columns.VOTERS), "weights": [1, 1, 2]}
    return Config.model_validate(params)


@pytest.fixture(scope="module")
def paths(tmp_path_factory, config) -> Paths:
    """Workspace with features and labels of two symbols."""
    made = Paths(tmp_path_factory.mktemp("workspace"))
    rng = np.random.default_rng(0)
    times = [START + HOUR * hour for hour in range(BARS)]
    keys = pd.DataFrame({"symbol": np.repeat(["BTCUSDT", "ADAUSDT"], BARS), "timestamp": times * 2})
    keys["timestamp"] = keys["timestamp"].astype(columns.TIME_DTYPE)
    x = rng.normal(size=(2 * BARS, 3))
    x[np.arange(2 * BARS) % BARS < WARMUP] = np.nan
    features = keys.assign(shape=x[:, 0], flow=x[:, 1], both=x[:, 2])
    score = np.nan_to_num(x[:, 2]) + rng.normal(size=2 * BARS)
    score[np.arange(2 * BARS) % BARS >= BARS - 20] = np.nan
    ends = (keys["timestamp"] + 21 * HOUR).where(np.isfinite(score))
    labels = keys.assign(forward_return=score / 100, volatility=0.01, score=score)
    labels = labels.assign(label_end=ends, horizon_end=ends)
    spec = {
        "columns": [
            {"name": "shape", "groups": ["pattern"]},
            {"name": "flow", "groups": ["indicator", "policy"]},
            {"name": "both", "groups": ["pattern", "indicator"]},
        ]
    }
    for name in ("features", "labels"):
        made.stage(name).mkdir(parents=True)
    features.to_parquet(made.features)
    made.feature_spec.write_text(json.dumps(spec))
    labels.to_parquet(made.labels)
    laid = folds.walk_forward(START, START + HOUR * BARS, HOUR, config.labels)
    fitted = folds.fit_cuts(labels, laid, config.labels)
    folds.save(made.folds, fitted, folds.refit_span(labels, config.labels))
    return made


@pytest.fixture(scope="module")
def trained(config, paths) -> Paths:
    for fold in (0, 1):
        for expert in columns.VOTERS:
            experts.run(config, paths, fold=fold, expert=expert)
    return paths


def test_an_expert_reads_its_own_columns(paths):
    assert read_rows(paths, "pattern").names == ("shape", "both")
    assert read_rows(paths, "indicator").names == ("flow", "both")
    assert read_rows(paths, "boosted").names == ("shape", "flow", "both")


def test_the_calibration_tail_is_purged(paths):
    """No bar to learn from has a label that ends after the first calibration bar opens."""
    source = read_rows(paths, "pattern")
    first = folds.load(paths.folds)[0][0]
    training = source.training(first)
    learned, held = split_tail(source, training, 0.1)
    assert not (learned & held).any()
    assert held.sum() == pytest.approx(0.1 * training.sum(), abs=2)
    opens = source.labels["timestamp"][held].min()
    assert source.labels["label_end"][learned].max() <= opens
    assert source.labels["label_end"][held].max() <= first.train_end


def test_scaler_and_classes_know_training_bars_only(paths):
    """Prefix test: what comes after the fold's training end changes neither scale nor cut-offs."""
    source = read_rows(paths, "pattern")
    first = folds.load(paths.folds)[0][0]
    rows, scaler = source.scaled(first)
    later = (source.labels["timestamp"] >= first.train_end).to_numpy()
    changed = source.matrix.copy()
    changed[later] = 1e6
    again, same = type(source)(source.labels, source.names, changed, source.position).scaled(first)
    assert same == scaler
    np.testing.assert_array_equal(again.x[~later], rows.x[~later])
    np.testing.assert_array_equal(again.label, rows.label)


def test_alignment_bars_are_the_same_for_everyone_and_lie_in_fold_0(paths):
    laid, _ = folds.load(paths.folds)
    one, other = (alignment_rows(read_rows(paths, e), laid[0], WINDOW) for e in columns.EXPERTS)
    np.testing.assert_array_equal(one, other)
    times = read_rows(paths, "pattern").labels["timestamp"].iloc[one]
    assert times.min() >= laid[0].test_start
    assert times.max() < laid[0].test_end


class TestFiles:
    def test_predictions_cover_the_test_span_and_the_alignment_bars(self, trained):
        laid, _ = folds.load(trained.folds)
        table = oof.read_predictions(trained, 1, "pattern")
        tested = table[table["role"] == "test"]
        assert len(tested) == 2 * (laid[1].test_end - laid[1].test_start) / HOUR
        assert tested["timestamp"].between(laid[1].test_start, laid[1].test_end, inclusive="left").all()
        np.testing.assert_allclose(tested[list(columns.CLASSES)].sum(axis=1), 1.0, atol=1e-9)
        named = ["symbol", "timestamp", "role", *columns.CLASSES, "uncertainty"]
        assert list(table.columns[:7]) == named
        assert list(table.columns[7:]) == [f"e{i:03d}" for i in range(256)]
        assert table["e000"].dtype == np.float32
        first = oof.read_predictions(trained, 0, "pattern")
        keys = ["symbol", "timestamp"]
        pair = [t.loc[t["role"] == "align", keys].reset_index(drop=True) for t in (table, first)]
        pd.testing.assert_frame_equal(*pair)

    def test_the_folder_holds_what_the_next_stages_read(self, trained):
        folder = trained.expert(0, "indicator")
        networks = {"network_0.keras", "network_1.keras", "bases.npy"}
        pictures = {"training.png", "confusion.png", "reliability.png"}
        names = networks | pictures | {"scaler.json", "predictions.parquet", "report.json", "history.csv"}
        assert {path.name for path in folder.iterdir()} == names
        report = json.loads((folder / "report.json").read_text())
        assert report["columns"] == ["flow", "both"]
        assert report["temperature"] > 0
        assert Scaler.from_json((folder / "scaler.json").read_text()).columns == ("flow", "both")
        assert [(own["member"], own["seed"]) for own in report["members"]] == [(0, 0), (0, 1)]
        history = pd.read_csv(folder / "history.csv")
        assert history[["member", "seed", "epoch"]].values.tolist() == [[0, 0, 1], [0, 1, 1]]
        assert history["loss"].nunique() == 2

    def test_the_boosted_expert_leaves_its_trees(self, trained):
        folder = trained.expert(0, "boosted")
        pictures = {"confusion.png", "reliability.png"}
        names = {"bag_0.txt", "bag_1.txt", "scaler.json", "predictions.parquet", "report.json"} | pictures
        assert {path.name for path in folder.iterdir()} == names
        table = oof.read_predictions(trained, 0, "boosted")
        odds = np.log(table["buy"] / table["sell"])
        np.testing.assert_allclose(table["e000"], odds, atol=1e-5)
        assert json.loads((folder / "report.json").read_text())["columns"] == ["shape", "flow", "both"]

    def test_networks_that_differ_are_uncertain(self, trained):
        for expert in columns.VOTERS:
            table = oof.read_predictions(trained, 1, expert)
            assert (table["uncertainty"] >= 0).all()
            assert table["uncertainty"].mean() > 1e-6

    def test_oof_stitches_aligns_and_reports(self, trained, config):
        oof.run(config, trained)
        predictions, blocks = pd.read_parquet(trained.oof_predictions), np.load(trained.oof_blocks)
        assert blocks.shape == (len(predictions), 4 + 4 + 2)
        assert blocks.dtype == np.float32
        parts = [predictions[[*columns.probability_columns(e)]].to_numpy() for e in columns.VOTERS]
        mean = (parts[0] + parts[1] + 2 * parts[2]) / 4
        committee = predictions[[*columns.probability_columns("committee")]].to_numpy()
        np.testing.assert_allclose(committee, mean, atol=1e-12)
        with np.load(trained.alignment) as matrices:
            assert sorted(matrices) == [f"{k}_{e}" for k in (0, 1) for e in sorted(columns.VOTERS)]
            table = oof.read_predictions(trained, 1, "pattern")
            mapped = oof.embeddings(table, "test") @ matrices["1_pattern"]
        at = (predictions["fold"] == 1).to_numpy()
        np.testing.assert_allclose(np.sort(blocks[at, 0]), np.sort(mapped[:, 0]), atol=1e-4)
        report = json.loads(trained.oof_report.read_text())
        assert set(report["probe"]["pattern"]) == {"0->1"}


class TestMistakes:
    def test_an_unknown_expert(self, config, paths):
        with pytest.raises(ConfigError, match="received 'oracle'"):
            experts.run(config, paths, fold=0, expert="oracle")

    def test_an_unknown_fold(self, config, paths):
        with pytest.raises(ConfigError, match=r"one of \[0, 1\]; received 7"):
            experts.run(config, paths, fold=7, expert="pattern")

    def test_an_earlier_stage_that_has_not_run(self, tmp_path):
        with pytest.raises(DataError, match="run `xrl features`"):
            read_rows(Paths(tmp_path), "pattern")

    def test_features_and_labels_of_different_bars(self, paths, tmp_path):
        other = Paths(tmp_path)
        for name in ("features", "labels"):
            other.stage(name).mkdir(parents=True)
        other.feature_spec.write_text(paths.feature_spec.read_text())
        pd.read_parquet(paths.features).to_parquet(other.features)
        pd.read_parquet(paths.labels).iloc[1:].to_parquet(other.labels, index=False)
        with pytest.raises(DataError, match="different bars"):
            read_rows(other, "pattern")


def trained_with(config: Config, source: Paths, made: Paths, learn_tail: bool) -> Paths:
    """One network and one bag of trees of fold 0, of the same tables and seed."""
    for name in ("features", "labels"):
        if not made.stage(name).exists():
            shutil.copytree(source.stage(name), made.stage(name))
    params = config.experts.model_copy(update={"learn_tail": learn_tail, "seeds": (0,)})
    for expert in ("pattern", "boosted"):
        experts.run(config.model_copy(update={"experts": params}), made, fold=0, expert=expert)
    return made


@pytest.fixture(scope="module")
def whole(config, paths, tmp_path_factory) -> Paths:
    return trained_with(config, paths, Paths(tmp_path_factory.mktemp("whole")), learn_tail=True)


@pytest.fixture(scope="module")
def partly(config, paths, tmp_path_factory) -> Paths:
    return trained_with(config, paths, Paths(tmp_path_factory.mktemp("partly")), learn_tail=False)


@pytest.fixture(scope="module")
def flipped(config, paths, tmp_path_factory) -> Paths:
    """As `whole`, with the outcome of every bar turned round that was not known at the training's end."""
    made = Paths(tmp_path_factory.mktemp("flipped"))
    shutil.copytree(paths.stage("labels"), made.stage("labels"))
    labels = pd.read_parquet(made.labels)
    later = labels["horizon_end"] > folds.load(made.folds)[0][0].train_end
    labels.loc[later, ["score", "forward_return"]] *= -1.0
    labels.to_parquet(made.labels)
    return trained_with(config, paths, made, learn_tail=True)


def told(paths: Paths, expert: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((paths.expert(0, expert) / "report.json").read_text())
    return found


@pytest.mark.parametrize("expert", ["pattern", "boosted"])
class TestTail:
    """`experts.learn_tail`: the calibration's bars train the model that predicts, and nothing later does."""

    def test_every_training_bar_is_learned_and_the_leak_check_knows(self, config, partly, whole, expert):
        share = config.experts.model_copy(update={"learn_tail": True}).held_share
        laid, refit = folds.load(whole.folds)
        rows = read_rows(whole, expert)

        def other(paths: Paths, share: float) -> int:
            return leak_training.other_rows(leak_training.trained(paths, expert, laid, refit, share)[0], rows)

        assert other(whole, share) == 0
        assert other(partly, config.experts.held_share) == 0
        assert other(partly, share) == 1  # there the last tenth was not learned

    def test_the_model_is_another_one_and_the_temperature_its_forerunners(self, partly, whole, expert):
        ours, theirs = (oof.read_predictions(paths, 0, expert) for paths in (whole, partly))
        assert told(whole, expert)["temperature"] == told(partly, expert)["temperature"]
        assert np.abs(ours["buy"] - theirs["buy"]).max() > 1e-3

    def test_what_is_known_after_the_training_changes_nothing(self, whole, flipped, expert):
        ours, theirs = (oof.read_predictions(paths, 0, expert) for paths in (whole, flipped))
        pd.testing.assert_frame_equal(ours, theirs)
        assert told(whole, expert)["temperature"] == told(flipped, expert)["temperature"]
