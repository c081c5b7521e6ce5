"""Five years of six real symbols through the replay sandbox into the store, as a user pulls them."""

from pathlib import Path

import pandas as pd
import pytest

from tests.market.conftest import SHARED_MARKET, Sandbox, utc
from xrl.config import load_config
from xrl.market.exchange import Exchange
from xrl.market.pull import Order, Places, pull
from xrl.market.store import Store

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "LTCUSDT")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED_MARKET.is_dir(), reason=f"needs the real candles in {SHARED_MARKET}"),
]


def test_a_back_fill_of_everything_equals_the_source_files_exactly(sandbox: Sandbox, tmp_path: Path):
    sandbox.now = utc("2026-11-01")
    places = Places(Store(tmp_path / "replay"), tmp_path / "quarantine", tmp_path / "journal")
    config = load_config(Path(__file__).parents[2] / "params.yaml")
    order = Order(SYMBOLS, "1h", utc("2019-09-01"), utc("2025-01-01"))
    with Exchange("binance", sandbox.world("replay")) as exchange:
        outcomes = pull(exchange, places, order, config.pull, config.validation)
    for symbol in SYMBOLS:
        assert outcomes[symbol].complete
        for kind in ("1h", "funding"):
            source = pd.read_parquet(SHARED_MARKET / f"binance_perp_{symbol}_{kind}.parquet")
            stored = places.store.read(symbol, kind)
            same = source.astype(stored[source.columns].dtypes)
            pd.testing.assert_frame_equal(stored[source.columns], same, check_exact=True)
            assert stored.drop(columns=source.columns).isna().all(axis=None)  # what the files lack is absent
