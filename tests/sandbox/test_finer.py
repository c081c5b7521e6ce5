"""Truths about the minutes of the synthetic worlds."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrl import columns as c
from xrl.errors import ExchangeError
from xrl.market import tables
from xrl.market.resample import resample
from xrl.sandbox import finer, worlds
from xrl.sandbox.venue import Venue

MINUTES_PER_YEAR = 365 * 1440


def time(minute: int) -> pd.Timestamp:
    return worlds.WORLD_START + minute * finer.MINUTE


@pytest.mark.parametrize("symbol", worlds.COINS)
@pytest.mark.parametrize("world", worlds.SYNTHETIC)
def test_sixty_minutes_are_the_hour_bit_for_bit(world: str, symbol: str):
    start, end = pd.Timestamp("2024-02-28 05:00", tz="UTC"), pd.Timestamp("2024-04-02", tz="UTC")
    minutes = finer.minutes(world, symbol, start, end, 7)
    hours = worlds.bars(world, symbol, start, end, 7)[list(c.CANDLE)]
    tables.check_schema(minutes, "1m", "minutes")
    pd.testing.assert_frame_equal(resample(minutes, "1h", "1m"), hours, check_exact=True)


@pytest.mark.parametrize("timeframe", [name for name in tables.TIMEFRAMES if name not in ("1m", "1h")])
def test_every_timeframe_is_made_of_the_same_minutes(timeframe: str):
    venue, minute = Venue(7), 60_000
    start = int(pd.Timestamp("2024-02-28", tz="UTC").timestamp() * 1000)
    end = start + 4 * 1440 * minute
    bars = venue.bars("planted", "XRPUSDT", timeframe, start, end)
    minutes = venue.bars("planted", "XRPUSDT", "1m", start, end)
    assert len(bars) * tables.TIMEFRAMES[timeframe] == pd.Timedelta(days=4)
    pd.testing.assert_frame_equal(bars, resample(minutes, timeframe, "1m"), check_exact=True)


@settings(max_examples=15, deadline=None)
@given(
    first=st.integers(0, 2 * MINUTES_PER_YEAR),
    rows=st.integers(1, 10_000),
    before=st.integers(0, 10_000),
    more=st.integers(0, 10_000),
    seed=st.integers(0, 3),
)
def test_a_longer_world_begins_with_the_shorter_one(first: int, rows: int, before: int, more: int, seed: int):
    """Any cut is a cut of any longer interval around it, whatever has been drawn before."""
    finer._block.cache_clear()
    cut = finer.minutes("planted", "ETHUSDT", time(first), time(first + rows), seed)
    finer._block.cache_clear()
    begin = max(0, first - before)
    longer = finer.minutes("planted", "ETHUSDT", time(begin), time(first + rows + more), seed)
    assert len(cut) == rows and cut[c.TIMESTAMP].iloc[0] == time(first)
    inside = longer.iloc[first - begin : first - begin + rows].reset_index(drop=True)
    pd.testing.assert_frame_equal(cut, inside, check_exact=True)


@pytest.mark.parametrize("symbol", worlds.COINS)
def test_every_minute_is_a_possible_candle(symbol: str):
    start = pd.Timestamp("2024-01-01", tz="UTC")
    bars = finer.minutes("planted", symbol, start, start + pd.Timedelta(days=40), 7)
    assert (bars[c.LOW] > 0).all()
    assert (bars[c.HIGH] >= bars[[c.OPEN, c.CLOSE]].max(axis=1)).all()
    assert (bars[c.LOW] <= bars[[c.OPEN, c.CLOSE]].min(axis=1)).all()
    assert (bars[c.VOLUME] > 0).all() and (bars[c.TRADES] > 0).all()
    assert (bars[c.TAKER_BUY_VOLUME] <= bars[c.VOLUME]).all()
    assert (bars[c.TAKER_BUY_QUOTE_VOLUME] <= bars[c.QUOTE_VOLUME]).all()
    assert (bars[c.OPEN].iloc[1:].to_numpy() == bars[c.CLOSE].iloc[:-1].to_numpy()).all()
    moves = np.log(bars[c.CLOSE]).diff()
    hours = np.log(resample(bars, "1h", "1m")[c.CLOSE]).diff()
    assert moves.std() * np.sqrt(60) == pytest.approx(hours.std(), rel=0.1)  # neither smooth nor wild
    assert ((bars[c.HIGH] == bars[c.LOW]).mean()) < 0.001  # nothing that looks like a frozen feed


def test_a_minute_belongs_to_an_interval_that_its_open_lies_in():
    half = pd.Timedelta(seconds=30)
    bars = finer.minutes("planted", "BTCUSDT", time(5) - half, time(7) + half, 7)
    assert bars[c.TIMESTAMP].tolist() == [time(5), time(6), time(7)]
    assert finer.minutes("planted", "BTCUSDT", time(5), time(7), 7)[c.TIMESTAMP].tolist() == [
        time(5),
        time(6),
    ]


def test_the_edges_of_time_and_unknown_names():
    start = worlds.WORLD_START
    assert finer.minutes("planted", "BTCUSDT", start - worlds.HOUR, start, 7).empty
    first = finer.minutes("planted", "BTCUSDT", start - worlds.HOUR, start + finer.MINUTE, 7)
    assert first[c.TIMESTAMP].tolist() == [start] and first[c.OPEN].tolist() == [16500.0]
    with pytest.raises(ExchangeError, match="'FOO' is not listed"):
        finer.minutes("planted", "FOO", start, start + worlds.HOUR, 7)
