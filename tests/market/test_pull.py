"""Truths about a whole pull: server, ccxt, repair, Great Expectations, store, in three dialects."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

from tests.market.conftest import SHARED_MARKET, Sandbox, serving, utc
from tests.market.test_store import contents
from xrl import columns as c
from xrl.config import PullParams, ValidationParams, load_config
from xrl.errors import ConfigError, ExchangeError
from xrl.market import spans
from xrl.market.exchange import Exchange
from xrl.market.journal import Journal
from xrl.market.pull import Order, Outcome, Places, Watch, pull
from xrl.market.spans import Span
from xrl.market.store import Store
from xrl.market.tables import FUNDING, OPEN_INTEREST, TAKER_VOLUME, Kind
from xrl.sandbox.venue import Venue

ROOT = Path(__file__).parents[2]
CONFIG = load_config(ROOT / "params.yaml")
VENUES = ("binance", "bybit", "okx")
Misbehave = Callable[..., None]


def pulled(
    sandbox: Sandbox,
    root: Path,
    start: str,
    end: str,
    *symbols: str,
    venue: str = "binance",
    world: str = "planted",
    timeframe: Kind = "1h",
    rules: ValidationParams = CONFIG.validation,
    watch: Watch | None = None,
    **params: Any,
) -> dict[str, Outcome]:
    """A pull into `root`/store, without patience."""
    order = Order(symbols or ("BTCUSDT",), timeframe, utc(start), utc(end))
    with Exchange(venue, sandbox.world(world), waits_s=(0.01, 0.01), timeout_s=5) as exchange:
        wanted: PullParams = CONFIG.pull.model_copy(update=params)
        return pull(exchange, places(root), order, wanted, rules, watch, pause=lambda _: None)


def places(root: Path) -> Places:
    return Places(Store(root / "store"), root / "bad", root / "journal")


def stored(root: Path, kind: Kind = "1h", symbol: str = "BTCUSDT") -> pd.DataFrame:
    return Store(root / "store").read(symbol, kind)


def files(root: Path) -> dict[str, bytes]:
    return contents(root / "store")


def world_rows(
    kind: Kind, start: str, end: str, symbol: str = "BTCUSDT", world: str = "planted"
) -> pd.DataFrame:
    """What the planted world has of an interval."""
    first, last = (spans.ms(time) for time in spans.due(kind, utc(start), utc(end)))
    venue = Venue(7)
    if kind in (FUNDING, OPEN_INTEREST, TAKER_VOLUME):
        frame = venue.series(world, symbol, kind, first, last)
        return frame.assign(**{c.TIMESTAMP: frame[c.TIMESTAMP].dt.floor("min").astype(c.TIME_DTYPE)})
    return venue.bars(world, symbol, kind, first, last)


def equal(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right.reset_index(drop=True), check_exact=True)


@pytest.fixture
def misbehave(sandbox: Sandbox) -> Iterator[Misbehave]:
    """`misbehave("missing", on="klines", times=3)`: the sandbox's one fault from now on; None ends it."""

    def put(kind: str | None, **about: Any) -> None:
        faults = [] if kind is None else [{"kind": kind, "times": None, **about}]
        script = json.dumps({"seed": 1, "faults": faults})
        assert requests.put(f"{sandbox.url}/_faults", data=script, timeout=10).status_code == 200

    yield put
    requests.delete(f"{sandbox.url}/_faults", timeout=10)


# What is stored


@pytest.mark.parametrize("venue", VENUES)
def test_a_pull_stores_what_the_world_holds_in_every_dialect(sandbox: Sandbox, tmp_path: Path, venue: str):
    outcome = pulled(sandbox, tmp_path, "2024-05-10", "2024-06-01", venue=venue)["BTCUSDT"]
    assert outcome.complete and (outcome.corrected, outcome.duplicates) == (0, 0)
    for kind in ("1h", FUNDING, OPEN_INTEREST, TAKER_VOLUME):
        rows, expected = stored(tmp_path, kind), world_rows(kind, "2024-05-10", "2024-06-01")
        if (venue, kind) == ("bybit", TAKER_VOLUME):
            assert rows.empty and outcome.unavailable == {
                kind: "BTCUSDT taker_volume: bybit does not publish it"
            }
            continue
        assert outcome.added[kind] == len(expected) > 0
        sent = [name for name in rows.columns if rows[name].notna().any()]
        assert set(sent) >= set(c.OHLCV if kind == "1h" else expected.columns) - {c.OPEN_INTEREST_VALUE}
        equal(rows[sent], expected[sent])  # what a venue does not send is absent, never 0


@pytest.mark.parametrize("timeframe", ["15m", "4h", "1d"])
def test_bars_of_other_lengths_are_pulled_the_same_way(sandbox: Sandbox, tmp_path: Path, timeframe: str):
    outcome = pulled(sandbox, tmp_path, "2024-05-20", "2024-05-25", timeframe=timeframe)["BTCUSDT"]
    assert outcome.complete
    equal(stored(tmp_path, timeframe), world_rows(timeframe, "2024-05-20", "2024-05-25"))
    equal(stored(tmp_path, OPEN_INTEREST), world_rows(OPEN_INTEREST, "2024-05-20", "2024-05-25"))


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        ("2022-11-01", "2022-12-01", "it was listed on 2023-01-01 00:00 UTC"),
        ("2024-07-01", "2024-07-02", "bars have closed for good until 2024-06-01 10:00 UTC"),
    ],
)
def test_an_interval_that_can_have_no_bars_is_said(
    sandbox: Sandbox, tmp_path: Path, start: str, end: str, why: str
):
    outcome = pulled(sandbox, tmp_path, start, end)["BTCUSDT"]
    assert outcome.unavailable["1h"] == f"BTCUSDT: nothing of this interval is there: {why}"


class Spiked(Venue):
    """A venue whose bar of 2024-05-30 23:00 is 60 % too high."""

    def bars(self, *asked: Any) -> pd.DataFrame:
        frame = super().bars(*asked)
        at = frame[c.TIMESTAMP] == utc("2024-05-30 23:00")
        return frame.assign(
            high=frame[c.HIGH].where(~at, 1.6 * frame[c.HIGH]),
            close=frame[c.CLOSE].where(~at, 1.6 * frame[c.CLOSE]),
        )


def test_a_spike_on_the_last_bar_shows_when_the_next_one_comes(tmp_path: Path):
    with serving(Spiked(7)) as spiked:
        assert pulled(spiked, tmp_path, "2024-05-25", "2024-05-31")["BTCUSDT"].added["1h"] == 144
        outcome = pulled(spiked, tmp_path, "2024-05-31", "2024-06-01")["BTCUSDT"]
    assert "price does not spike and return" in "".join(outcome.refused)


class Counting(Watch):
    def __init__(self) -> None:
        self.rows: Mapping[str, int] = {}
        self.pages, self.steps = 0, dict[str, float]()

    def planned(self, rows: Mapping[str, int]) -> None:
        self.rows = rows

    def arrived(self, symbol: str, rows: int) -> None:
        self.pages += rows

    def spent(self, step: str, seconds: float) -> None:
        self.steps[step] = self.steps.get(step, 0.0) + seconds


def test_the_same_pull_twice_changes_no_byte_and_asks_for_recent_funding_alone(
    sandbox: Sandbox, tmp_path: Path
):
    pulled(sandbox, tmp_path, "2024-05-20", "2024-06-01")
    before, watch = files(tmp_path), Counting()
    outcome = pulled(sandbox, tmp_path, "2024-05-20", "2024-06-01", watch=watch)["BTCUSDT"]
    assert outcome.complete and set(outcome.added.values()) == {0}
    assert files(tmp_path) == before
    assert watch.rows["BTCUSDT"] <= 4
    assert "validate" not in watch.steps  # nothing new, nothing to judge


def test_who_looks_on_is_told_rows_and_seconds(sandbox: Sandbox, tmp_path: Path):
    watch = Counting()
    pulled(sandbox, tmp_path, "2024-05-20", "2024-06-01", "BTCUSDT", "ETHUSDT", watch=watch)
    assert watch.rows == {"BTCUSDT": 36 + 3 * 288, "ETHUSDT": 36 + 3 * 288}
    assert watch.pages >= sum(watch.rows.values())
    assert set(watch.steps) == {"plan", "fetch", "import", "validate", "store"}


def test_pieces_and_back_fill_end_where_one_pull_ends(sandbox: Sandbox, tmp_path: Path):
    pulled(sandbox, tmp_path / "whole", "2024-05-20", "2024-05-24")
    for start, end in (
        ("2024-05-22", "2024-05-23"),
        ("2024-05-20", "2024-05-21"),
        ("2024-05-20", "2024-05-24"),
    ):
        assert pulled(sandbox, tmp_path / "pieces", start, end)["BTCUSDT"].complete
    assert files(tmp_path / "whole") == files(tmp_path / "pieces")


def test_small_batches_and_one_connection_end_where_a_large_one_ends(sandbox: Sandbox, tmp_path: Path):
    interval, symbols = ("2024-01-20", "2024-06-01"), ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    pulled(sandbox, tmp_path / "large", *interval, *symbols)
    pulled(sandbox, tmp_path / "small", *interval, *symbols, batch_rows=1000, connections=1)
    assert files(tmp_path / "large") == files(tmp_path / "small")


def test_a_bar_is_stored_once_it_has_been_closed_for_a_minute(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    sandbox.now = utc("2024-06-01 10:00:59")
    with caplog.at_level(logging.INFO):
        outcome = pulled(sandbox, tmp_path, "2024-06-01", "2024-06-02")["BTCUSDT"]
    assert outcome.complete and outcome.added["1h"] == 9
    assert "bars have closed for good until 2024-06-01 09:00" in caplog.text
    sandbox.now = utc("2024-06-01 10:01")
    assert pulled(sandbox, tmp_path, "2024-06-01", "2024-06-02")["BTCUSDT"].added["1h"] == 1
    sandbox.now = utc("2024-06-02 00:10")
    assert pulled(sandbox, tmp_path, "2024-06-01", "2024-06-02")["BTCUSDT"].added["1h"] == 14


def test_the_mark_at_a_bars_close_comes_with_the_bar(sandbox: Sandbox, tmp_path: Path):
    pulled(sandbox, tmp_path, "2024-05-31", "2024-06-01")
    marks = stored(tmp_path, OPEN_INTEREST)[c.TIMESTAMP]
    assert (marks.iloc[0], marks.iloc[-1]) == (utc("2024-05-31 01:00"), utc("2024-06-01 00:00"))


def test_before_the_listing_nothing_is_missing(sandbox: Sandbox, tmp_path: Path):
    outcome = pulled(sandbox, tmp_path, "2022-12-30", "2023-01-02", venue="bybit")["BTCUSDT"]
    assert outcome.complete
    assert outcome.added == {FUNDING: 3, OPEN_INTEREST: 24, "1h": 24}


def test_what_a_venue_keeps_for_a_month_adds_up_day_by_day_and_the_limit_is_said(
    sandbox: Sandbox, tmp_path: Path
):
    outcome = pulled(sandbox, tmp_path, "2024-04-25", "2024-06-01")["BTCUSDT"]
    assert outcome.complete
    oldest = "2024-05-02 11:20"  # 30 days before now, and an hour to spare
    assert f"cannot be had: binance keeps them since {oldest} only" in outcome.unavailable[OPEN_INTEREST]
    assert stored(tmp_path, OPEN_INTEREST)[c.TIMESTAMP].iloc[0] == utc("2024-05-02 12:00")
    sandbox.now = utc("2024-06-20 00:10")
    outcome = pulled(sandbox, tmp_path, "2024-06-01", "2024-06-20")["BTCUSDT"]
    assert outcome.complete and outcome.unavailable == {}
    limit = Journal(tmp_path / "journal").read("BTCUSDT").unavailable[OPEN_INTEREST]
    assert limit == "BTCUSDT open-interest marks: binance keeps them since 2024-05-21 01:10 only"
    kept = stored(tmp_path, OPEN_INTEREST)[c.TIMESTAMP]
    assert len(kept) == len(pd.date_range("2024-05-02 12:00", "2024-06-20 00:00", freq="h"))


# What lacks, repeats, contradicts


@pytest.mark.parametrize(
    "kind", ["missing", "short_page", "empty_page", "out_of_order", "repeated", "jitter"]
)
def test_a_passing_disturbance_of_rows_leaves_no_trace(
    sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave, kind: str
):
    pulled(sandbox, tmp_path / "good", "2024-05-20", "2024-06-01")
    misbehave(kind, times=3)
    outcome = pulled(sandbox, tmp_path / "ours", "2024-05-20", "2024-06-01")["BTCUSDT"]
    assert outcome.complete
    assert files(tmp_path / "ours") == files(tmp_path / "good")
    assert (outcome.duplicates > 0) == (kind == "repeated")


@pytest.mark.parametrize("kind", ["contradictory", "null_values"])
def test_rows_that_contradict_themselves_or_lack_a_figure_are_asked_for_again(
    sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave, kind: str
):
    pulled(sandbox, tmp_path / "good", "2024-05-20", "2024-06-01")
    for on in ("klines", "funding", "open_interest", "taker_volume"):
        misbehave(kind, on=on, times=1, args={"rows": 5})
        outcome = pulled(sandbox, tmp_path / on, "2024-05-20", "2024-06-01")["BTCUSDT"]
        assert outcome.complete, outcome.sentences()
        assert files(tmp_path / on) == files(tmp_path / "good")


def test_rows_that_go_on_contradicting_themselves_are_refused_and_named(
    sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave
):
    misbehave("contradictory", on="klines", symbol="BTCUSDT", args={"rows": 1000})
    outcomes = pulled(sandbox, tmp_path, "2024-05-30", "2024-06-01", "BTCUSDT", "ETHUSDT")
    bad, good = outcomes["BTCUSDT"], outcomes["ETHUSDT"]
    assert good.complete and len(stored(tmp_path, symbol="ETHUSDT")) == 48
    assert not bad.complete and stored(tmp_path).empty
    assert "rule 'time is not repeated'" in "\n".join(bad.sentences())
    assert list((tmp_path / "bad" / "BTCUSDT" / "1h").glob("*/batch.parquet"))


class Gappy(Venue):
    """A venue that has no bars and marks from 05:00 to 07:00 on 30 May."""

    def bars(self, *asked: Any) -> pd.DataFrame:
        return _without(super().bars(*asked))

    def series(self, *asked: Any) -> pd.DataFrame:
        return _without(super().series(*asked))


def _without(frame: pd.DataFrame) -> pd.DataFrame:
    time = frame[c.TIMESTAMP]
    return frame[(time < utc("2024-05-30 05:00")) | (time >= utc("2024-05-30 08:00"))]


def test_rows_around_a_hole_are_kept_the_hole_is_loud_and_a_later_pull_fills_it(
    sandbox: Sandbox, tmp_path: Path
):
    hole = Span(utc("2024-05-30 05:00"), utc("2024-05-30 08:00"))
    with serving(Gappy(7)) as gappy:
        outcome = pulled(gappy, tmp_path, "2024-05-30", "2024-05-31")["BTCUSDT"]
    assert not outcome.complete
    assert outcome.missing == {"1h": [hole], OPEN_INTEREST: [hole], TAKER_VOLUME: [hole]}
    said = "3 candles (2024-05-30 05:00 to 2024-05-30 07:00) are missing: the venue sent none"
    assert any(sentence.startswith(said) for sentence in outcome.sentences())
    assert len(stored(tmp_path)) == 21
    # the next day's pull is about another interval, and looks after the hole all the same
    outcome = pulled(sandbox, tmp_path, "2024-05-31", "2024-06-01")["BTCUSDT"]
    assert outcome.complete and outcome.added["1h"] == 27 and outcome.holes == {}
    assert Journal(tmp_path / "journal").read("BTCUSDT").holes == {}
    pulled(sandbox, tmp_path / "good", "2024-05-30", "2024-06-01")
    assert files(tmp_path) == files(tmp_path / "good")


def test_a_hole_that_stays_is_loud_in_its_own_interval_and_told_in_others(tmp_path: Path):
    with serving(Gappy(7)) as gappy:
        pulled(gappy, tmp_path, "2024-05-30", "2024-05-31")
        outcome = pulled(gappy, tmp_path, "2024-05-31", "2024-06-01")["BTCUSDT"]
        assert outcome.complete and set(outcome.holes) == {"1h", OPEN_INTEREST, TAKER_VOLUME}
        assert "outside this interval are missing still" in "\n".join(outcome.sentences())
        assert not pulled(gappy, tmp_path, "2024-05-30", "2024-06-01")["BTCUSDT"].complete


def test_missing_bars_can_be_made_a_warning(tmp_path: Path):
    rules = CONFIG.validation.model_copy(update={"severity": {"one bar every step": "warn"}})
    with serving(Gappy(7)) as gappy:
        outcome = pulled(gappy, tmp_path, "2024-05-30", "2024-05-31", rules=rules)["BTCUSDT"]
    assert outcome.complete and set(outcome.missing) == {"1h", OPEN_INTEREST, TAKER_VOLUME}
    assert "3 candles (2024-05-30 05:00 to 2024-05-30 07:00) are missing still" in "\n".join(
        outcome.sentences()
    )


def test_bars_that_come_late_are_missing_until_they_come(
    sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave
):
    sandbox.now = utc("2024-06-01 00:10")
    misbehave("late", args={"minutes": 90})
    outcome = pulled(sandbox, tmp_path / "ours", "2024-05-31", "2024-06-01")["BTCUSDT"]
    assert not outcome.complete
    assert outcome.missing["1h"] == [Span(utc("2024-05-31 22:00"), utc("2024-06-01"))]
    misbehave(None)
    assert pulled(sandbox, tmp_path / "ours", "2024-05-31", "2024-06-01")["BTCUSDT"].complete
    pulled(sandbox, tmp_path / "good", "2024-05-31", "2024-06-01")
    assert files(tmp_path / "ours") == files(tmp_path / "good")


def test_a_corrected_bar_is_taken_over_with_the_next_day_and_counted(
    sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave
):
    sandbox.now = utc("2024-05-31 00:10")
    misbehave("revised", on="klines", args={"rows": 2})
    assert pulled(sandbox, tmp_path / "ours", "2024-05-30", "2024-05-31")["BTCUSDT"].complete
    misbehave(None)
    sandbox.now = utc("2024-06-01 00:10")
    outcome = pulled(sandbox, tmp_path / "ours", "2024-05-31", "2024-06-01")["BTCUSDT"]
    assert outcome.complete and outcome.corrected == 2
    assert Journal(tmp_path / "ours" / "journal").read("BTCUSDT").corrected == 2
    pulled(sandbox, tmp_path / "good", "2024-05-30", "2024-06-01")
    assert files(tmp_path / "ours") == files(tmp_path / "good")


def test_the_journal_counts_what_was_removed_and_says_when(
    sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave
):
    misbehave("repeated", times=2, args={"rows": 5})
    removed = pulled(sandbox, tmp_path, "2024-05-30", "2024-05-31")["BTCUSDT"].duplicates
    misbehave(None)
    pulled(sandbox, tmp_path, "2024-05-31", "2024-06-01")
    entry = Journal(tmp_path / "journal").read("BTCUSDT")
    assert entry.duplicates == removed >= 5
    assert entry.last_pull == entry.last_validation == utc("2024-06-01 10:20")


class Lying(Venue):
    """A venue whose volumes of Bitcoin turned negative."""

    def bars(self, world: str, symbol: str, *asked: Any) -> pd.DataFrame:
        frame = super().bars(world, symbol, *asked)
        return frame.assign(volume=-1.0) if symbol == "BTCUSDT" else frame


def test_a_bad_batch_leaves_accepted_history_and_other_symbols_as_they_are(sandbox: Sandbox, tmp_path: Path):
    pulled(sandbox, tmp_path, "2024-05-20", "2024-05-25")
    before = files(tmp_path)
    with serving(Lying(7)) as lying:
        outcomes = pulled(lying, tmp_path, "2024-05-20", "2024-05-30", "BTCUSDT", "ETHUSDT")
    bad = outcomes["BTCUSDT"]
    assert not bad.complete and outcomes["ETHUSDT"].complete
    assert "BTCUSDT 1h refused" in bad.refused[0] and "volume is not negative" in bad.refused[0]
    after = files(tmp_path)
    assert {name: after[name] for name in before if "/1h/" in name} == {
        name: data for name, data in before.items() if "/1h/" in name
    }
    assert pulled(sandbox, tmp_path, "2024-05-20", "2024-05-30")["BTCUSDT"].added["1h"] == 120


# Files that are damaged


def test_a_damaged_file_is_put_aside_and_its_month_pulled_again(sandbox: Sandbox, tmp_path: Path):
    pulled(sandbox, tmp_path, "2024-05-20", "2024-06-01")
    before = files(tmp_path)
    torn = tmp_path / "store" / "BTCUSDT" / "1h" / "2024-05.parquet"
    os.truncate(torn, 2000)
    outcome = pulled(sandbox, tmp_path, "2024-05-31", "2024-06-01")["BTCUSDT"]
    assert outcome.complete, outcome.sentences()
    assert [path.stat().st_size for path in outcome.mended] == [2000]
    assert "was damaged" in "\n".join(outcome.sentences())
    assert files(tmp_path).keys() == before.keys()
    # May as a whole this time: a file says no longer which of its rows there were
    equal(stored(tmp_path), world_rows("1h", "2024-05-01", "2024-06-01"))
    assert Journal(tmp_path / "journal").read("BTCUSDT").holes == {}


def test_a_month_put_aside_before_an_outage_is_not_forgotten(
    sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave
):
    pulled(sandbox, tmp_path, "2024-05-01", "2024-05-31")
    (tmp_path / "store" / "BTCUSDT" / "1h" / "2024-05.parquet").write_bytes(b"")
    misbehave("server_error", on="klines", times=None)
    assert not pulled(sandbox, tmp_path, "2024-05-30", "2024-05-31")["BTCUSDT"].complete
    misbehave(None)
    assert pulled(sandbox, tmp_path, "2024-05-31", "2024-06-01")["BTCUSDT"].complete
    equal(stored(tmp_path), world_rows("1h", "2024-05-01", "2024-06-01"))


# Symbols and venues that fail


def test_a_symbol_that_is_unknown_stops_none_of_the_others(sandbox: Sandbox, tmp_path: Path):
    outcomes = pulled(sandbox, tmp_path, "2024-05-31", "2024-06-01", "FOOUSDT", "BTCUSDT")
    assert outcomes["BTCUSDT"].complete and not outcomes["FOOUSDT"].complete
    assert "lists no perpetual FOOUSDT" in "\n".join(outcomes["FOOUSDT"].sentences())
    with pytest.raises(ExchangeError, match="lists no perpetual FOOUSDT"):
        pulled(sandbox, tmp_path, "2024-05-31", "2024-06-01", "FOOUSDT")


def test_a_symbol_that_is_not_served_stops_none_of_the_others(
    sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave
):
    misbehave("wrong_shape", on="klines", symbol="BTCUSDT")
    outcomes = pulled(sandbox, tmp_path, "2024-05-31", "2024-06-01", "BTCUSDT", "ETHUSDT")
    assert outcomes["ETHUSDT"].complete and not outcomes["BTCUSDT"].complete
    assert len(outcomes["BTCUSDT"].failures) == 1 and "BTCUSDT 1h: " in outcomes["BTCUSDT"].failures[0]
    assert len(stored(tmp_path, FUNDING)) == 3  # what it is served of is stored


def test_an_outage_ends_the_pull_keeps_what_had_come_and_the_next_goes_on(
    sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave
):
    misbehave("server_error", after=18)
    with pytest.raises(ExchangeError, match="What had arrived before is stored"):
        pulled(sandbox, tmp_path / "ours", "2024-01-01", "2024-06-01", "BTCUSDT", "ETHUSDT", batch_rows=1000)
    kept = len(files(tmp_path / "ours"))
    assert kept > 0
    misbehave(None)
    for root in ("ours", "good"):
        outcomes = pulled(sandbox, tmp_path / root, "2024-01-01", "2024-06-01", "BTCUSDT", "ETHUSDT")
        assert all(outcome.complete for outcome in outcomes.values())
    assert files(tmp_path / "ours") == files(tmp_path / "good")
    assert kept < len(files(tmp_path / "good"))


def test_two_pulls_at_once_end_where_one_ends(sandbox: Sandbox, tmp_path: Path):
    interval = ("2024-04-20", "2024-06-01", "BTCUSDT", "ETHUSDT")
    pulled(sandbox, tmp_path / "good", *interval)
    with ThreadPoolExecutor(2) as both:
        runs = [both.submit(pulled, sandbox, tmp_path / "ours", *interval) for _ in range(2)]
        assert all(outcome.complete for run in runs for outcome in run.result().values())
    assert files(tmp_path / "ours") == files(tmp_path / "good")


def test_an_unknown_timeframe_is_refused(sandbox: Sandbox, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"must be one of 1m, .* received '7h'"):
        pulled(sandbox, tmp_path, "2024-05-02", "2024-05-03", timeframe="7h")


@pytest.mark.parametrize(
    ("timeframe", "start", "end"),
    [
        ("1h", "2024-05-02", "2024-05-02"),
        ("1h", "2024-05-02 00:30", "2024-05-03"),
        ("4h", "2024-05-02", "2024-05-02 05:00"),
    ],
)
def test_an_interval_off_the_grid_is_refused(
    sandbox: Sandbox, tmp_path: Path, timeframe: str, start: str, end: str
):
    with pytest.raises(ConfigError, match=f"on the grid of {timeframe}"):
        pulled(sandbox, tmp_path, start, end, timeframe=timeframe)


_PULL = """
import sys; from pathlib import Path; import pandas as pd
from xrl.config import load_config; from xrl.market.exchange import Exchange
from xrl.market.pull import Order, Places, pull; from xrl.market.store import Store
root, config = Path(sys.argv[1]), load_config(Path(sys.argv[3]))
order = Order(("BTCUSDT",), "1h", pd.Timestamp("2024-05-01", tz="UTC"), pd.Timestamp("2024-06-01", tz="UTC"))
print("ready", flush=True)
with Exchange("binance", sys.argv[2], timeout_s=600) as exchange:
    places = Places(Store(root / "store"), root / "bad", root / "journal")
    pull(exchange, places, order, config.pull, config.validation)
"""


def test_an_interrupt_ends_a_pull_whose_requests_hang(sandbox: Sandbox, tmp_path: Path, misbehave: Misbehave):
    misbehave("stall", on="klines", args={"seconds": 3600})
    command = [
        sys.executable,
        "-c",
        _PULL,
        str(tmp_path),
        sandbox.world("planted"),
        str(ROOT / "params.yaml"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    _wait_until(lambda: requests.get(f"{sandbox.url}/_faults", timeout=10).json()["fired"])
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)  # far less than the request would hang
    assert b"KeyboardInterrupt" in said


def _wait_until(so: Callable[[], object], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# Real history


@pytest.mark.skipif(not SHARED_MARKET.is_dir(), reason="no shared/market beside this checkout")
@pytest.mark.parametrize("venue", VENUES)
def test_six_real_symbols_come_out_of_the_replay_as_they_are_in_the_files(
    sandbox: Sandbox, tmp_path: Path, venue: str
):
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "LTCUSDT")
    sandbox.now = utc("2023-01-01 00:10")
    start, end = "2022-11-01", "2023-01-01"  # SOL was settled every two hours for some days
    outcomes = pulled(sandbox, tmp_path, start, end, *symbols, venue=venue, world="replay")
    for symbol, outcome in outcomes.items():
        print(outcome.sentences())
        for kind, file in (("1h", "1h"), (FUNDING, "funding")):
            source = pd.read_parquet(SHARED_MARKET / f"binance_perp_{symbol}_{file}.parquet")
            inside = (source[c.TIMESTAMP] >= utc(start)) & (source[c.TIMESTAMP] < utc(end))
            rows = stored(tmp_path, kind, symbol)
            equal(rows[list(source.columns)], source[inside])
            assert rows[[name for name in rows.columns if name not in source.columns]].isna().all().all()
