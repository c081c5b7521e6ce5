"""Truths about the stage that freezes a run's input."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrl import columns as c
from xrl.config import Config, load_config
from xrl.errors import DataError
from xrl.market.store import Store
from xrl.paths import Paths
from xrl.sandbox import worlds
from xrl.stages import snapshot

ROOT = Path(__file__).parents[2]


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def config(days: int = 30, symbols: tuple[str, ...] = ("ETHUSDT", "BTCUSDT")) -> Config:
    base = load_config(ROOT / "params.yaml")
    market = base.market.model_copy(update={"symbols": symbols, "name": "planted"})
    frozen = base.snapshot.model_copy(update={"days": days, "as_of": utc("2024-06-01").to_pydatetime()})
    return base.model_copy(update={"market": market, "snapshot": frozen})


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("XRL_DATA_DIR", raising=False)
    return Paths(tmp_path)


def fill(paths: Paths, symbol: str, start: str, end: str) -> pd.DataFrame:
    bars = worlds.bars("planted", symbol, utc(start), utc(end), 7)
    store = Store(paths.market("planted"))
    store.write(symbol, "1h", bars[list(c.CANDLE)])
    store.write(symbol, "funding", bars[list(c.FUNDING)].dropna(ignore_index=True))
    return bars


def test_it_holds_the_last_days_closed_by_as_of_in_the_order_of_params(paths: Paths):
    for symbol in ("BTCUSDT", "ETHUSDT"):
        fill(paths, symbol, "2024-04-01", "2024-06-05")
    snapshot.run(config(days=30), paths)
    bars = pd.read_parquet(paths.bars)
    assert list(bars) == [c.SYMBOL, *c.BAR]
    assert list(bars[c.SYMBOL].unique()) == ["ETHUSDT", "BTCUSDT"]
    eth = bars[bars[c.SYMBOL] == "ETHUSDT"].drop(columns=c.SYMBOL)
    world = worlds.bars("planted", "ETHUSDT", utc("2024-05-02"), utc("2024-06-01"), 7)
    pd.testing.assert_frame_equal(eth, world.assign(open_interest=np.nan), check_exact=True)
    report = json.loads(paths.snapshot_report.read_text())
    assert report["symbols"]["BTCUSDT"]["rows"] == 720
    assert report["as_of"] == "2024-06-01T00:00:00+00:00"


def test_the_same_store_gives_the_same_bytes_whatever_was_appended_after_as_of(paths: Paths):
    fill(paths, "BTCUSDT", "2024-04-01", "2024-06-01")
    snapshot.run(config(symbols=("BTCUSDT",)), paths)
    before = paths.bars.read_bytes(), paths.snapshot_report.read_bytes()
    fill(paths, "BTCUSDT", "2024-06-01", "2024-07-03")
    snapshot.run(config(symbols=("BTCUSDT",)), paths)
    assert (paths.bars.read_bytes(), paths.snapshot_report.read_bytes()) == before


def test_no_data_says_what_to_run(paths: Paths):
    with pytest.raises(DataError, match=r"ETHUSDT: no candles.*xrl pull --symbol ETHUSDT --start 2024-05-02"):
        snapshot.run(config(), paths)
    assert not paths.bars.exists()


def test_a_gap_is_named_with_count_and_first_bar(paths: Paths):
    fill(paths, "BTCUSDT", "2024-04-01", "2024-05-20 05:00")
    fill(paths, "BTCUSDT", "2024-05-20 08:00", "2024-06-01")
    with pytest.raises(DataError, match=r"BTCUSDT.*3 missing bar\(s\), first at 2024-05-20T05:00.*xrl pull"):
        snapshot.run(config(symbols=("BTCUSDT",)), paths)


def test_a_history_that_stops_before_as_of_is_a_gap(paths: Paths):
    fill(paths, "BTCUSDT", "2024-04-01", "2024-05-31")
    with pytest.raises(DataError, match=r"24 missing bar\(s\), first at 2024-05-31T00:00"):
        snapshot.run(config(symbols=("BTCUSDT",)), paths)


def test_under_seven_days_is_refused_and_under_fourteen_warned(
    paths: Paths, caplog: pytest.LogCaptureFixture
):
    fill(paths, "BTCUSDT", "2024-05-26", "2024-06-01")
    with pytest.raises(DataError, match=r"6\.0 days.*min_days"):
        snapshot.run(config(symbols=("BTCUSDT",)), paths)
    fill(paths, "BTCUSDT", "2024-05-22", "2024-05-26")
    with caplog.at_level(logging.WARNING):
        snapshot.run(config(symbols=("BTCUSDT",)), paths)
    assert "only 10.0 days" in caplog.text


def test_funding_belongs_to_the_bar_it_settles_in_and_marks_count_once_known():
    hours = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC", unit="ms")
    candles = pd.DataFrame({c.TIMESTAMP: hours, **dict.fromkeys(c.CANDLE[1:], 1.0)})
    settled = ["2024-01-01 00:00", "2024-01-01 02:00", "2024-01-01 02:30"]
    funding = pd.DataFrame(
        {c.TIMESTAMP: pd.to_datetime(settled, utc=True), c.FUNDING_RATE: [1e-4, 2e-4, 3e-4]}
    )
    marks = pd.DataFrame({
        c.TIMESTAMP: pd.to_datetime(["2024-01-01 02:00", "2024-01-01 03:30"], utc=True).as_unit("ms"),
        c.OPEN_INTEREST: [50.0, 70.0],
        c.OPEN_INTEREST_VALUE: [1.0, 1.0],
    })  # fmt: skip
    bars = snapshot.join(candles, funding, marks)
    assert bars[c.FUNDING_RATE].fillna(-1).tolist() == pytest.approx([1e-4, -1, 5e-4, -1])
    assert bars[c.OPEN_INTEREST].fillna(-1).tolist() == [-1, 50.0, 50.0, 70.0]


def test_a_stale_mark_is_unknown():
    hours = pd.date_range("2024-01-01", periods=30, freq="h", tz="UTC", unit="ms")
    candles = pd.DataFrame({c.TIMESTAMP: hours, **dict.fromkeys(c.CANDLE[1:], 1.0)})
    mark = {c.TIMESTAMP: hours[:1], c.OPEN_INTEREST: [5.0], c.OPEN_INTEREST_VALUE: [1.0]}
    bars = snapshot.join(candles, candles[[c.TIMESTAMP]].head(0).assign(funding_rate=1.0), pd.DataFrame(mark))
    assert bars[c.OPEN_INTEREST].notna().tolist() == [True] * 24 + [False] * 6  # closes at 1..24 h
