"""Truths about what the exchange knows, before any dialect."""

import pandas as pd
import pytest

from tests.market.conftest import utc
from tests.sandbox.conftest import HOUR_MS, ms
from xrl import columns as c
from xrl.errors import ExchangeError
from xrl.market import tables
from xrl.sandbox import worlds
from xrl.sandbox.venue import Venue

START, END = "2024-02-28 05:00", "2024-03-03"


@pytest.fixture(scope="module")
def venue() -> Venue:
    return Venue(7)


def hours() -> pd.DataFrame:
    return worlds.bars("planted", "LTCUSDT", utc(START), utc(END), 7)


def test_hours_are_the_worlds_own(venue: Venue):
    bars = venue.bars("planted", "LTCUSDT", "1h", ms(START), ms(END))
    pd.testing.assert_frame_equal(bars, hours()[list(c.CANDLE)], check_exact=True)


@pytest.mark.parametrize("timeframe", tables.TIMEFRAMES)
def test_bars_open_within_the_interval(venue: Venue, timeframe: str):
    frame = venue.bars("planted", "LTCUSDT", timeframe, ms(START) + 1, ms(END) + 1)
    step = tables.TIMEFRAMES[timeframe]
    first = utc(START).floor(step) + step
    assert frame[c.TIMESTAMP].tolist() == list(pd.date_range(first, utc(END), freq=step))
    tables.check_schema(frame, timeframe, "bars")
    assert venue.bars("planted", "LTCUSDT", timeframe, ms(END), ms(END)).empty


def test_series_are_those_of_the_hours(venue: Venue):
    bars = hours()
    rates = venue.series("planted", "LTCUSDT", tables.FUNDING, ms(START), ms(END))
    settled = bars.loc[bars[c.FUNDING_RATE].notna(), list(c.FUNDING)]
    pd.testing.assert_frame_equal(rates, settled.reset_index(drop=True), check_exact=True)
    marks = venue.series("planted", "LTCUSDT", tables.OPEN_INTEREST, ms(START), ms(END))
    assert marks[c.OPEN_INTEREST].tolist()[1:] == bars[c.OPEN_INTEREST].tolist()[:-1]  # known an hour later
    takers = venue.series("planted", "LTCUSDT", tables.TAKER_VOLUME, ms(START), ms(END))
    assert takers[c.TAKER_BUY_VOLUME].tolist() == bars[c.TAKER_BUY_VOLUME].tolist()
    both = takers[c.TAKER_BUY_VOLUME] + takers[c.TAKER_SELL_VOLUME]
    assert both.to_numpy() == pytest.approx(bars[c.VOLUME].to_numpy(), abs=1e-9)
    for frame, kind in (
        (rates, tables.FUNDING),
        (marks, tables.OPEN_INTEREST),
        (takers, tables.TAKER_VOLUME),
    ):
        tables.check_schema(frame, kind, kind)


def test_the_open_bar_of_a_replay_stands_on_the_way_of_its_last_hour(replay_dir):
    venue = Venue(7, replay_dir)
    (first, second, third) = venue.bars(
        "replay", "BAREUSDT", "1h", ms("2024-06-01 08:00"), ms("2024-06-01 11:00")
    ).itertuples(index=False)
    now = ms("2024-06-01 10:15")
    (bar,) = venue.unclosed("replay", "BAREUSDT", "4h", now).itertuples(index=False)
    close = round(third.open + (third.close - third.open) / 4, 6)
    assert bar.timestamp == utc("2024-06-01 08:00")
    assert (bar.open, bar.close) == (first.open, close)
    assert bar.high == max(first.high, second.high, third.open, close)
    assert bar.low == min(first.low, second.low, third.open, close)
    assert bar.volume == pytest.approx(first.volume + second.volume + third.volume / 4, abs=0.002)
    assert pd.isna(bar.trades)


def test_at_its_very_open_a_bar_is_not_there_yet(venue: Venue):
    assert venue.unclosed("planted", "LTCUSDT", "1h", ms(START)).empty
    assert len(venue.unclosed("planted", "LTCUSDT", "1h", ms(START) + 1)) == 1
    assert len(venue.unclosed("planted", "LTCUSDT", "4h", ms(START))) == 1


def test_unknown_names_are_refused(venue: Venue):
    with pytest.raises(ExchangeError, match="'FOO' is not listed in planted"):
        venue.bars("planted", "FOO", "1h", 0, HOUR_MS)
    with pytest.raises(ExchangeError, match="'FOO' is not listed in random_walk"):
        venue.series("random_walk", "FOO", tables.FUNDING, 0, HOUR_MS)
    with pytest.raises(ExchangeError, match="replays no folder"):
        venue.bars("replay", "BTCUSDT", "1h", 0, HOUR_MS)
