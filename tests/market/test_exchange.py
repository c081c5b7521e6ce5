"""Truths about pulling through the real ccxt client from a running server."""

import numpy as np
import pandas as pd
import pytest

from tests.market.conftest import SHARED_MARKET, Sandbox, utc
from xrl import columns as c
from xrl.errors import ExchangeError
from xrl.market.exchange import Exchange
from xrl.sandbox import server, worlds


def test_paging_gives_every_bar_once_and_equals_the_world_to_the_bit(sandbox: Sandbox):
    start, end = utc("2023-12-01"), utc("2024-03-15")  # 2520 hours: two pages
    with Exchange(sandbox.world("planted")) as exchange:
        pulled = exchange.candles("ETHUSDT", start, end)
    expected = worlds.bars("planted", "ETHUSDT", start, end, seed=7)[list(c.CANDLE)]
    pd.testing.assert_frame_equal(pulled, expected, check_exact=True)


def test_progress_hears_every_row(sandbox: Sandbox):
    heard: list[int] = []
    with Exchange(sandbox.world("planted")) as exchange:
        exchange.candles("ETHUSDT", utc("2024-01-01"), utc("2024-04-01"), heard.append)
    assert heard == [1500, 684]


def test_the_bar_still_open_is_dropped_by_the_venues_clock(sandbox: Sandbox):
    with Exchange(sandbox.world("planted")) as exchange:
        pulled = exchange.candles("BTCUSDT", utc("2024-06-01 07:00"), utc("2024-06-02"))
        assert pulled[c.TIMESTAMP].iloc[-1] == utc("2024-06-01 09:00")
        sandbox.now = utc("2024-06-01 11:00:00")
        later = exchange.candles("BTCUSDT", utc("2024-06-01 07:00"), utc("2024-06-02"))
    assert later[c.TIMESTAMP].iloc[-1] == utc("2024-06-01 10:00")
    assert later[c.CLOSE].iloc[:3].tolist() == pulled[c.CLOSE].tolist()


def test_funding_is_stamped_to_the_minute_and_paged(sandbox: Sandbox):
    start, end = utc("2023-01-01"), utc("2024-05-01")  # 1458 settlements: two pages
    with Exchange(sandbox.world("random_walk")) as exchange:
        funding = exchange.funding("SOLUSDT", start, end)
    settled = worlds.bars("random_walk", "SOLUSDT", start, end, seed=7).dropna(subset=[c.FUNDING_RATE])
    assert funding[c.TIMESTAMP].tolist() == settled[c.TIMESTAMP].tolist()
    assert funding[c.FUNDING_RATE].tolist() == settled[c.FUNDING_RATE].tolist()
    assert str(funding[c.TIMESTAMP].dtype) == c.TIME_DTYPE


def test_open_interest_is_what_the_venue_keeps_of_it(sandbox: Sandbox):
    with Exchange(sandbox.world("planted")) as exchange:
        recent = exchange.open_interest("BTCUSDT", utc("2024-01-01"), utc("2024-06-01"))
        old = exchange.open_interest("BTCUSDT", utc("2023-01-01"), utc("2023-02-01"))
    assert recent[c.TIMESTAMP].iloc[0] == utc("2024-05-02 12:00")  # 30 days less an hour before the clock
    assert recent[c.TIMESTAMP].iloc[-1] == utc("2024-06-01")
    assert len(recent) == 709 and recent[c.TIMESTAMP].is_monotonic_increasing
    bar = worlds.bars("planted", "BTCUSDT", utc("2024-05-31 23:00"), utc("2024-06-01"), 7)
    assert recent[c.OPEN_INTEREST].iloc[-1] == bar[c.OPEN_INTEREST].iloc[0]
    assert old.empty and list(old) == list(c.OPEN_INTEREST_TABLE)


@pytest.mark.skipif(not SHARED_MARKET.is_dir(), reason="the real candles of ../shared/market are not here")
def test_what_replay_files_lack_arrives_as_nan_never_as_zero(sandbox: Sandbox):
    sandbox.now = utc("2026-01-01")
    with Exchange(sandbox.world("replay")) as exchange:
        candles = exchange.candles("LTCUSDT", utc("2024-12-30"), utc("2025-01-02"))
    assert len(candles) == 48
    assert candles[list(c.OPTIONAL_CANDLE)].isna().all(axis=None)
    file = pd.read_parquet(SHARED_MARKET / "binance_perp_LTCUSDT_1h.parquet")
    assert candles[c.CLOSE].tolist() == file[c.CLOSE].tail(48).tolist()


def test_an_unknown_symbol_is_named_with_what_is_listed(sandbox: Sandbox):
    with Exchange(sandbox.world("planted")) as exchange:
        exchange.check_symbols(("BTCUSDT", "LTCUSDT"))
        with pytest.raises(ExchangeError, match=r"no perpetual FOOUSDT, BARUSDT.*BTCUSDT"):
            exchange.check_symbols(("BTCUSDT", "FOOUSDT", "BARUSDT"))
        with pytest.raises(ExchangeError, match=r"refused.*-1121"):
            exchange.candles("FOOUSDT", utc("2024-01-01"), utc("2024-01-02"))


def test_an_unknown_world_is_refused_with_the_known_ones(sandbox: Sandbox):
    with Exchange(sandbox.world("atlantis")) as exchange, pytest.raises(ExchangeError, match="random_walk"):
        exchange.now()


def test_a_venue_that_is_down_says_what_to_start():
    sock = server.listen("127.0.0.1", 0)  # bound but not listening: connections are refused
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/planted"
    down = pytest.raises(ExchangeError, match=r"3 times.*make up")
    with Exchange(url, waits_s=(0.01, 0.01)) as exchange, down:
        exchange.now()
    sock.close()


def test_values_are_finite_where_the_venue_has_them(sandbox: Sandbox):
    with Exchange(sandbox.world("random_walk")) as exchange:
        candles = exchange.candles("DOGEUSDT", utc("2024-01-01"), utc("2024-01-08"))
    assert np.isfinite(candles[list(c.CANDLE[1:])].to_numpy()).all()
