"""What is refused is kept whole, with a report that any reader can open."""

import json
import multiprocessing
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.market.batches import START, candles
from xrl import columns as c
from xrl.market import quarantine as q

FAILURE = q.Failure(
    "low is positive", 2, START.isoformat(), [{"timestamp": START.isoformat(), "low": None}], "stop"
)


def test_a_refused_batch_is_kept_with_its_reports(tmp_path: Path):
    frame = candles()
    folder = q.put_away(tmp_path, "BTCUSDT", "1h", frame, (FAILURE,))
    assert folder == tmp_path / "BTCUSDT" / "1h" / "20240301T0000"
    assert sorted(path.name for path in folder.iterdir()) == ["batch.parquet", "report.json", "report.md"]
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "batch.parquet"), frame)
    assert json.loads((folder / "report.json").read_text()) == {
        "symbol": "BTCUSDT", "kind": "1h", "rows": 72, "failures": [FAILURE._asdict()],
    }  # fmt: skip
    page = (folder / "report.md").read_text()
    assert "# BTCUSDT 1h: 72 rows refused" in page and "## low is positive" in page
    assert "stop, broken by 2 row(s), first at 2024-03-01T00:00:00+00:00." in page
    assert (folder / "../../../data_docs/index.html").resolve() == tmp_path / q.DOCS_INDEX


def test_it_takes_the_place_of_an_earlier_one_as_a_whole(tmp_path: Path):
    first = q.put_away(tmp_path, "BTCUSDT", "1h", candles(), (FAILURE,))
    (first / "note.txt").write_text("looked at")
    again = q.put_away(tmp_path, "BTCUSDT", "1h", candles(hours=3), (FAILURE,))
    assert again == first and not (first / "note.txt").exists()
    assert len(pd.read_parquet(again / "batch.parquet")) == 3
    assert [path.name for path in again.parent.iterdir()] == ["20240301T0000"]


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (candles().iloc[::-1], "20240301T0000"),
        (candles().assign(timestamp=pd.NaT), "no-time"),
        (candles().drop(columns=c.TIMESTAMP), "no-time"),
        (candles().assign(timestamp=candles()[c.TIMESTAMP].dt.tz_convert("Asia/Tokyo")), "20240301T0000"),
        (pd.DataFrame({c.TIMESTAMP: ["yesterday", 7]}), "no-time"),
        (pd.DataFrame([[1, 2]], columns=[c.TIMESTAMP, c.TIMESTAMP]), "no-time"),
        (pd.DataFrame(), "no-time"),
        (pd.DataFrame({0: [{"a": 1}, None]}), "no-time"),
    ],
)
def test_any_frame_can_be_put_away(frame: pd.DataFrame, name: str, tmp_path: Path):
    folder = q.put_away(tmp_path, "BTCUSDT", "1h", frame, (FAILURE,))
    assert folder.name == name
    assert len(pd.read_parquet(folder / "batch.parquet")) == len(frame)


def test_samples_are_valid_json_whatever_they_hold():
    rows = pd.DataFrame(
        {
            c.TIMESTAMP: [START, pd.NaT],
            "low": [np.nan, np.inf],
            "high": [-np.inf, 2.5],
            "odd": [{"a": 1}, None],
            "trades": [3, 4],
        }
    )
    assert json.loads(json.dumps(q.sample(rows), allow_nan=False)) == [
        {
            "timestamp": "2024-03-01T00:00:00+00:00",
            "low": None,
            "high": "-inf",
            "odd": "{'a': 1}",
            "trades": 3,
        },
        {"timestamp": None, "low": "inf", "high": 2.5, "odd": None, "trades": 4},
    ]


def test_the_first_time_is_that_of_the_first_row_that_has_one():
    frame = candles(hours=3)
    assert q.first_time(frame.iloc[::-1]) == "2024-03-01T02:00:00+00:00"
    assert q.first_time(frame.assign(timestamp=frame[c.TIMESTAMP].where(frame.index > 0))) == (
        "2024-03-01T01:00:00+00:00"
    )
    assert q.first_time(frame.drop(columns=c.TIMESTAMP)) is None


def test_the_index_is_newest_first_and_its_links_lead_to_pages():
    page = q.index_page(
        [
            ("BTCUSDT-1h", "20240301T0000", "20260101T000000Z", "m"),
            ("A B&C-1h", "no-time", "20270101T000000Z", "m"),
        ]
    )
    assert page.index("A B&amp;C-1h") < page.index("BTCUSDT-1h")
    assert 'href="validations/A%20B%26C-1h/no-time/20270101T000000Z/m.html"' in page


def _hold(folder: Path, log: Path) -> None:
    with q.locked(folder):
        with log.open("a") as stream:
            stream.write("in ")
        time.sleep(0.05)
        with log.open("a") as stream:
            stream.write("out ")


def test_one_process_at_a_time_holds_a_folder(tmp_path: Path):
    log = tmp_path / "log"
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_hold, args=(tmp_path, log)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert log.read_text() == "in out " * 4


def test_messages_name_rule_count_time_and_row(tmp_path: Path):
    verdict = q.Verdict(False, (FAILURE,), tmp_path)
    assert verdict.message("BTCUSDT", "1h").splitlines()[:2] == [
        "BTCUSDT 1h refused:",
        "  rule 'low is positive' (stop) broken by 2 row(s), first at 2024-03-01T00:00:00+00:00: "
        "timestamp 2024-03-01T00:00:00+00:00",
    ]
