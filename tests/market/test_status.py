"""Truths about what `xrl market status` is told."""

from pathlib import Path

import pandas as pd
import pytest

from tests.market.conftest import utc
from xrl import columns as c
from xrl.market.journal import Entry, Journal
from xrl.market.spans import Span
from xrl.market.status import next_due, status
from xrl.market.store import Store
from xrl.market.tables import table

NOW = utc("2024-06-01 10:20")


def rows(kind: str, *spans: tuple[str, str]) -> pd.DataFrame:
    step = table(kind).step or pd.Timedelta(hours=8)
    times = pd.concat(
        [pd.Series(pd.date_range(a, b, freq=step, inclusive="left", tz="UTC")) for a, b in spans]
    )
    frame = pd.DataFrame({c.TIMESTAMP: times.astype(c.TIME_DTYPE)})
    return frame.assign(**dict.fromkeys(table(kind).columns[1:], 1.0)).reset_index(drop=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def test_an_empty_market_has_no_status(store: Store, journal: Journal):
    assert status(store, journal, NOW) == []


def test_rows_first_last_and_gaps_of_each_kind_come_from_the_rows(store: Store, journal: Journal):
    store.write(
        "BTCUSDT", "1h", rows("1h", ("2024-05-30", "2024-05-31 05:00"), ("2024-05-31 08:00", "2024-06-01"))
    )
    store.write(
        "BTCUSDT",
        "funding",
        rows("funding", ("2024-05-29", "2024-05-30"), ("2024-05-30 08:00", "2024-06-01")),
    )
    (found,) = status(store, journal, NOW)
    candles, funding = found.kinds
    assert candles[:4] == ("1h", 45, utc("2024-05-30"), utc("2024-05-31 23:00"))
    assert candles.gaps == (Span(utc("2024-05-31 05:00"), utc("2024-05-31 08:00")),)
    assert funding[:4] == ("funding", 8, utc("2024-05-29"), utc("2024-05-31 16:00"))
    assert funding.gaps == (Span(utc("2024-05-29 17:00"), utc("2024-05-30 08:00")),)


def test_the_journal_adds_what_rows_cannot_tell(store: Store, journal: Journal):
    store.write("BTCUSDT", "1h", rows("1h", ("2024-05-30", "2024-06-01")))
    said = "bybit does not publish it"
    entry = Entry(4, 2, unavailable={"taker_volume": said}, last_pull=NOW, last_validation=utc("2024-05-31"))
    journal.update("BTCUSDT", lambda _: entry)
    journal.update("NEWUSDT", lambda _: Entry(last_pull=NOW))
    found, new = status(store, journal, NOW)
    assert (found.duplicates, found.corrected) == (4, 2)
    assert (found.last_pull, found.last_validation) == (NOW, utc("2024-05-31"))
    assert [(one.kind, one.rows, one.unavailable) for one in found.kinds] == [
        ("1h", 48, None), ("taker_volume", 0, said),
    ]  # fmt: skip
    assert (new.symbol, new.kinds, new.next_pull_due) == ("NEWUSDT", (), NOW)


def test_a_damaged_file_is_listed_its_rows_do_not_count_and_a_pull_is_due(store: Store, journal: Journal):
    store.write("BTCUSDT", "1h", rows("1h", ("2024-04-30", "2024-06-01")))
    path = store.root / "BTCUSDT" / "1h" / "2024-04.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    (found,) = status(store, journal, NOW)
    assert found.kinds[0].damaged == (path,)
    assert found.kinds[0].rows == 31 * 24
    assert found.next_pull_due == NOW


def test_the_next_pull_is_due_after_midnight_or_now_if_a_day_lacks():
    tomorrow = utc("2024-06-02 00:10")
    assert next_due(utc("2024-06-01"), None, NOW) == tomorrow
    assert next_due(utc("2024-06-01 10:00"), None, NOW) == tomorrow
    assert next_due(utc("2024-05-31 23:00"), None, NOW) == NOW
    assert next_due(None, None, NOW) == NOW
    just_after_midnight = utc("2024-06-02 00:05")  # the pull of 1 June starts in five minutes
    assert next_due(utc("2024-06-01"), None, just_after_midnight) == tomorrow


def test_bars_made_of_finer_ones_make_no_pull_due(store: Store, journal: Journal):
    store.write("BTCUSDT", "1h", rows("1h", ("2024-05-30", "2024-06-01")))
    store.write("BTCUSDT", "4h", rows("4h", ("2024-05-30", "2024-05-31")))
    assert status(store, journal, NOW)[0].next_pull_due == utc("2024-06-02 00:10")


def test_a_delisted_symbol_is_due_until_its_last_bar_is_there():
    ended = utc("2024-05-20 09:00")
    assert next_due(utc("2024-05-20 09:00"), ended, NOW) is None
    assert next_due(utc("2024-05-20 05:00"), ended, NOW) == NOW
