"""Truths about the Parquet store: whole files, idempotent merges, nothing read that was not written."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.conftest import utc
from xrl import columns as c
from xrl.errors import DataError
from xrl.market import disk, monthfile
from xrl.market.rows import to_rows
from xrl.market.store import Store, Written
from xrl.sandbox import worlds


def candles(start: str, end: str) -> pd.DataFrame:
    return worlds.bars("planted", "BTCUSDT", utc(start), utc(end), seed=7)[list(c.CANDLE)]


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_one_file_a_month_and_rows_come_back_as_they_were(tmp_path: Path):
    store, rows = Store(tmp_path), candles("2024-01-30", "2024-03-02")
    assert store.write("BTCUSDT", "1h", rows) == Written(added=len(rows), corrected=0)
    assert sorted(contents(tmp_path)) == [f"BTCUSDT/1h/2024-0{month}.parquet" for month in (1, 2, 3)]
    pd.testing.assert_frame_equal(store.read("BTCUSDT", "1h"), rows, check_exact=True)
    assert store.symbols() == ("BTCUSDT",) and store.kinds("BTCUSDT") == ("1h",)


def test_other_readers_of_parquet_see_the_same_rows(tmp_path: Path):
    rows = candles("2024-01-30", "2024-01-31")
    Store(tmp_path).write("BTCUSDT", "1h", rows)
    path = tmp_path / "BTCUSDT" / "1h" / "2024-01.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(path, partitioning=None), rows, check_exact=True)


def test_a_file_says_what_it_is_in_which_units(tmp_path: Path):
    Store(tmp_path).write("BTCUSDT", "1h", candles("2024-01-30", "2024-01-31"))
    path = tmp_path / "BTCUSDT" / "1h" / "2024-01.parquet"
    said = pq.read_metadata(path).metadata
    assert {name: said[name] for name in (b"symbol", b"kind", b"month", b"schema_version")} == {
        b"symbol": b"BTCUSDT", b"kind": b"1h", b"month": b"2024-01", b"schema_version": b"2",
    }  # fmt: skip
    assert b'"volume": "base coins"' in said[b"units"]
    blank = path.read_bytes().replace(said[b"sha256"], b"0" * 64)
    assert said[b"sha256"].decode() == hashlib.sha256(blank).hexdigest()


def test_the_same_interval_twice_leaves_the_same_bytes_in_any_order(tmp_path: Path):
    rows = candles("2024-01-30", "2024-02-03")
    once, pieces = Store(tmp_path / "a" / "planted"), Store(tmp_path / "b" / "planted")
    once.write("BTCUSDT", "1h", rows)
    pieces.write("BTCUSDT", "1h", rows.iloc[40:])
    pieces.write("BTCUSDT", "1h", rows.iloc[:60].sample(frac=1, random_state=0))
    assert pieces.write("BTCUSDT", "1h", rows) == Written(0, 0)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_an_append_touches_only_its_month(tmp_path: Path):
    store = Store(tmp_path)
    store.write("BTCUSDT", "1h", candles("2024-01-30", "2024-02-03"))
    before = contents(tmp_path)
    store.write("BTCUSDT", "1h", candles("2024-02-03", "2024-02-04"))
    changed = [name for name, data in contents(tmp_path).items() if before[name] != data]
    assert changed == ["BTCUSDT/1h/2024-02.parquet"]


def test_reading_an_interval_is_half_open(tmp_path: Path):
    store = Store(tmp_path)
    store.write("BTCUSDT", "1h", candles("2024-01-30", "2024-03-02"))
    span = utc("2024-01-31 05:00"), utc("2024-03-01")
    time = store.read("BTCUSDT", "1h", *span)[c.TIMESTAMP]
    assert (time.iloc[0], time.iloc[-1]) == (utc("2024-01-31 05:00"), utc("2024-02-29 23:00"))
    assert store.times("BTCUSDT", "1h", *span).equals(pd.DatetimeIndex(time))
    nothing = store.read("ETHUSDT", "funding")
    assert nothing.empty and list(nothing) == list(c.FUNDING)
    assert store.times("ETHUSDT", "funding").empty


def test_the_newest_time_and_what_is_sound_among_damaged_files(tmp_path: Path):
    store = Store(tmp_path)
    assert store.newest("BTCUSDT", "1h") is None
    store.write("BTCUSDT", "1h", candles("2024-01-30", "2024-03-02"))
    assert store.newest("BTCUSDT", "1h") == utc("2024-03-01 23:00")
    path = tmp_path / "BTCUSDT" / "1h" / "2024-02.parquet"
    _torn(path)
    times, damaged = store.survey("BTCUSDT", "1h")
    assert (len(times), damaged) == (48 + 24, [path])


def test_a_later_correction_replaces_the_row_and_is_counted(tmp_path: Path):
    store, rows = Store(tmp_path), candles("2024-01-30", "2024-01-31")
    store.write("BTCUSDT", "1h", rows)
    changed = rows.assign(volume=rows[c.VOLUME].where(rows.index != 3, 1.0))
    assert store.write("BTCUSDT", "1h", changed) == Written(added=0, corrected=1)
    pd.testing.assert_frame_equal(store.read("BTCUSDT", "1h"), changed, check_exact=True)


def test_what_is_absent_does_not_replace_a_value_but_gives_way_to_one(tmp_path: Path):
    store, rows = Store(tmp_path), candles("2024-01-30", "2024-01-31")
    unknown = rows.assign(trades=np.nan)
    store.write("BTCUSDT", "1h", unknown)
    assert store.write("BTCUSDT", "1h", rows) == Written(0, corrected=len(rows))
    assert store.write("BTCUSDT", "1h", unknown) == Written(0, 0)
    pd.testing.assert_frame_equal(store.read("BTCUSDT", "1h"), rows, check_exact=True)


def test_of_two_rows_of_one_time_the_later_one_counts(tmp_path: Path):
    store, rows = Store(tmp_path), candles("2024-01-30", "2024-01-31").head(2)
    store.write("BTCUSDT", "1h", pd.concat([rows.assign(volume=1.0), rows]))
    pd.testing.assert_frame_equal(store.read("BTCUSDT", "1h"), rows, check_exact=True)


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 500)


def _torn(path: Path) -> None:
    os.truncate(path, 1000)


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _tail_lost(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size // 2)
    os.truncate(path, size)  # as a file system does that had the length on disk and the blocks not


def _edited_by_hand(path: Path) -> None:
    frame = pd.read_parquet(path, partitioning=None)
    frame.assign(close=frame[c.CLOSE] * 1.01).to_parquet(path, index=False)


def _edited_with_its_metadata(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    metadata = pq.read_metadata(path).metadata
    with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.write_table(table.slice(1))
        writer.add_key_value_metadata(metadata)


def _of_another_symbol(path: Path) -> None:
    store = Store(path.parents[2])
    store.write("ETHUSDT", "1h", candles("2024-02-01", "2024-02-03"))
    shutil.copy(path.parents[2] / "ETHUSDT" / "1h" / path.name, path)


def _of_another_kind(path: Path) -> None:
    store = Store(path.parents[2])
    store.write("BTCUSDT", "2h", candles("2024-02-01", "2024-02-03"))
    shutil.copy(path.parents[1] / "2h" / path.name, path)


def _of_another_month(path: Path) -> None:
    shutil.copy(path.with_name("2024-01.parquet"), path)


def _of_the_store_before(path: Path) -> None:
    """As the first version of this store wrote: the same rows without our metadata."""
    table = pq.read_table(path, partitioning=None).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd")


def _of_another_market(path: Path) -> None:
    other = Store(path.parents[3] / "another market")
    other.write("BTCUSDT", "1h", candles("2024-02-01", "2024-02-03"))
    shutil.copy(other.months("BTCUSDT", "1h")[0], path)


def _a_link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _text(path: Path) -> None:
    path.write_text("timestamp,open\n")


DAMAGES = (
    _truncated, _torn, _emptied, _tail_lost, _edited_by_hand, _edited_with_its_metadata, _of_another_symbol,
    _of_another_kind, _of_another_month, _of_the_store_before, _text, _of_another_market, _a_link_to_nowhere,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_file_that_is_not_what_was_written_is_named_and_never_read(
    tmp_path: Path, damage: Callable[[Path], None]
):
    store, rows = Store(tmp_path / "planted"), candles("2024-01-30", "2024-02-03")
    store.write("BTCUSDT", "1h", rows)
    path = tmp_path / "planted" / "BTCUSDT" / "1h" / "2024-02.parquet"
    assert store.damaged("BTCUSDT", "1h") == []
    damage(path)
    says = pytest.raises(DataError, match=r"BTCUSDT: .*2024-02\.parquet is damaged: .*Pull its month again")
    with says:
        store.read("BTCUSDT", "1h")
    with says:
        store.times("BTCUSDT", "1h")
    with says:
        store.newest("BTCUSDT", "1h")
    with says:
        store.write("BTCUSDT", "1h", rows)
    assert store.damaged("BTCUSDT", "1h") == [path]
    assert store.damaged("BTCUSDT", "1h", utc("2024-01-01"), utc("2024-02-01")) == []
    assert len(store.read("BTCUSDT", "1h", end=utc("2024-02-01"))) == 48  # the other months are good


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_single_bit_can_flip_unnoticed(place: float, bit: int):
    label = monthfile.Label("planted", "BTCUSDT", "1h", "2024-01")
    data = bytearray(monthfile.encode(label, to_rows(candles("2024-01-30", "2024-01-31"))))
    data[int(place * len(data))] ^= 1 << bit
    with pytest.raises(monthfile.Damaged):
        monthfile.decode(label, bytes(data))


def test_a_damaged_file_is_set_aside_and_its_month_written_anew(tmp_path: Path):
    store, rows = Store(tmp_path / "store"), candles("2024-01-30", "2024-02-03")
    store.write("BTCUSDT", "1h", rows)
    before = contents(tmp_path / "store")
    path = tmp_path / "store" / "BTCUSDT" / "1h" / "2024-02.parquet"
    _torn(path)
    place = store.set_aside(path, tmp_path / "bad")
    assert place is not None and place.parent == tmp_path / "bad" and place.stat().st_size == 1000
    assert store.write("BTCUSDT", "1h", rows) == Written(added=48, corrected=0)
    assert contents(tmp_path / "store") == before


def test_a_file_that_somebody_has_mended_meanwhile_stays(tmp_path: Path):
    store = Store(tmp_path / "store")
    store.write("BTCUSDT", "1h", candles("2024-01-30", "2024-02-03"))
    before = contents(tmp_path / "store")
    for month in ("2024-02", "2031-01"):
        path = tmp_path / "store" / "BTCUSDT" / "1h" / f"{month}.parquet"
        assert store.set_aside(path, tmp_path / "bad") is None
    assert contents(tmp_path / "store") == before


def test_rows_of_another_schema_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="must have columns"):
        Store(tmp_path).write("BTCUSDT", "funding", candles("2024-01-30", "2024-02-03"))
    timeless = candles("2024-01-30", "2024-01-31")
    timeless.loc[3, c.TIMESTAMP] = pd.NaT
    with pytest.raises(DataError, match="without a time"):
        Store(tmp_path).write("BTCUSDT", "1h", timeless)
    assert contents(tmp_path) == {}


def test_files_of_other_names_are_none_of_ours(tmp_path: Path):
    store, rows = Store(tmp_path), candles("2024-01-30", "2024-01-31")
    store.write("BTCUSDT", "1h", rows)
    path = store.months("BTCUSDT", "1h")[0]
    for name in ("2024-01-copy.parquet", "2024-13.parquet", "notes.parquet"):
        shutil.copy(path, path.with_name(name))
    assert store.months("BTCUSDT", "1h") == [path] and store.damaged("BTCUSDT", "1h") == []
    assert len(store.read("BTCUSDT", "1h")) == len(rows)


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "2024-01.parquet").mkdir()  # no file can take the name of a folder
    with pytest.raises(OSError):
        disk.replace(tmp_path / "2024-01.parquet", b"a month")
    assert [path.name for path in tmp_path.iterdir()] == ["2024-01.parquet"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "BTCUSDT").write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"BTCUSDT: .* cannot be written .* then pull again"):
        Store(tmp_path).write("BTCUSDT", "1h", candles("2024-01-30", "2024-01-31"))


def test_what_a_dead_writer_left_is_swept_and_never_read(tmp_path: Path):
    store = Store(tmp_path)
    store.write("BTCUSDT", "1h", candles("2024-01-30", "2024-02-03"))
    before = contents(tmp_path)
    left = tmp_path / "BTCUSDT" / "1h" / ".2024-02.123-abc.part"
    left.write_bytes(b"PAR1 half a file")
    assert len(store.read("BTCUSDT", "1h")) == 96 and store.damaged("BTCUSDT", "1h") == []
    store.sweep("BTCUSDT", "1h")
    assert contents(tmp_path) == before
    left.write_bytes(b"PAR1 half a file")
    store.write("BTCUSDT", "1h", candles("2024-02-03", "2024-02-04"))
    assert not left.exists()


_WRITER = """
import sys; from pathlib import Path; import pandas as pd
from xrl.market.store import Store
root, rows = Path(sys.argv[1]), pd.read_parquet(sys.argv[2], partitioning=None)
print('ready', flush=True); sys.stdin.readline()
"""
_ONCE = "for at in range(0, len(rows), 48): Store(root).write('BTCUSDT', '1h', rows.iloc[at : at + 48])"
_ENDLESSLY = """
while True:
    Store(root).write('BTCUSDT', '1h', rows)
    rows = rows.assign(volume=rows.volume + 1)
"""


def writer(root: Path, rows: pd.DataFrame, how: str) -> subprocess.Popen[bytes]:
    """A process of its own that will write `rows` once it is told to start."""
    given = root.parent / f"{len(rows)}.parquet"
    rows.to_parquet(given)
    command = [sys.executable, "-c", _WRITER + how, str(root), str(given)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def tell_to_start(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"go\n")
    process.stdin.flush()


def wait_until_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path):
    root = tmp_path / "store"
    spans = (("2024-01-20", "2024-02-20"), ("2024-01-31", "2024-03-05"), ("2024-02-10", "2024-02-25"))
    writers = [writer(root, candles(*span), _ONCE) for span in spans]
    for each in (wait_until_ready, tell_to_start):
        for process in writers:
            each(process)
    for process in writers:
        process.communicate(timeout=60)
    assert [process.returncode for process in writers] == [0, 0, 0]
    stored = Store(root).read("BTCUSDT", "1h")
    pd.testing.assert_frame_equal(stored, candles("2024-01-20", "2024-03-05"), check_exact=True)
    assert not list(root.rglob("*.part"))


@pytest.mark.parametrize("after_s", [0.005, 0.05, 0.15])
def test_a_writer_killed_at_any_moment_leaves_whole_files_and_the_next_one_completes(
    tmp_path: Path, after_s: float
):
    root, rows = tmp_path / "store", candles("2023-01-01", "2024-07-01")
    process = writer(root, rows, _ENDLESSLY)
    wait_until_ready(process)
    tell_to_start(process)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    store = Store(root)
    assert store.damaged("BTCUSDT", "1h") == []
    assert len(store.read("BTCUSDT", "1h")) % 24 == 0  # whole months
    store.write("BTCUSDT", "1h", rows)
    pd.testing.assert_frame_equal(store.read("BTCUSDT", "1h"), rows, check_exact=True)
    assert not list(root.rglob("*.part"))
