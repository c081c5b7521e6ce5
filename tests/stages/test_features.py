import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.config import Config, ContextParams, ExtraFeature, load_config
from xrl.errors import DataError
from xrl.features import table
from xrl.paths import Paths
from xrl.sandbox import worlds
from xrl.stages import features

ROOT = Path(__file__).parents[2]
SYMBOLS = ("SOLUSDT", "BTCUSDT")  # not in the alphabet's order: the snapshot's order stays


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "params.yaml")


def snapshot(paths: Paths, hours: int = 900) -> pd.DataFrame:
    start = pd.Timestamp("2025-01-01", tz="UTC")
    parts = [
        worlds.bars("planted", symbol, start, start + pd.Timedelta(hours=hours), seed=7).assign(symbol=symbol)
        for symbol in SYMBOLS
    ]
    bars = pd.concat(parts, ignore_index=True)[[columns.SYMBOL, *columns.BAR]]
    paths.bars.parent.mkdir(parents=True, exist_ok=True)
    bars.to_parquet(paths.bars, index=False)
    return bars


def written(paths: Paths) -> tuple[pd.DataFrame, dict]:
    return pd.read_parquet(paths.features), json.loads(paths.feature_spec.read_text())


def test_every_bar_of_every_symbol_has_its_features_in_the_order_of_the_snapshot(config, tmp_path):
    paths = Paths(tmp_path)
    bars = snapshot(paths)
    features.run(config, paths)
    frame, spec = written(paths)
    pd.testing.assert_frame_equal(
        frame[[columns.SYMBOL, columns.TIMESTAMP]], bars[[columns.SYMBOL, columns.TIMESTAMP]]
    )
    own = bars[bars[columns.SYMBOL] == "BTCUSDT"]
    expected = table.build(own, own[columns.TIMESTAMP], config.features)
    names = [column["name"] for column in spec["columns"]]
    assert list(frame) == [columns.SYMBOL, columns.TIMESTAMP, *names]
    live = [name for name in names if name not in {column["name"] for column in spec["left_out"]}]
    found = frame.loc[frame[columns.SYMBOL] == "BTCUSDT", live].to_numpy()
    np.testing.assert_array_equal(found, expected[:, table.positions(live)])
    assert spec["schema"] == table.schema_hash(names)
    assert spec["required_bars"] == table.required_bars(config.experts.window_bars)


def test_constant_flags_are_left_out_and_listed(config, tmp_path):
    paths = Paths(tmp_path)
    snapshot(paths)
    features.run(config, paths)
    frame, spec = written(paths)
    assert {column["name"] for column in spec["left_out"]} >= {"taker_available", "funding_available"}
    assert "taker_available" not in frame


def test_absent_taker_volume_leaves_its_columns_out_but_the_observation_keeps_its_place(config, tmp_path):
    paths = Paths(tmp_path)
    bars = snapshot(paths)
    late = bars[columns.TIMESTAMP] >= pd.Timestamp("2025-01-20", tz="UTC")  # after the first training span
    bars[columns.TAKER_BUY_VOLUME] = bars[columns.TAKER_BUY_VOLUME].where(late)
    bars.to_parquet(paths.bars, index=False)
    features.run(config, paths)
    frame, spec = written(paths)
    assert "taker_imbalance_12" not in frame
    assert (frame["taker_imbalance"] == 0).all()
    groups = {column["name"]: column["groups"] for column in spec["columns"]}
    assert groups["taker_imbalance"] == ["policy"]
    assert groups["volume_ratio"] == ["indicator", "policy"]
    left_out = {column["name"]: column for column in spec["left_out"]}
    assert left_out["taker_imbalance"]["coverage"] == 0
    assert set(columns.MARKET_STATE) | set(columns.REGIME_STATE) <= set(frame)


def test_the_same_snapshot_gives_the_same_bytes(config, tmp_path):
    paths = Paths(tmp_path)
    snapshot(paths)
    features.run(config, paths)
    first = paths.features.read_bytes(), paths.feature_spec.read_bytes()
    features.run(config, paths)
    assert (paths.features.read_bytes(), paths.feature_spec.read_bytes()) == first
    assert sorted(path.name for path in paths.stage("features").iterdir()) == [
        "features.parquet",
        "spec.json",
    ]


def test_a_history_within_the_warm_up_is_refused(config, tmp_path):
    paths = Paths(tmp_path)
    snapshot(paths, hours=120)
    with pytest.raises(DataError, match="past the warm-up of 96 bars"):
        features.run(config, paths)


def asked(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"features": config.features.model_copy(update=changes)})


LEAD = ContextParams(lead="BTCUSDT", market=("BTCUSDT", "SOLUSDT"))


def test_other_symbols_are_joined_by_time(config, tmp_path):
    """BTCUSDT begins a day earlier: SOLUSDT's bars find the lead's of the same hour."""
    paths = Paths(tmp_path)
    bars = snapshot(paths)
    late = bars[columns.TIMESTAMP] >= pd.Timestamp("2025-01-02", tz="UTC")
    bars = bars[late | (bars[columns.SYMBOL] == "BTCUSDT")]
    bars.to_parquet(paths.bars, index=False)
    config = asked(config, context=LEAD)
    features.run(config, paths)
    frame, spec = written(paths)
    own, lead = (frame[frame[columns.SYMBOL] == name].set_index("timestamp") for name in SYMBOLS)
    both = own.index[200:]
    np.testing.assert_allclose(own.loc[both, "lead_return_6"], lead.loc[both, "return_6"], atol=1e-9)
    assert (lead["lead_beta"][100:] == 1).all()
    assert set(own.loc[both, "market_rank_24"]) == {0.0, 1.0}
    assert {c["name"] for c in spec["left_out"]} >= {"lead_available", "market_available"}  # never down


def test_a_lead_that_begins_late_takes_its_columns_out_of_the_run(config, tmp_path, caplog):
    paths = Paths(tmp_path)
    bars = snapshot(paths)
    early = bars[columns.TIMESTAMP] < pd.Timestamp("2025-01-14", tz="UTC")
    bars[~(early & (bars[columns.SYMBOL] == "BTCUSDT"))].to_parquet(paths.bars, index=False)
    features.run(asked(config, context=LEAD), paths)
    frame, spec = written(paths)
    assert not any(name.startswith("lead") for name in frame)
    left_out = {column["name"]: column["reason"] for column in spec["left_out"]}
    assert "`lead` is available on" in left_out["lead_beta"]
    assert "left out, `lead` is available on" in caplog.text


def test_a_lead_outside_the_snapshot_is_refused(config, tmp_path):
    paths = Paths(tmp_path)
    snapshot(paths)
    with pytest.raises(
        DataError, match=r"names ETHUSDT, not in the snapshot of SOLUSDT, BTCUSDT.*leave it out"
    ):
        features.run(asked(config, context=ContextParams(lead="ETHUSDT", market=())), paths)


ROC = ExtraFeature(
    name="roc_12",
    ta="momentum.ROCIndicator",
    output="roc",
    inputs=("close",),
    params={"window": 12},
    group="indicator",
    window=13,
    warmup=12,
)


def test_a_users_column_is_tried_and_built(config, tmp_path):
    paths = Paths(tmp_path)
    bars = snapshot(paths)
    config = asked(config, extra=(ROC,))
    features.run(config, paths)
    frame, spec = written(paths)
    close = bars[bars[columns.SYMBOL] == "BTCUSDT"]["close"].to_numpy()
    found = frame[frame[columns.SYMBOL] == "BTCUSDT"]["roc_12"].to_numpy()
    np.testing.assert_allclose(found[12:], 100 * (close[12:] / close[:-12] - 1))
    described = spec["columns"][-1]
    assert (described["name"], described["groups"]) == ("roc_12", ["indicator"])
    declared = table.declared(config.features)
    assert spec["schema"] == table.schema_hash([c["name"] for c in spec["columns"]], declared)


def test_a_users_column_that_is_not_as_declared_stops_the_stage(config, tmp_path):
    paths = Paths(tmp_path)
    snapshot(paths)
    short = ROC.model_copy(update={"window": 12, "warmup": 11})
    with pytest.raises(DataError, match="feature `roc_12`: it"):
        features.run(asked(config, extra=(short,)), paths)
    assert not paths.features.exists()


def test_without_a_snapshot_the_error_names_the_command(config, tmp_path):
    with pytest.raises(DataError, match="run `xrl snapshot`"):
        features.run(config, Paths(tmp_path))
