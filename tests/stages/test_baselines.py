"""`xrl baselines` on files and on stages, from the command to the page."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from xrl import columns as c
from xrl.__main__ import app
from xrl.backtest import contest
from xrl.config import load_config
from xrl.errors import ConfigError, DataError, ExchangeError
from xrl.labels import folds
from xrl.paths import Paths
from xrl.sandbox import worlds
from xrl.stages import baselines, from_files

ROOT = Path(__file__).parents[2]
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
START, DAYS, TEST_DAYS = pd.Timestamp("2025-01-01", tz="UTC"), 300, 60


class Measured(NamedTuple):
    """A folder with params.yaml, files and stages, and what the command found."""

    home: Path
    printed: str
    found: dict[str, Any]


def write_files(folder: Path) -> None:
    """Symbols of the planted world in the layout of real files."""
    folder.mkdir()
    for symbol in SYMBOLS:
        bars = worlds.bars("planted", symbol, START, START + pd.Timedelta(days=DAYS), 7)
        bars[[c.TIMESTAMP, *c.OHLCV]].to_parquet(folder / f"binance_perp_{symbol}_1h.parquet")
        settled = bars.loc[bars[c.FUNDING_RATE].notna(), [c.TIMESTAMP, c.FUNDING_RATE]]
        settled.to_parquet(folder / f"binance_perp_{symbol}_funding.parquet")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    home = tmp_path_factory.mktemp("baselines")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["labels"]["folds"] = [0, 1, 2]
    params["market"]["symbols"] = list(SYMBOLS)
    params["backtest"].update(bootstrap=200, random_timing_runs=20)
    (home / "params.yaml").write_text(yaml.safe_dump(params))
    write_files(home / "files")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        result = CliRunner().invoke(
            app, ["baselines", "--data", "files", "--test-days", str(TEST_DAYS), "--out", "page"]
        )
    assert result.exit_code == 0, result.output
    found = json.loads((home / "page" / "baselines.json").read_text())
    return Measured(home, result.stdout, found)


def test_one_command_writes_page_figures_and_pictures(measured: Measured) -> None:
    page = measured.home / "page"
    assert {path.name for path in page.iterdir()} == {
        "baselines.md", "baselines.json", "reliability.png", "scores.png", "equity.png",
    }  # fmt: skip
    assert all(path.stat().st_size > 5000 for path in page.glob("*.png"))
    text = (page / "baselines.md").read_text()
    assert text.strip() in measured.printed
    for title in ("Class scores", "Paired differences", "Trading value"):
        assert f"## {title}" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    for line, below in pairwise(tables):
        if set(below) <= set("|- "):
            assert line.count("|") == below.count("|")  # a title for each column
    assert len(list((measured.home).iterdir())) == 3  # params.yaml, files, page: no stage was left behind


def test_the_planted_direction_is_found_beyond_volatility(measured: Measured) -> None:
    models, paired = measured.found["models"], measured.found["paired"]
    assert tuple(models) == contest.MODELS
    assert models["lightgbm"]["direction_accuracy"]["low"] > 0.5
    assert models["logistic"]["ic_within_year"]["low"] > 0.0
    assert paired["lightgbm_minus_volatility_only"]["f1_macro"]["low"] > 0.0
    assert paired["lightgbm_minus_majority"]["f1_macro"]["p"] < 0.05
    assert models["majority"]["f1_macro"]["value"] == pytest.approx(1 / 6, abs=0.03)
    assert abs(models["lightgbm"]["null_direction"] - 0.5) < 0.04


def test_trading_begins_with_the_second_fold_and_pays_costs(measured: Measured) -> None:
    trading, about = measured.found["trading"], measured.found["about"]
    assert trading["start"] == about["folds"][1]
    assert pd.Timestamp(about["folds"][1]) - pd.Timestamp(about["folds"][0]) == pd.Timedelta(days=TEST_DAYS)
    for name in ("logistic", "lightgbm"):
        own = trading["strategies"][name]
        assert own["sharpe_costs_x0"] >= own["sharpe"]["value"] >= own["sharpe_costs_x2"]
        assert own["random_timing"]["median"] <= own["random_timing"]["p95"]
    assert "random_timing" not in trading["strategies"]["buy_and_hold"]
    assert trading["search"]["candidates"] == 10
    assert 0.0 <= trading["search"]["probability_of_overfitting"] <= 1.0


@pytest.mark.slow
def test_the_stages_of_a_checkout_give_the_same_figures(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = yaml.safe_load((measured.home / "params.yaml").read_text())
    params["labels"]["cadence_days"] = TEST_DAYS
    params["market"]["name"] = "files"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    paths = Paths(tmp_path)
    config = load_config(paths.params)
    from_files.run(config, measured.home / "files", paths, None, None)
    found = baselines.run(config, paths, tmp_path / "page")
    assert json.loads(json.dumps(found)) == measured.found
    laid, _ = folds.load(paths.folds)
    rows = baselines.judged_rows(baselines.read(paths), seed=0)
    assert rows[c.TIMESTAMP].min() == laid[0].test_start
    assert np.isfinite(rows[list(c.probability_columns("volatility_only"))].to_numpy()).all()
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(app, ["baselines", "--test-days", "30"])
    assert isinstance(refused.exception, ConfigError)


@pytest.mark.slow
def test_no_probability_knows_what_comes_after_its_fold(measured: Measured, tmp_path: Path) -> None:
    """Prefix test: the same files cut off after the second fold give the first two folds the same calls."""
    paths, cut = Paths(tmp_path / "whole"), Paths(tmp_path / "cut")
    config = load_config(measured.home / "params.yaml")
    labels = config.labels.model_copy(update={"cadence_days": TEST_DAYS})
    whole = config.model_copy(update={"labels": labels})
    from_files.run(whole, measured.home / "files", paths, None, None)
    fewer = config.model_copy(update={"labels": labels.model_copy(update={"folds": (0, 1)})})
    end = START + pd.Timedelta(days=DAYS - TEST_DAYS)
    from_files.run(fewer, measured.home / "files", cut, None, end)
    full, short = (baselines.judged_rows(baselines.read(own), seed=0) for own in (paths, cut))
    keys = [c.SYMBOL, c.TIMESTAMP]
    both = short[short[c.LABEL].notna()].merge(full, on=keys, suffixes=("", "_full"), validate="one_to_one")
    assert len(both) > 2000
    for model in contest.MODELS:
        for name in c.probability_columns(model):
            np.testing.assert_array_equal(both[name], both[f"{name}_full"])


def test_missing_hours_and_files_are_named(measured: Measured, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    shutil.copytree(measured.home / "files", folder)
    path = folder / "binance_perp_SOLUSDT_1h.parquet"
    candles = pd.read_parquet(path)
    candles.drop(index=500).to_parquet(path)
    config = load_config(measured.home / "params.yaml")
    with pytest.raises(DataError, match=r"SOLUSDT: .* lacks 1 spans of hours.*first from 2025-01-21 20:00"):
        from_files.run(config, folder, Paths(tmp_path), None, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExchangeError, match="BTCUSDT"):
        from_files.run(config, tmp_path / "empty", Paths(tmp_path), None, None)


def test_without_stages_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run `xrl snapshot`, or name files with `--data`"):
        baselines.run(load_config(ROOT / "params.yaml"), Paths(tmp_path), tmp_path / "page")
