"""Truths about what pulls remember beside the rows."""

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.market.conftest import utc
from xrl.market.journal import Entry, Journal
from xrl.market.spans import Span

ENTRY = Entry(
    duplicates=3,
    corrected=1,
    holes={"1h": (Span(utc("2024-05-20 05:00"), utc("2024-05-20 07:00")),)},
    unavailable={"taker_volume": "bybit does not publish it"},
    last_pull=utc("2024-06-01 00:10"),
    last_validation=utc("2024-06-01 00:10"),
    ends_at=None,
)


def test_a_symbol_that_was_never_pulled_has_an_empty_entry(tmp_path: Path):
    journal = Journal(tmp_path / "journal")
    assert journal.read("BTCUSDT") == Entry() and journal.symbols() == ()
    assert not (tmp_path / "journal").exists()


def test_an_entry_comes_back_as_it_was_and_concerns_its_symbol_alone(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.update("BTCUSDT", lambda _: ENTRY)
    assert journal.read("BTCUSDT") == ENTRY and journal.read("ETHUSDT") == Entry()
    journal.update("BTCUSDT", lambda entry: replace(entry, duplicates=entry.duplicates + 2))
    assert journal.read("BTCUSDT") == replace(ENTRY, duplicates=5)
    assert journal.symbols() == ("BTCUSDT",)
    assert [path.name for path in tmp_path.iterdir()] == ["BTCUSDT.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"holes": {}}', '{"holes": {"1h": [["soon", "later"]]}}'])
def test_what_is_no_journal_begins_anew_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
):
    journal = Journal(tmp_path)
    (tmp_path / "BTCUSDT.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert journal.read("BTCUSDT") == Entry()
    assert "BTCUSDT.json does not read as a journal" in caplog.text
    journal.update("BTCUSDT", lambda _: ENTRY)
    assert journal.read("BTCUSDT") == ENTRY


_COUNTING = """
import sys; from dataclasses import replace; from pathlib import Path
from xrl.market.journal import Journal
journal = Journal(Path(sys.argv[1]))
for _ in range(40):
    journal.update("BTCUSDT", lambda entry: replace(entry, duplicates=entry.duplicates + 1))
"""


def test_two_processes_that_count_at_once_lose_no_count(tmp_path: Path):
    root = tmp_path / "journal"
    writers = [subprocess.Popen([sys.executable, "-c", _COUNTING, str(root)]) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert Journal(root).read("BTCUSDT").duplicates == 80
