"""Each kind of bad batch is caught by its own rule; good ones pass."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.market.conftest import SHARED_MARKET, utc
from xrl import columns as c
from xrl.errors import DataError
from xrl.market.expectations import validate
from xrl.sandbox import replay, worlds

ROW = 7  # the broken one
BAD_TIME = "2024-03-01T07:00:00+00:00"
Breakage = Callable[[pd.DataFrame], pd.DataFrame]


def candles(world: str = "planted", hours: int = 48) -> pd.DataFrame:
    start = utc("2024-03-01")
    return worlds.bars(world, "BTCUSDT", start, start + pd.Timedelta(hours=hours), 7)[list(c.CANDLE)]


def setting(column: str, value: float) -> Breakage:
    def broken(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{column: frame[column].where(frame.index != ROW, value)})

    return broken


def without_row(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(index=ROW)


def repeated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.loc[[*range(ROW + 1), *range(ROW, len(frame))]]


def swapped(frame: pd.DataFrame) -> pd.DataFrame:
    order = list(range(len(frame)))
    order[ROW], order[ROW + 1] = order[ROW + 1], order[ROW]
    return frame.iloc[order]


def leapt(frame: pd.DataFrame) -> pd.DataFrame:
    factor = np.where(frame.index < ROW, 1.0, 3.0)
    return frame.assign(**{name: frame[name] * factor for name in c.OHLCV[:4]})


BROKEN: dict[str, Breakage] = {
    "one bar an hour": without_row,
    "time increases": repeated,
    "close is there": setting(c.CLOSE, np.nan),
    "volume is there": setting(c.VOLUME, np.nan),
    "open is positive": setting(c.OPEN, 0.0),
    "low is positive": setting(c.LOW, -1.0),
    "volume is not negative": setting(c.VOLUME, -1.0),
    "trades is not negative": setting(c.TRADES, -1.0),
    "high is not below low": setting(c.HIGH, 1.0),
    "high is not below close": setting(c.HIGH, 1.0),
    "open is not below low": setting(c.LOW, 1e9),
    "volume is not below taker_buy_volume": setting(c.TAKER_BUY_VOLUME, 1e12),
    "quote_volume is not below taker_buy_quote_volume": setting(c.TAKER_BUY_QUOTE_VOLUME, 1e15),
    "price jump is plausible": leapt,
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_bad_batch_is_caught_by_its_rule(rule: str, tmp_path: Path):
    bad = BROKEN[rule](candles())
    with pytest.raises(DataError, match=f"BTCUSDT 1h: .*rule '{rule}' broken by 1 row") as caught:
        validate("1h", bad, "BTCUSDT", tmp_path)
    assert "2024-03-01T0" in str(caught.value)
    folder = tmp_path / "BTCUSDT" / "1h" / "20240301T0000"
    report = json.loads((folder / "report.json").read_text())
    found = next(one for one in report["failures"] if one["rule"] == rule)
    assert found["rows"] == 1 and len(found["sample_rows"]) == 1
    assert found["first_timestamp"].startswith("2024-03-01T0")
    assert len(pd.read_parquet(folder / "batch.parquet")) == len(bad)
    assert "<html" in (folder / "report.html").read_text()


def test_the_report_counts_every_bad_row_and_names_the_first(tmp_path: Path):
    frame = candles()
    bad = frame.assign(volume=frame[c.VOLUME].where((frame.index < ROW) | (frame.index > 20), -1.0))
    with pytest.raises(DataError, match="'volume is not negative' broken by 14 row"):
        validate("1h", bad, "BTCUSDT", tmp_path)
    report = json.loads((tmp_path / "BTCUSDT/1h/20240301T0000/report.json").read_text())
    found = next(one for one in report["failures"] if one["rule"] == "volume is not negative")
    assert (found["rows"], found["first_timestamp"], len(found["sample_rows"])) == (14, BAD_TIME, 5)


def test_disorder_is_caught(tmp_path: Path):
    with pytest.raises(DataError, match="time increases"):
        validate("1h", swapped(candles()), "BTCUSDT", tmp_path)


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (lambda frame: frame.drop(columns=c.VOLUME), "columns"),
        (lambda frame: frame.assign(close=frame[c.CLOSE].astype(str)), "close is float64"),
        (lambda frame: frame.assign(timestamp=frame[c.TIMESTAMP].astype("int64")), "time is a timestamp"),
        (
            lambda frame: frame.assign(timestamp=frame[c.TIMESTAMP].dt.tz_localize(None)),
            "time is a timestamp",
        ),
        (lambda frame: frame.assign(timestamp=frame[c.TIMESTAMP].dt.tz_convert("Asia/Tokyo")), "time is UTC"),
    ],
)
def test_another_schema_is_caught(bad: Breakage, rule: str, tmp_path: Path):
    with pytest.raises(DataError, match=rule):
        validate("1h", bad(candles()), "BTCUSDT", tmp_path)


@pytest.mark.parametrize(
    ("rate", "rule"), [(np.nan, "funding rate is there"), (0.05, "funding rate is plausible")]
)
def test_bad_funding_is_caught(rate: float, rule: str, tmp_path: Path):
    times = pd.date_range("2024-01-01", periods=9, freq="8h", tz="UTC", unit="ms")
    funding = pd.DataFrame({c.TIMESTAMP: times, c.FUNDING_RATE: 1e-4})
    validate("funding", funding, "BTCUSDT", tmp_path)
    with pytest.raises(DataError, match=f"BTCUSDT funding: rule '{rule}'"):
        validate("funding", setting(c.FUNDING_RATE, rate)(funding), "BTCUSDT", tmp_path)


def test_negative_open_interest_is_caught(tmp_path: Path):
    times = pd.date_range("2024-01-01", periods=9, freq="h", tz="UTC", unit="ms")
    marks = pd.DataFrame({c.TIMESTAMP: times, c.OPEN_INTEREST: 5.0, c.OPEN_INTEREST_VALUE: 7.0})
    validate("open_interest", marks, "BTCUSDT", tmp_path)
    with pytest.raises(DataError, match="'open_interest is not negative' broken by 1 row"):
        validate("open_interest", setting(c.OPEN_INTEREST, -5.0)(marks), "BTCUSDT", tmp_path)


@pytest.mark.parametrize("world", worlds.SYNTHETIC)
def test_good_batches_of_the_worlds_pass(world: str, tmp_path: Path):
    bars = worlds.bars(world, "DOGEUSDT", worlds.WORLD_START, utc("2026-10-01"), 7)
    validate("1h", bars[list(c.CANDLE)], "DOGEUSDT", tmp_path)
    validate("funding", bars[list(c.FUNDING)].dropna(ignore_index=True), "DOGEUSDT", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not SHARED_MARKET.is_dir(), reason="the real candles of ../shared/market are not here")
def test_real_candles_pass(tmp_path: Path):
    for symbol in ("BTCUSDT", "SOLUSDT", "XRPUSDT"):
        bars = replay.bars(SHARED_MARKET, symbol)
        validate("1h", bars[list(c.CANDLE)], symbol, tmp_path)
        validate("funding", bars[list(c.FUNDING)].dropna(ignore_index=True), symbol, tmp_path)
