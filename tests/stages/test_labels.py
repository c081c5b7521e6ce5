import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.config import Config, load_config
from xrl.errors import ConfigError, DataError
from xrl.labels import folds
from xrl.labels.classes import classes
from xrl.paths import Paths
from xrl.stages import labels

ROOT = Path(__file__).parents[2]
START = pd.Timestamp("2025-01-01", tz="UTC")


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "params.yaml")


def snapshot(paths: Paths, hours: int = 1500, still: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    parts = []
    for symbol in ("SOLUSDT", "BTCUSDT"):
        steps = rng.normal(0, 0.0 if still else 0.01, hours)
        time = pd.date_range(START, periods=hours, freq="h", unit="ms")
        close = 100 * np.exp(np.cumsum(steps))
        prices = {"high": close * 1.001, "low": close / 1.001, "close": close}
        parts.append(pd.DataFrame({"symbol": symbol, "timestamp": time, **prices}))
    bars = pd.concat(parts, ignore_index=True)
    paths.bars.parent.mkdir(parents=True, exist_ok=True)
    bars.to_parquet(paths.bars, index=False)
    return bars


def test_labels_are_one_row_a_bar_and_unknown_where_not_matured(config, tmp_path):
    paths = Paths(tmp_path)
    bars = snapshot(paths)
    labels.run(config, paths)
    table = pd.read_parquet(paths.labels)
    outcome = ["forward_return", "volatility", "score", "label_end", "horizon_end"]
    assert list(table) == ["symbol", "timestamp", *outcome]
    assert {str(table[name].dtype) for name in ("timestamp", "label_end", "horizon_end")} == {
        columns.TIME_DTYPE
    }
    pd.testing.assert_frame_equal(table[["symbol", "timestamp"]], bars[["symbol", "timestamp"]])
    horizon, own = config.labels.horizon_bars, table[table["symbol"] == "BTCUSDT"].reset_index(drop=True)
    assert own["forward_return"][-horizon:].isna().all() and own["label_end"][-horizon:].isna().all()
    assert own["volatility"][: config.labels.volatility_window].isna().all()
    assert own["label_end"][0] == START + pd.Timedelta(hours=horizon + 1)
    close = bars.loc[bars["symbol"] == "BTCUSDT", "close"].to_numpy()
    assert own["forward_return"][100] == pytest.approx(np.log(close[100 + horizon] / close[100]))


def test_folds_cover_the_history_and_classes_are_thirds_in_training(config, tmp_path):
    paths = Paths(tmp_path)
    snapshot(paths)
    labels.run(config, paths)
    table, (laid, refit) = pd.read_parquet(paths.labels), folds.load(paths.folds)
    assert [fold.index for fold in laid] == list(config.labels.folds)
    assert laid[-1].test_end == START + pd.Timedelta(hours=1500)
    for fold in laid:
        found = classes(table[folds.train_mask(table, fold)], fold)
        shares = np.bincount(found) / len(found)
        np.testing.assert_allclose(shares, [0.33, 0.34, 0.33], atol=0.002)
    assert refit.train_end == table["label_end"].max()
    assert json.loads(paths.label_report.read_text())[0]["train"]["hold"] == pytest.approx(0.34, abs=0.002)


def test_too_much_hold_is_warned_of(config, tmp_path, caplog):
    wide = config.model_copy(
        update={"labels": config.labels.model_copy(update={"percentiles": (0.05, 0.95)})}
    )
    paths = Paths(tmp_path)
    snapshot(paths)
    with caplog.at_level(logging.WARNING):
        labels.run(wide, paths)
    assert "HOLD makes 90%" in caplog.text and "labels.percentiles" in caplog.text


def test_the_same_snapshot_gives_the_same_bytes(config, tmp_path):
    paths = Paths(tmp_path)
    snapshot(paths)
    labels.run(config, paths)
    files = (paths.labels, paths.folds, paths.label_report)
    first = [file.read_bytes() for file in files]
    labels.run(config, paths)
    assert [file.read_bytes() for file in files] == first
    assert len(list(paths.stage("labels").iterdir())) == 3


def test_a_market_that_stands_still_has_no_labels(config, tmp_path):
    paths = Paths(tmp_path)
    snapshot(paths, still=True)
    with pytest.raises(DataError, match="no matured label"):
        labels.run(config, paths)


def test_a_week_is_too_short_for_four_folds(config, tmp_path):
    paths = Paths(tmp_path)
    snapshot(paths, hours=168)
    with pytest.raises(ConfigError, match="too short for 4 folds"):
        labels.run(config, paths)


def test_without_a_snapshot_the_error_names_the_command(config, tmp_path):
    with pytest.raises(DataError, match="run `xrl snapshot`"):
        labels.run(config, Paths(tmp_path))
