"""Truths about a whole pull: server, ccxt, Great Expectations, store."""

from pathlib import Path

import pandas as pd
import pytest

from tests.market.conftest import Sandbox, serving, utc
from tests.market.test_store import contents
from xrl import columns as c
from xrl.errors import DataError
from xrl.market.exchange import Exchange
from xrl.market.pull import Pulled, missing_hours, missing_spans, pull
from xrl.market.store import Store
from xrl.sandbox import worlds
from xrl.sandbox.venue import Venue


def pulled(sandbox: Sandbox, root: Path, start: str, end: str, world: str = "planted") -> Pulled:
    with Exchange(sandbox.world(world)) as exchange:
        return pull(exchange, Store(root), root / "bad", "BTCUSDT", (utc(start), utc(end)))


def test_missing_spans_are_whole_and_in_order():
    hours = pd.Series(pd.date_range("2024-01-01", periods=10, freq="h", tz="UTC", unit="ms"))
    stored = hours.drop(index=[0, 4, 5, 9])
    spans = missing_spans(stored, utc("2024-01-01"), utc("2024-01-01 10:00"))
    assert spans == [
        (utc("2024-01-01 00:00"), utc("2024-01-01 01:00")),
        (utc("2024-01-01 04:00"), utc("2024-01-01 06:00")),
        (utc("2024-01-01 09:00"), utc("2024-01-01 10:00")),
    ]
    assert missing_spans(hours, utc("2024-01-01"), utc("2024-01-01 10:00")) == []


def test_a_pull_stores_what_the_world_holds(sandbox: Sandbox, tmp_path: Path):
    assert pulled(sandbox, tmp_path, "2024-04-20", "2024-06-01") == Pulled(1008, 126, 709, 0)
    stored = Store(tmp_path).read("BTCUSDT", "1h")
    world = worlds.bars("planted", "BTCUSDT", utc("2024-04-20"), utc("2024-06-01"), 7)
    pd.testing.assert_frame_equal(stored, world[list(c.CANDLE)], check_exact=True)


def test_the_same_pull_twice_changes_no_byte(sandbox: Sandbox, tmp_path: Path):
    pulled(sandbox, tmp_path, "2024-05-20", "2024-06-01")
    before = contents(tmp_path)
    assert pulled(sandbox, tmp_path, "2024-05-20", "2024-06-01") == Pulled(0, 0, 0, 0)
    assert contents(tmp_path) == before


def test_pieces_and_back_fill_end_where_one_pull_ends(sandbox: Sandbox, tmp_path: Path):
    pulled(sandbox, tmp_path / "whole", "2024-01-30", "2024-02-03")
    for start, end in (
        ("2024-02-02", "2024-02-03"),
        ("2024-01-30", "2024-01-31"),
        ("2024-01-30", "2024-02-03"),
    ):
        pulled(sandbox, tmp_path / "pieces", start, end)
    assert contents(tmp_path / "whole") == contents(tmp_path / "pieces")


def test_the_future_is_left_out_and_arrives_later(sandbox: Sandbox, tmp_path: Path):
    assert pulled(sandbox, tmp_path, "2024-06-01", "2024-06-02").candles == 10  # the clock says 10:20
    assert missing_hours(Store(tmp_path), "BTCUSDT", (utc("2024-06-01"), utc("2024-06-02"))) == 14
    sandbox.now = utc("2024-06-02 00:00:05")
    assert pulled(sandbox, tmp_path, "2024-06-01", "2024-06-02").candles == 14


def test_before_the_listing_there_is_nothing_and_it_is_said(sandbox: Sandbox, tmp_path: Path):
    assert pulled(sandbox, tmp_path, "2022-12-31", "2023-01-02") == Pulled(24, 3, 0, 24)


class LyingVenue(Venue):
    """A venue whose volumes turned negative."""

    def bars(self, world: str, symbol: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        return super().bars(world, symbol, start_ms, end_ms).assign(volume=-1.0)


def test_a_bad_batch_leaves_accepted_history_as_it_was(sandbox: Sandbox, tmp_path: Path):
    pulled(sandbox, tmp_path, "2024-05-20", "2024-05-25")
    before = contents(tmp_path)
    bad = pytest.raises(DataError, match=r"BTCUSDT 1h: .*volume is not negative.* broken by 120 row")
    with serving(LyingVenue(7)) as lying, bad:
        pulled(lying, tmp_path, "2024-05-20", "2024-05-30")
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"bad"}
