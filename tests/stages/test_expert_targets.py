"""Targets beside the class, from the stages' files: nothing taught ends after it may be known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.errors import ConfigError, DataError
from xrl.experts.windows import Rows
from xrl.labels.folds import Refit
from xrl.paths import Paths
from xrl.presets import chosen
from xrl.stages.expert_rows import ExpertRows
from xrl.stages.expert_targets import with_targets

START = pd.Timestamp("2025-01-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)
BARS = 200
LEARNED, HELD = np.arange(BARS) < 120, np.arange(BARS) >= 150
SPAN = Refit(START, START + 190 * HOUR, -0.5, 0.5)
RANKS = chosen("lean", {"loss": {"rank_weight": 0.5}})
VOLUME = chosen("lean", {"loss": {"vsa_weight": 0.5}})


def _files(root: Path, close: np.ndarray) -> tuple[Paths, ExpertRows, Rows]:
    paths = Paths(root)
    keys = pd.DataFrame({"symbol": "BTCUSDT", "timestamp": [START + HOUR * hour for hour in range(BARS)]})
    keys["timestamp"] = keys["timestamp"].astype(columns.TIME_DTYPE)
    for name in ("snapshot", "features"):
        paths.stage(name).mkdir(parents=True)
    keys.assign(close=close).to_parquet(paths.bars)
    keys.assign(vsa_signal=np.linspace(-1, 1, BARS)).to_parquet(paths.features)
    labels = keys.assign(forward_return=0.02, volatility=0.01)
    x, position = np.zeros((BARS, 1)), np.arange(BARS)
    rows = Rows(x.astype(np.float32), position, np.zeros(BARS, dtype=np.int8))
    return paths, ExpertRows(labels, ("x",), x, position), rows


@pytest.fixture
def close() -> np.ndarray:
    return np.exp(0.01 * np.random.default_rng(0).standard_normal(BARS).cumsum())


def _ranks(root: Path, close: np.ndarray, held: np.ndarray) -> np.ndarray:
    rows = with_targets(*_files(root, close), SPAN, LEARNED, held, [RANKS])
    assert rows.targets is not None
    return rows.targets.ranks


def test_no_rank_reaches_into_held_out_bars(tmp_path, close):
    """Bars of 48 ahead end with the training bar 101, a whole horizon before the label's own 20."""
    found = _ranks(tmp_path / "a", close, HELD)
    changed = close.copy()
    changed[150:] *= 9.0  # from the first held-out bar on
    np.testing.assert_array_equal(_ranks(tmp_path / "b", changed, HELD), found)
    last = [int(np.flatnonzero(np.isfinite(column)).max()) for column in found.T]
    assert last == [119, 119, 119, 101]  # horizons 6, 12, 20, 48: 101 + 48 closes when bar 150 opens


def test_without_held_out_bars_the_spans_end_bounds_them(tmp_path, close):
    everything = np.arange(BARS) < 189
    rows = with_targets(*_files(tmp_path, close), SPAN, everything, np.zeros(BARS, dtype=bool), [RANKS])
    last = [int(np.flatnonzero(np.isfinite(column)).max()) for column in rows.targets.ranks.T]
    assert last == [190 - 1 - horizon for horizon in (6, 12, 20, 48)]


def test_scores_are_those_of_training_bars(tmp_path, close):
    rows = with_targets(*_files(tmp_path, close), SPAN, LEARNED, HELD, [RANKS])
    np.testing.assert_array_equal(rows.targets.score[:120], np.full(120, 2.0, dtype=np.float32))
    assert np.isnan(rows.targets.score[120:]).all()


def test_volume_is_read_where_it_is_weighed(tmp_path, close):
    paths, source, rows = _files(tmp_path, close)
    heard = with_targets(paths, source, rows, SPAN, LEARNED, HELD, [VOLUME]).targets
    assert heard.vsa[0] == -1 and heard.vsa[-1] == 1
    assert np.isnan(with_targets(paths, source, rows, SPAN, LEARNED, HELD, [RANKS]).targets.vsa).all()
    pd.read_parquet(paths.features).drop(columns="vsa_signal").to_parquet(paths.features)
    with pytest.raises(DataError, match="needs the feature `vsa_signal`"):
        with_targets(paths, source, rows, SPAN, LEARNED, HELD, [VOLUME])


def test_a_recipe_that_asks_for_nothing_reads_nothing(tmp_path, close):
    paths, source, rows = _files(tmp_path, close)
    paths.bars.unlink()
    assert with_targets(paths, source, rows, SPAN, LEARNED, HELD, [chosen("lean", {})]) is rows
    with pytest.raises(DataError, match="run `xrl snapshot`"):
        with_targets(paths, source, rows, SPAN, LEARNED, HELD, [RANKS])


def test_recipes_rank_over_the_same_horizons(tmp_path, close):
    other = chosen("lean", {"loss": {"rank_weight": 0.5, "rank_horizons": (6,)}})
    with pytest.raises(ConfigError, match="must share"):
        with_targets(*_files(tmp_path, close), SPAN, LEARNED, HELD, [RANKS, other])


def test_bars_and_labels_must_be_the_same(tmp_path, close):
    paths, source, rows = _files(tmp_path, close)
    pd.read_parquet(paths.bars).iloc[::-1].reset_index(drop=True).to_parquet(paths.bars)
    with pytest.raises(DataError, match="different bars"):
        with_targets(paths, source, rows, SPAN, LEARNED, HELD, [RANKS])
