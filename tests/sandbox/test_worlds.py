"""Truths about the synthetic worlds: prefix, determinism, marginals, and what the oracle knows."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrl import columns as c
from xrl.errors import ExchangeError
from xrl.sandbox import worlds

START = worlds.WORLD_START
END = pd.Timestamp("2026-10-01", tz="UTC")


def log_returns(world: str, symbol: str = "BTCUSDT", seed: int = 7) -> np.ndarray:
    close = worlds.bars(world, symbol, START, END, seed)[c.CLOSE].to_numpy()
    return np.diff(np.log(close))


@pytest.mark.parametrize("world", worlds.SYNTHETIC)
@settings(max_examples=8, deadline=None)
@given(hours=st.integers(1, 3000), more=st.integers(1, 3000), seed=st.integers(0, 99))
def test_a_longer_world_begins_with_the_shorter_one(world: str, hours: int, more: int, seed: int):
    short = worlds._path(world, "ETHUSDT", seed, hours)
    long = worlds._path(world, "ETHUSDT", seed, hours + more)
    for name, values, longer in zip(worlds._Path._fields, short, long, strict=True):
        assert np.array_equal(values, longer[:hours], equal_nan=True), name


def test_any_interval_is_a_cut_of_the_whole():
    whole = worlds.bars("planted", "SOLUSDT", START, END, 3)
    first, last = pd.Timestamp("2024-05-01 07:00", tz="UTC"), pd.Timestamp("2024-05-03", tz="UTC")
    part = worlds.bars("planted", "SOLUSDT", first, last, 3)
    inside = whole[(whole[c.TIMESTAMP] >= first) & (whole[c.TIMESTAMP] < last)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, inside, check_exact=True)
    assert list(part) == list(c.BAR) and str(part[c.TIMESTAMP].dtype) == c.TIME_DTYPE
    assert worlds.bars("planted", "SOLUSDT", pd.Timestamp("2020-01-01", tz="UTC"), START, 3).empty


def test_seed_and_symbol_decide_everything():
    worlds._path.cache_clear()
    once = worlds.bars("planted", "BTCUSDT", START, END, 7)
    worlds._path.cache_clear()
    pd.testing.assert_frame_equal(once, worlds.bars("planted", "BTCUSDT", START, END, 7), check_exact=True)
    other = worlds.bars("planted", "BTCUSDT", START, END, 8)
    assert not np.array_equal(once[c.CLOSE], other[c.CLOSE])


@pytest.mark.parametrize("symbol", worlds.COINS)
@pytest.mark.parametrize("world", worlds.SYNTHETIC)
def test_every_bar_is_a_possible_candle(world: str, symbol: str):
    bars = worlds.bars(world, symbol, START, END, 7)
    assert (bars[c.LOW] > 0).all()
    assert (bars[c.HIGH] >= bars[[c.OPEN, c.CLOSE]].max(axis=1)).all()
    assert (bars[c.LOW] <= bars[[c.OPEN, c.CLOSE]].min(axis=1)).all()
    assert (bars[c.TAKER_BUY_VOLUME] <= bars[c.VOLUME]).all() and (bars[c.VOLUME] > 0).all()
    assert (bars[c.OPEN].iloc[1:].to_numpy() == bars[c.CLOSE].iloc[:-1].to_numpy()).all()
    funding = bars[c.FUNDING_RATE].dropna()
    assert set(bars[c.TIMESTAMP][funding.index].dt.hour) == {0, 8, 16}
    assert 0.8e-4 < funding.mean() < 1.2e-4 and funding.std() < 1e-4


def test_the_worlds_look_alike_but_for_the_drift():
    planted, walk = log_returns("planted"), log_returns("random_walk")
    assert planted.std() == pytest.approx(walk.std(), rel=0.03)
    for returns in (planted, walk):
        assert pd.Series(returns).kurt() > 1.5  # fat tails
        assert pd.Series(np.abs(returns)).autocorr(24) > 0.05  # volatility clusters
    volumes = [worlds.bars(world, "BTCUSDT", START, END, 7)[c.QUOTE_VOLUME] for world in worlds.SYNTHETIC]
    assert volumes[0].mean() == pytest.approx(volumes[1].mean(), rel=0.03)


def test_coins_share_a_market():
    returns = [log_returns("random_walk", symbol) for symbol in ("BTCUSDT", "ETHUSDT", "LTCUSDT")]
    assert (np.corrcoef(returns)[np.triu_indices(3, 1)] > 0.3).all()


def test_only_the_planted_oracle_knows_anything():
    time = pd.date_range(START, END, freq="h", inclusive="left")
    assert (worlds.oracle("BTCUSDT", time, 7, world="random_walk").expected_return == 0).all()
    assert (worlds.oracle("BTCUSDT", time, 7).expected_return != 0).mean() > 0.9


def test_the_oracles_moments_are_those_of_the_returns():
    known, happened = [], []
    for symbol in worlds.COINS:
        bars = worlds.bars("planted", symbol, START, END, 11)
        close = np.log(bars[c.CLOSE].to_numpy())
        moments = worlds.oracle(symbol, pd.DatetimeIndex(bars[c.TIMESTAMP]), 11)
        known.append(np.stack([moments.expected_return, moments.deviation], axis=1)[:-20:20])
        happened.append((close[20:] - close[:-20])[::20])
    (expected, deviation), forward = np.concatenate(known).T, np.concatenate(happened)
    slope = (expected @ forward) / (expected @ expected)
    assert slope == pytest.approx(1.0, abs=0.2)  # standard error .05
    assert ((forward - expected) / deviation).std() == pytest.approx(1.0, abs=0.03)


def test_the_oracle_at_a_bar_does_not_depend_on_later_bars():
    time = pd.date_range(START, periods=500, freq="h")
    assert (
        worlds.oracle("XRPUSDT", time[:300], 5).score == worlds.oracle("XRPUSDT", time, 5).score[:300]
    ).all()


def test_random_walk_has_no_momentum_and_planted_has():
    def continuation(world: str) -> float:
        """Mean correlation of the 12-bar return with the next 20-bar return, six coins."""
        found = []
        for symbol in list(worlds.COINS)[:6]:
            path = np.cumsum(log_returns(world, symbol))
            past, ahead = path[12:-20] - path[:-32], path[32:] - path[12:-20]
            found.append(np.corrcoef(past, ahead)[0, 1])
        return float(np.mean(found))

    assert abs(continuation("random_walk")) < 0.03
    assert continuation("planted") > 0.06


@pytest.mark.parametrize(
    ("world", "symbol", "digest"),
    [
        ("planted", "BTCUSDT", "e6c1418bfcaf4f889f31f84f53fe361a"),
        ("planted", "DOGEUSDT", "4ced52bb7c90371717d533c3d35086f7"),
        ("random_walk", "BTCUSDT", "8dd41061abf7bda38c9bff47ef41a80d"),
        ("random_walk", "DOGEUSDT", "550745c6721378ce36630ee6db772a12"),
    ],
)
def test_the_worlds_stay_the_worlds_that_the_figures_were_measured_on(world: str, symbol: str, digest: str):
    """Two weeks of hours, bit for bit. Another digest is another market: every published figure falls."""
    first, last = pd.Timestamp("2024-03-01", tz="UTC"), pd.Timestamp("2024-03-15", tz="UTC")
    bars = worlds.bars(world, symbol, first, last, 7)
    found = hashlib.sha256(bars[c.TIMESTAMP].astype("int64").to_numpy().tobytes())
    found.update(np.ascontiguousarray(bars[list(c.BAR[1:])].to_numpy("float64")).tobytes())
    assert found.hexdigest()[:32] == digest


def test_unknown_names_are_refused():
    with pytest.raises(ExchangeError, match=r"'FOO' is not listed.*BTCUSDT"):
        worlds.bars("planted", "FOO", START, END, 7)
    with pytest.raises(ExchangeError, match=r"unknown synthetic world 'mars'"):
        worlds.bars("mars", "BTCUSDT", START, END, 7)
