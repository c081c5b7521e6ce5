"""Truths about real files as a world: every value as it stands in its file."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.market.conftest import SHARED_MARKET, utc
from tests.sandbox.conftest import FIRST, HOLE, hourly, ms
from xrl import columns as c
from xrl.errors import ConfigError, DataError, ExchangeError
from xrl.market import tables
from xrl.market.resample import resample
from xrl.sandbox import replay
from xrl.sandbox.venue import FOREVER_MS, Venue, open_venue


def folder_with(tmp_path: Path, **frames: pd.DataFrame) -> Path:
    for name, frame in frames.items():
        frame.to_parquet(tmp_path / f"binance_perp_AUSDT_{name.removeprefix('_')}.parquet")
    return tmp_path


def quarters() -> pd.DataFrame:
    """Quarter hours whose hours differ from `hourly`'s, as other collections' do."""
    times = pd.date_range(FIRST, periods=96, freq="15min", tz="UTC").astype(c.TIME_DTYPE)
    return pd.DataFrame({c.TIMESTAMP: times, **dict.fromkeys(c.OHLCV[:4], 7.0), c.VOLUME: 0.1})


def test_a_timeframe_with_a_file_of_its_own_comes_from_it_and_others_from_the_nearest(tmp_path):
    folder = folder_with(tmp_path, _1h=hourly(FIRST, "2024-05-22", 1), _15m=quarters())
    assert [replay.source(folder, "AUSDT", name) for name in ("15m", "30m", "1h", "4h", "1d", "5m")] == [
        "15m", "15m", "1h", "1h", "1h", None,
    ]  # fmt: skip
    venue = Venue(7, folder)
    halves = venue.bars("replay", "AUSDT", "30m", 0, FOREVER_MS)
    assert len(halves) == 48 and (halves[c.VOLUME] == 0.2).all()
    hours = venue.bars("replay", "AUSDT", "1h", 0, FOREVER_MS)
    pd.testing.assert_frame_equal(hours[[c.TIMESTAMP, *c.OHLCV]], hourly(FIRST, "2024-05-22", 1))
    days = venue.bars("replay", "AUSDT", "1d", 0, FOREVER_MS)
    pd.testing.assert_frame_equal(days, resample(hours, "1d", "1h"))
    with pytest.raises(ExchangeError, match="no file to make 5m bars of AUSDT"):
        venue.bars("replay", "AUSDT", "5m", 0, FOREVER_MS)


def test_what_no_file_holds_is_absent(replay_dir: Path):
    venue = Venue(7, replay_dir)
    bars = venue.bars("replay", "BAREUSDT", "1h", 0, FOREVER_MS)
    assert bars[list(c.OPTIONAL_CANDLE)].isna().all().all() and len(bars) == 14 * 24
    for kind in tables.SERIES:
        assert venue.series("replay", "BAREUSDT", kind, 0, FOREVER_MS).equals(tables.empty(kind))


def test_holes_and_stamps_stay_as_they_are(replay_dir: Path):
    venue = Venue(7, replay_dir)
    times = venue.bars("replay", "OLDUSDT", "1h", ms(HOLE) - 1, ms(HOLE) + 1)
    assert times.empty
    rates = venue.series("replay", "OLDUSDT", tables.FUNDING, 0, FOREVER_MS)
    assert rates[c.TIMESTAMP].dt.hour.tolist() == [8, 16, 18, 20]
    assert rates[c.FUNDING_RATE].tolist() == [0.0001, -0.00002173, 0.00001, 0.0]


def test_a_replaced_file_is_read_again(tmp_path):
    folder = folder_with(tmp_path, _1h=hourly(FIRST, "2024-05-22", 1))
    first = replay.rows(folder, "AUSDT", "1h")
    folder_with(tmp_path, _1h=hourly(FIRST, "2024-05-23", 2))
    assert len(replay.rows(folder, "AUSDT", "1h")) == len(first) + 24


def test_a_file_without_its_columns_is_refused(tmp_path):
    folder = folder_with(tmp_path, _1h=hourly(FIRST, "2024-05-22", 1).drop(columns=c.CLOSE))
    with pytest.raises(DataError, match=r"AUSDT_1h.parquet lacks \['close'\]"):
        replay.rows(folder, "AUSDT", "1h")
    with pytest.raises(ExchangeError, match="'BUSDT' has no candles"):
        replay.rows(folder, "BUSDT", "1h")


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"BUSDT": {}}, "names \\['BUSDT'\\], of which"),
        ({"AUSDT": {"state": "resting"}}, "listings.json must be"),
        ({"AUSDT": {"ends_at": "soon"}}, "listings.json must be"),
        ({"AUSDT": {"ends_at": "2024-06-01"}}, "listings.json must be"),
        ({"AUSDT": {"until": "2024-06-01T00:00:00Z"}}, "listings.json must be"),
        (["AUSDT"], "listings.json must be"),
    ],
)
def test_listings_that_cannot_be_meant_are_refused(tmp_path, told, complaint):
    folder = folder_with(tmp_path, _1h=hourly(FIRST, "2024-05-22", 1))
    (folder / "listings.json").write_text(json.dumps(told))
    with pytest.raises(ConfigError, match=complaint):
        open_venue(7, folder)


def test_a_listing_may_begin_and_end_within_the_file(tmp_path):
    folder = folder_with(tmp_path, _1h=hourly(FIRST, "2024-05-25", 1))
    told = {"AUSDT": {"listed_at": "2024-05-21T03:00:00Z", "ends_at": "2024-05-23T05:00:00Z"}}
    (folder / "listings.json").write_text(json.dumps(told))
    venue = open_venue(7, folder)
    bars = venue.bars("replay", "AUSDT", "1h", 0, FOREVER_MS)
    assert bars[c.TIMESTAMP].iloc[[0, -1]].tolist() == [utc("2024-05-21 03:00"), utc("2024-05-23 04:00")]
    days = venue.bars("replay", "AUSDT", "1d", 0, FOREVER_MS)
    assert days[c.TIMESTAMP].tolist() == [utc("2024-05-22")]  # the first and last day are not whole
    listing = venue.listings("replay")["AUSDT"]
    end = ms("2024-05-23 05:00")
    assert [listing.state_at(now) for now in (end - 1, end)] == ["trading", "delisted"]


@pytest.mark.skipif(not SHARED_MARKET.is_dir(), reason="shared/market is not here")
@pytest.mark.parametrize("symbol", ["BTCUSDT", "SOLUSDT"])
def test_real_files_are_served_as_they_are(symbol: str):
    venue = Venue(7, SHARED_MARKET)
    for kind, names in (("1h", [c.TIMESTAMP, *c.OHLCV]), ("funding", list(c.FUNDING))):
        file = pd.read_parquet(SHARED_MARKET / f"binance_perp_{symbol}_{kind}.parquet")[names]
        read = venue.bars if kind == "1h" else venue.series
        served = read("replay", symbol, kind, 0, FOREVER_MS)[names]
        pd.testing.assert_frame_equal(served, file, check_exact=True)
