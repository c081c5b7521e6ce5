from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrl import columns
from xrl.config import ContextParams, FeatureParams
from xrl.features.context import Peer
from xrl.sandbox import worlds

REAL = Path(__file__).parents[3] / "shared" / "market"


@pytest.fixture(scope="session")
def params() -> FeatureParams:
    return FeatureParams(
        min_coverage=0.8,
        volume_window=20,
        climax_volume_ratio=1.5,
        climax_close_position=0.7,
        narrow_spread=0.01,
        narrow_volume_ratio=2.0,
        test_volume_ratio=0.5,
        level_volume_ratio=2.0,
        level_distance_atr=0.5,
        context=ContextParams(lead=None, market=()),
        extra=(),
    )


@pytest.fixture(scope="session")
def planted() -> pd.DataFrame:
    """3000 hours of the sandbox with every optional column; the Series of `bars` are one symbol's."""
    start = pd.Timestamp("2025-01-01", tz="UTC")
    return worlds.bars("planted", "BTCUSDT", start, start + pd.Timedelta(hours=3000), seed=7)


@pytest.fixture(scope="session")
def real() -> pd.DataFrame:
    """6000 real hours of SOLUSDT from 2022-09 (crash and two-hourly funding), with funding."""
    path = REAL / "binance_perp_SOLUSDT_1h.parquet"
    if not path.is_file():
        pytest.skip(f"needs the real candles in {REAL}")
    bars = pd.read_parquet(path)
    funding = pd.read_parquet(REAL / "binance_perp_SOLUSDT_funding.parquet")
    hour = funding[columns.TIMESTAMP].dt.floor("h")
    rate = funding.groupby(hour)[columns.FUNDING_RATE].sum().reset_index()
    bars = bars.merge(rate, on=columns.TIMESTAMP, how="left")
    since = bars[columns.TIMESTAMP] >= pd.Timestamp("2022-09-01", tz="UTC")
    return bars[since].head(6000).reset_index(drop=True)


@pytest.fixture(scope="session")
def peers(planted) -> dict[str, Peer]:
    """Other coins of the same 3000 hours."""
    start, end = planted["timestamp"].iloc[0], planted["timestamp"].iloc[-1] + pd.Timedelta(hours=1)
    return {name: _peer(worlds.bars("planted", name, start, end, seed=7)) for name in ("ETHUSDT", "SOLUSDT")}


@pytest.fixture(scope="session")
def real_peers(real) -> dict[str, Peer]:
    """Other coins of the same 6000 real hours."""
    found = {}
    for name in ("BTCUSDT", "ETHUSDT"):
        bars = pd.read_parquet(REAL / f"binance_perp_{name}_1h.parquet")
        found[name] = _peer(bars[bars[columns.TIMESTAMP].isin(real[columns.TIMESTAMP])])
    return found


def _peer(bars: pd.DataFrame) -> Peer:
    time = bars[columns.TIMESTAMP].to_numpy(dtype="datetime64[ms]")
    return Peer(time, bars[columns.CLOSE].to_numpy(np.float64))


@pytest.fixture
def hours():
    """`hours(n)`: n hourly opens from Monday 2025-01-06."""

    def make(count: int) -> np.ndarray:
        return np.datetime64("2025-01-06", "ms") + np.arange(count) * np.timedelta64(3_600_000, "ms")

    return make
