"""Truths about the Parquet store: whole files, idempotent merges, clear refusals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.market.conftest import utc
from xrl import columns as c
from xrl.errors import DataError
from xrl.market.store import Store
from xrl.sandbox import worlds


def candles(start: str, end: str) -> pd.DataFrame:
    return worlds.bars("planted", "BTCUSDT", utc(start), utc(end), seed=7)[list(c.CANDLE)]


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_one_file_a_month_and_rows_come_back_as_they_were(tmp_path: Path):
    store, rows = Store(tmp_path), candles("2024-01-30", "2024-03-02")
    assert store.write("BTCUSDT", "1h", rows) == len(rows)
    assert sorted(contents(tmp_path)) == [f"BTCUSDT/1h/2024-0{month}.parquet" for month in (1, 2, 3)]
    pd.testing.assert_frame_equal(store.read("BTCUSDT", "1h"), rows, check_exact=True)
    assert store.symbols() == ("BTCUSDT",)


def test_the_same_interval_twice_leaves_the_same_bytes_in_any_order(tmp_path: Path):
    rows = candles("2024-01-30", "2024-02-03")
    once, pieces = Store(tmp_path / "a"), Store(tmp_path / "b")
    once.write("BTCUSDT", "1h", rows)
    pieces.write("BTCUSDT", "1h", rows.iloc[40:])
    pieces.write("BTCUSDT", "1h", rows.iloc[:60].sample(frac=1, random_state=0))
    assert pieces.write("BTCUSDT", "1h", rows) == 0
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
    time = store.read("BTCUSDT", "1h", utc("2024-01-31 05:00"), utc("2024-03-01"))[c.TIMESTAMP]
    assert (time.iloc[0], time.iloc[-1]) == (utc("2024-01-31 05:00"), utc("2024-02-29 23:00"))
    nothing = store.read("ETHUSDT", "funding")
    assert nothing.empty and list(nothing) == list(c.FUNDING)


def test_a_later_correction_replaces_the_row(tmp_path: Path):
    store, rows = Store(tmp_path), candles("2024-01-30", "2024-01-31")
    store.write("BTCUSDT", "1h", rows)
    store.write("BTCUSDT", "1h", rows.assign(volume=1.0).iloc[3:4])
    assert store.read("BTCUSDT", "1h")[c.VOLUME].iloc[2:5].tolist() == [
        rows[c.VOLUME].iloc[2], 1.0, rows[c.VOLUME].iloc[4],
    ]  # fmt: skip


@pytest.mark.parametrize("size", [0, 4, 1000])
def test_a_torn_file_is_named(tmp_path: Path, size: int):
    store = Store(tmp_path)
    store.write("BTCUSDT", "1h", candles("2024-01-30", "2024-02-03"))
    path = tmp_path / "BTCUSDT" / "1h" / "2024-01.parquet"
    os.truncate(path, size)
    with pytest.raises(DataError, match=r"BTCUSDT.*2024-01\.parquet is torn"):
        store.read("BTCUSDT", "1h")
    with pytest.raises(DataError, match="torn"):
        store.write("BTCUSDT", "1h", candles("2024-01-30", "2024-02-03"))


def test_a_file_of_another_schema_is_refused(tmp_path: Path):
    store = Store(tmp_path)
    with pytest.raises(DataError, match="must have columns"):
        store.write("BTCUSDT", "funding", candles("2024-01-30", "2024-02-03"))
    path = tmp_path / "BTCUSDT" / "1h" / "2024-01.parquet"
    path.parent.mkdir(parents=True)
    candles("2024-01-30", "2024-01-31").drop(columns=c.VOLUME).to_parquet(path)
    with pytest.raises(DataError, match=r"2024-01\.parquet must have columns"):
        store.read("BTCUSDT", "1h")


def test_a_killed_writer_leaves_whole_files_and_the_next_one_completes(tmp_path: Path):
    script = (
        "import sys; from pathlib import Path; import pandas as pd\n"
        "from xrl.market.store import Store; from xrl.sandbox import worlds; from xrl import columns as c\n"
        "t = lambda s: pd.Timestamp(s, tz='UTC')\n"
        "rows = worlds.bars('planted', 'BTCUSDT', t('2023-01-01'), t('2024-07-01'), 7)[list(c.CANDLE)]\n"
        "print('go', flush=True)\n"
        "while True:\n"
        "    Store(Path(sys.argv[1])).write('BTCUSDT', '1h', rows)\n"
        "    rows = rows.assign(volume=rows.volume + 1)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"go\n"
    time.sleep(0.15)
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    writer.stdout.close()
    store = Store(tmp_path)
    assert len(store.read("BTCUSDT", "1h")) % 24 == 0  # whole months, readable
    rows = candles("2023-01-01", "2024-07-01")
    store.write("BTCUSDT", "1h", rows)
    pd.testing.assert_frame_equal(store.read("BTCUSDT", "1h"), rows, check_exact=True)
