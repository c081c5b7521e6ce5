"""The stage `forecast` on a small planted market: purged, honest, exported; almost nothing if not enabled."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from tests.serve import tiny
from tests.stages import forecasted
from xrl import columns as c
from xrl.__main__ import app
from xrl.config import Config, load_config
from xrl.errors import ConfigError, DataError, TrainingError
from xrl.features import longbars
from xrl.features.scaling import Scaler
from xrl.labels import folds
from xrl.labels.holdout import Span
from xrl.paths import Paths
from xrl.registry.bundle import write_bundle
from xrl.serve import forecast as serve_forecast
from xrl.serve.candles import Needs
from xrl.stages import forecast
from xrl.stages.forecast_rows import ForecastRows, forecast_rows, read_rows, split_tail

ROOT = Path(__file__).parents[2]
SIX_HOURS = pd.Timedelta(hours=6)


@pytest.fixture(scope="module")
def config() -> Config:
    return forecasted.smaller(load_config(ROOT / "params.yaml"))


@pytest.fixture(scope="module")
def built(tmp_path_factory, config) -> Paths:
    paths = Paths(tmp_path_factory.mktemp("forecast"))
    forecasted.build(config, paths)
    return paths


@pytest.fixture(scope="module")
def trained(built, config) -> Paths:
    forecast.run(config, built)
    return built


@pytest.fixture(scope="module")
def rows(built) -> ForecastRows:
    return read_rows(built)


def test_not_enabled_it_writes_one_line_and_imports_no_tensorflow(built, config, tmp_path):
    off = config.model_copy(update={"forecast": config.forecast.model_copy(update={"enabled": False})})
    forecast.run(off, Paths(tmp_path))
    assert json.loads(Paths(tmp_path).forecast_report.read_text()) == {"enabled": False}
    assert [path.name for path in Paths(tmp_path).stage("forecast").iterdir()] == ["report.json"]
    assert forecast.bundle_files(Paths(tmp_path)) == {}
    program = "import sys, xrl.stages.forecast; print({'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "set()"


class TestRows:
    def test_a_label_is_the_next_bar_and_known_when_it_closes(self, rows, config):
        bars = forecasted.bars(config)
        own = rows.table[rows.table[c.SYMBOL] == "SOLUSDT"].iloc[10]
        close = bars[bars[c.SYMBOL] == "SOLUSDT"].set_index(c.TIMESTAMP)[c.CLOSE]
        last = own[c.TIMESTAMP] + pd.Timedelta(hours=5)
        assert own[c.CLOSE] == close[last]
        assert own[c.FORWARD_RETURN] == pytest.approx(np.log(close[last + SIX_HOURS] / close[last]))
        assert own[c.LABEL_END] == own[c.TIMESTAMP] + 2 * SIX_HOURS

    def test_the_newest_bar_has_no_label_yet(self, rows):
        newest = rows.table.groupby(c.SYMBOL).tail(1)
        assert newest[c.FORWARD_RETURN].isna().all()
        assert newest[c.LABEL_END].isna().all()

    def test_windows_are_of_one_symbol(self, rows):
        found = longbars.windows(rows.series, rows.ends)
        assert np.isfinite(found).all()
        first = rows.table.groupby(c.SYMBOL)[c.TIMESTAMP].min()
        assert (first == forecasted.START + (longbars.BARS + longbars.WARMUP - 1) * SIX_HOURS).all()

    def test_no_training_label_reaches_into_the_test_span(self, rows, built):
        laid, _ = folds.load(built.folds)
        for fold in laid:
            training, testing = rows.training(fold), rows.testing(fold)
            assert len(training) > 100
            assert len(testing) > 20
            embargo = fold.test_start - rows.table[c.LABEL_END].iloc[training].max()
            assert embargo >= pd.Timedelta(hours=20)
            assert rows.table[c.TIMESTAMP].iloc[testing].min() >= fold.test_start
            assert rows.table[c.TIMESTAMP].iloc[testing].max() < fold.test_end

    def test_the_tail_that_ranks_confidence_is_purged(self, rows, built):
        training = rows.training(folds.load(built.folds)[0][0])
        learned, held = split_tail(rows, training, 0.1)
        assert not (learned & held).any()
        assert held.sum() == pytest.approx(0.1 * len(training), abs=4)
        own = rows.table.iloc[training]
        assert own[c.LABEL_END][learned].max() <= own[c.TIMESTAMP][held].min()

    def test_a_holdout_keeps_its_outcomes(self, config):
        bars = forecasted.bars(config)
        start = forecasted.START + pd.Timedelta(days=60)
        span = Span(start, bars[c.TIMESTAMP].max(), start)
        table = forecast_rows(bars, span).table
        told = table[table[c.LABEL_END].notna()]
        assert told[c.LABEL_END].max() == start
        assert table[table[c.TIMESTAMP] + 2 * SIX_HOURS > start][c.FORWARD_RETURN].isna().all()

    def test_later_bars_change_no_row_before_them(self, config, rows):
        """Prefix test: windows and labels that are known by the cut stay the same to the bit."""
        bars = forecasted.bars(config)
        cut = forecasted.START + pd.Timedelta(days=50, hours=3)
        before = forecast_rows(bars[bars[c.TIMESTAMP] < cut].reset_index(drop=True), None)
        keys = [c.SYMBOL, c.TIMESTAMP]
        both = before.table.reset_index().merge(rows.table.reset_index(), on=keys, suffixes=("", "_whole"))
        assert len(both) == len(before.table)
        mine, whole = (both[name].to_numpy() for name in ("index", "index_whole"))
        np.testing.assert_array_equal(
            longbars.windows(before.series, before.ends[mine]),
            longbars.windows(rows.series, rows.ends[whole]),
        )
        known = both[c.LABEL_END].notna()
        assert (both[c.LABEL_END][known] == both[f"{c.LABEL_END}_whole"][known]).all()
        np.testing.assert_array_equal(both[c.FORWARD_RETURN][known], both[f"{c.FORWARD_RETURN}_whole"][known])

    def test_a_history_too_short_for_a_window_is_refused(self, config):
        with pytest.raises(DataError, match=r"reads 671 hours without a gap.*forecast.enabled: false"):
            forecast_rows(forecasted.bars(config, days=20), None)


class TestFiles:
    def test_predictions_are_out_of_sample_and_once(self, trained):
        laid, _ = folds.load(trained.folds)
        table = pd.read_parquet(trained.forecast_predictions)
        assert not table.duplicated([c.SYMBOL, c.TIMESTAMP]).any()
        for fold in laid:
            own = table[table[c.FOLD] == fold.index]
            assert set(own[c.SYMBOL]) == {"BTCUSDT", "SOLUSDT"}
            assert own[c.TIMESTAMP].between(fold.test_start, fold.test_end, inclusive="left").all()
        assert table[["up", "right", "confidence"]].to_numpy().min() >= 0
        assert table[["up", "right", "confidence"]].to_numpy().max() <= 1

    def test_the_report_holds_the_figures(self, trained):
        report = json.loads(trained.forecast_report.read_text())
        assert report["enabled"] is True
        assert [fold["fold"] for fold in report["folds"]] == [0, 1]
        assert report["refit"]["parity"] < 1e-4
        assert report["refit"]["windows"] > max(fold["learned"] for fold in report["folds"])
        table = pd.read_parquet(trained.forecast_predictions)
        known = table[table[c.FORWARD_RETURN].fillna(0) != 0]
        right = ((known["up"] > 0.5) == (known[c.FORWARD_RETURN] > 0)).mean()
        assert report["figures"]["direction_accuracy"]["value"] == pytest.approx(right)

    def test_the_bundle_gets_three_files(self, trained):
        assert sorted(forecast.bundle_files(trained)) == sorted(forecast.BUNDLED)
        spec = json.loads(trained.forecast_file("forecast.json").read_text())
        assert spec["definition"] == longbars.definition()
        assert len(spec["quantiles"]) == 101
        assert (spec["minimum_confidence"], spec["vote_weight"]) == (0.6, 1.5)
        table = pd.read_parquet(trained.forecast_predictions)
        assert spec["quantiles"][50] == pytest.approx(table["right"].median())

    def test_golden_pairs_are_what_the_file_says_of_the_last_candles(self, trained):
        """Recomputed from the request alone, with pandas and onnxruntime: batch path and candles agree."""
        spec = json.loads(trained.forecast_file("forecast.json").read_text())
        scaler = Scaler.from_json(trained.forecast_file("scaler_forecast.json").read_text())
        session = onnxruntime.InferenceSession(str(trained.forecast_file("forecast.onnx")))
        pairs = spec["golden"]["pairs"]
        assert len(pairs) == 3
        for pair in pairs:
            candles = pd.DataFrame(pair["candles"])
            assert len(candles) == longbars.REQUIRED_HOURS
            candles[c.TIMESTAMP] = pd.to_datetime(candles[c.TIMESTAMP], unit="ms", utc=True).astype(
                c.TIME_DTYPE
            )
            bars = longbars.long_bars(candles.assign(**dict.fromkeys(c.OPTIONAL_CANDLE, np.nan)))
            x = scaler.transform(longbars.windows(bars.series, longbars.window_ends(bars)[-1:]))
            up, change, right = (float(y[0, 0]) for y in session.run(["up", "change", "right"], {"x": x}))
            expected = pair["expected"]
            assert expected["bar"] == bars.open_ms[-1]
            assert expected["close"] == bars.close[-1]
            assert (up, right) == pytest.approx((expected["up"], expected["right"]), abs=1e-5)
            assert change * spec["change_scale"] == pytest.approx(expected["change"], abs=1e-6)

    def test_the_server_says_what_training_said(self, trained, tmp_path):
        """The bundle's own golden pairs, through the server's own path."""
        files = {**tiny.files(), **forecast.bundle_files(trained)}
        served = serve_forecast.read(write_bundle(tmp_path / "bundle", files))
        assert served.replayed(Needs(("BTCUSDT", "SOLUSDT"), 1, 3_600_000)) < 1e-5

    def test_requests_end_at_different_hours_of_a_bar(self, trained):
        spec = json.loads(trained.forecast_file("forecast.json").read_text())
        hours = [pair["candles"]["timestamp"][-1] // 3_600_000 % 6 for pair in spec["golden"]["pairs"]]
        assert len(set(hours)) > 1

    def test_the_same_run_writes_the_same_bytes(self, trained, config, tmp_path):
        again = Paths(tmp_path)
        for name in ("snapshot", "labels"):
            again.stages.mkdir(exist_ok=True)
            again.stage(name).symlink_to(trained.stage(name))
        forecast.run(config, again)
        for path in sorted(trained.stage("forecast").iterdir()):
            assert (again.stage("forecast") / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_fold_without_training_windows_is_named(config, tmp_path):
    """The first 40 % of 70 days are 28: one window of 27.75 days, whose label the embargo purges."""
    early = config.model_copy(update={"labels": config.labels.model_copy(update={"first_train_share": 0.4})})
    forecasted.build(early, Paths(tmp_path))
    with pytest.raises(TrainingError, match=r"fold 0 of the forecast has 0 training windows of 60 bars"):
        forecast.run(early, Paths(tmp_path))


def test_an_earlier_stage_that_has_not_run_is_named(config, tmp_path):
    with pytest.raises(DataError, match="run `xrl labels`"):
        forecast.run(config, Paths(tmp_path))
    with pytest.raises(DataError, match="run `xrl forecast`"):
        forecast.bundle_files(Paths(tmp_path))


class TestCommand:
    @staticmethod
    def run(*options: str) -> Any:
        return CliRunner().invoke(app, ["forecast", *options])

    def test_not_enabled_it_says_so(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
        done = self.run()
        assert done.exit_code == 0
        assert "The forecast is not enabled (`forecast.enabled` in params.yaml)." in done.output

    def test_on_files_it_trains_whatever_is_enabled_and_shows_the_figures(
        self, config, monkeypatch, tmp_path
    ):
        params = yaml.safe_load((ROOT / "params.yaml").read_text())
        params["forecast"] |= config.forecast.model_dump(mode="json") | {"enabled": False}
        params["labels"] |= {"folds": [0, 1], "first_train_share": 0.7}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        own = forecasted.bars(config)
        own = own[own[c.SYMBOL] == "SOLUSDT"]
        own[list(c.CANDLE)].to_parquet(tmp_path / "binance_perp_SOLUSDT_1h.parquet", index=False)
        funding = own.loc[own[c.FUNDING_RATE].notna(), [c.TIMESTAMP, c.FUNDING_RATE]]
        funding.to_parquet(tmp_path / "binance_perp_SOLUSDT_funding.parquet", index=False)
        monkeypatch.chdir(tmp_path)
        done = self.run("--data", ".", "--symbols", "SOLUSDT", "--out", "found")
        assert done.exit_code == 0, done.output
        report = json.loads((tmp_path / "found" / "report.json").read_text())
        assert report["symbols"] == ["SOLUSDT"]
        assert (
            f"| direction accuracy | {report['figures']['direction_accuracy']['value']:.3f} [" in done.output
        )
        assert len(pd.read_parquet(tmp_path / "found" / "predictions.parquet")) >= report["figures"]["rows"]

    def test_options_of_files_need_files(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
        done = self.run("--symbols", "SOLUSDT")
        assert isinstance(done.exception, ConfigError)
