"""Truths about the soak: it finds what it looks for; a twentieth of it, with a fresh seed, finds nothing."""

import json
import secrets
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ops import soak_judge as judge
from ops.soak import Soak, read_trials
from ops.soak_case import HOUR, Case, draw
from xrl import columns as c
from xrl.market.tables import empty
from xrl.sandbox.faults import KINDS, Fault, Script

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = 15  # a twentieth of 300


@pytest.mark.slow
def test_a_twentieth_of_the_soak_loses_and_invents_nothing(tmp_path: Path):
    seed = secrets.randbelow(10**6)
    print(f"soak seed {seed}")
    trials, summary = tmp_path / "trials.jsonl", tmp_path / "soak.json"
    command = [sys.executable, "-m", "ops.soak", "--scripts", str(SCRIPTS), "--seed", str(seed)]
    command += ["--trials", str(trials), "--summary", str(summary)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=540)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = json.loads(summary.read_text())
    assert (said["seed"], said["scripts"], said["failures"]) == (seed, SCRIPTS, [])
    assert said["kinds_fired"]
    assert sorted(trial["number"] for trial in read_trials(trials)[1]) == list(range(SCRIPTS))


def test_an_interrupted_soak_goes_on_with_the_trials_that_are_left(tmp_path: Path):
    trials = tmp_path / "trials.jsonl"
    trials.write_text('{"seed": 5}\n{"number": 0}\n{"number": 2}\n{"numb')
    soak = Soak(5, "abc", 4, 2, trials, tmp_path / "soak.json", None)
    assert read_trials(trials) == (5, [{"number": 0}, {"number": 2}])
    assert soak.numbers == [1, 3]
    assert "--seed 5 --only 3" in soak.command(3)


# The judge


def case(*faults: Fault) -> Case:
    """A trial whose first pull ran at 2024-06-01 10:20 on an hourly market of BTCUSDT."""
    found = draw(1, 0)
    now = pd.Timestamp("2024-06-01 10:20", tz="UTC")
    order = found.order._replace(symbols=("BTCUSDT",), timeframe="1h")
    return type(found)(
        **{**vars(found), "order": order, "now": now, "later": now, "script": Script(faults=faults)}
    )


def market(hours: int = 48) -> judge.Frames:
    """Hourly bars up to the close at 10:00 and nothing else."""
    last = pd.Timestamp("2024-06-01 09:00", tz="UTC")
    times = pd.date_range(end=last, periods=hours, freq="h").astype(c.TIME_DTYPE)
    values = {name: 100.0 + i for i, name in enumerate(c.CANDLE[1:])}
    candles = pd.DataFrame({c.TIMESTAMP: times, **values})
    return {("BTCUSDT", kind): candles if kind == "1h" else empty(kind) for kind in ("1h", "funding")}


def without(frames: judge.Frames, row: int) -> judge.Frames:
    key = ("BTCUSDT", "1h")
    return {**frames, key: frames[key].drop(index=row).reset_index(drop=True)}


def altered(frames: judge.Frames, row: int) -> judge.Frames:
    key = ("BTCUSDT", "1h")
    frame = frames[key].copy()
    frame.loc[row, c.CLOSE] += 1e-9
    return {**frames, key: frame}


def test_the_judge_accepts_equal_stores():
    assert judge.differences(market(), market()) == []
    assert judge.invented(market(), market(), case(), (), {}) == []
    assert judge.lost(market(), market()) == []


def test_a_lacking_an_invented_and_a_changed_row_are_found():
    whole, less, other = market(), without(market(), 5), altered(market(), 5)
    assert "lacks 1 (2024-05-30 15:00" in judge.differences(less, whole)[0]
    assert "too many 1" in judge.differences(whole, less)[0]
    assert "other values 1" in judge.differences(other, whole)[0]
    assert "invented rows 1" in judge.invented(whole, less, case(), (), {})[0]
    assert "values 1" in judge.invented(other, whole, case(), (), {})[0]
    assert "lost 1" in judge.lost(less, whole)[0]
    assert judge.invented(less, whole, case(), (), {}) == judge.lost(whole, less) == []


def test_rows_at_the_old_edge_of_what_a_venue_keeps_are_not_invented():
    whole, young = market(48), market(46)
    kept = {"1h": young["BTCUSDT", "1h"][c.TIMESTAMP].min()}
    assert judge.invented(whole, young, case(), (), {}) != []
    assert judge.invented(whole, young, case(), (), kept) == []
    assert judge.invented(market(49), young, case(), (), kept) != []


def test_first_versions_are_forgiven_only_where_a_fault_served_them():
    revised = case(Fault(kind="revised", args={"rows": 2}))
    newest, older = altered(market(), 47), altered(market(), 45)
    assert judge.invented(newest, market(), revised, ("revised",), {}) == []
    assert judge.invented(newest, market(), revised, (), {}) != []  # it did not fire
    assert judge.invented(older, market(), revised, ("revised",), {}) != []
    assert judge.differences(judge.forgiven(newest, market(), revised, ("revised",)), market()) == []
    assert judge.differences(judge.forgiven(older, market(), revised, ("revised",)), market()) != []


def test_what_the_venue_said_that_there_is_not_is_not_due():
    listed = case(Fault(kind="newly_listed", args={"days": 1}))
    claimed = judge.claimed(market(), listed, ("newly_listed",))
    times = claimed["BTCUSDT", "1h"][c.TIMESTAMP]
    assert times.min() == pd.Timestamp("2024-05-31 13:00", tz="UTC")
    assert judge.claimed(market(), listed, ())["BTCUSDT", "1h"].equals(market()["BTCUSDT", "1h"])
    late = case(Fault(kind="clock_skew", args={"seconds": -4000}))
    times = judge.claimed(market(), late, ("clock_skew",))["BTCUSDT", "1h"][c.TIMESTAMP]
    assert times.max() == pd.Timestamp("2024-06-01 08:00", tz="UTC")


def test_unfinished_files_are_found(tmp_path: Path):
    assert judge.litter(tmp_path) == []
    (tmp_path / "BTCUSDT").mkdir()
    (tmp_path / "BTCUSDT" / "2024-05.1-a.part").touch()
    assert judge.litter(tmp_path) == ["unfinished files are left: BTCUSDT/2024-05.1-a.part"]


# Trials


def test_a_trial_is_the_same_for_the_same_numbers():
    cases = [draw(3, number) for number in range(300)]
    assert cases == [draw(3, number) for number in range(300)]
    assert cases[:9] != [draw(4, number) for number in range(9)]
    assert {case.venue for case in cases} == {"binance", "bybit", "okx"}
    assert {fault.kind for case in cases for fault in case.script.faults} == set(KINDS)
    assert 0.25 < sum(case.kill is not None for case in cases) / 300 < 0.5
    for one in cases:
        order = one.order
        assert order.start.month != (order.end + HOUR).month
        assert pd.Timedelta(days=3) <= order.end - order.start <= pd.Timedelta(days=60)
        assert one.earlier is None or order.start < one.earlier < order.end


# Forks


def forked(work: str, after: str, folder: Path) -> str:
    """What a fresh process prints that forks `work` and then does `after`: pytest itself has threads."""
    script = f"""
import time
from pathlib import Path
from ops.errors import SoakError
from ops.soak_fork import fork
child = fork(lambda: {work}, Path({str(folder)!r}) / "child.log")
try:
    {after}
except SoakError as error:
    print(error)
"""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("work", "after", "said"),
    [
        ("{'a': 1}", "print(child.value(20))", "{'a': 1}"),
        ("time.sleep(60)", "child.kill(); print(child.value(20))", "None"),
        ("time.sleep(60)", "child.value(0.1)", "it hangs: no end after 0.1 s"),
        ("1 / 0", "child.value(20)", "ZeroDivisionError: division by zero"),
        ("time.sleep(60)", "child.end(); child.value(20)", "crashed (status 15)"),
    ],
)
def test_a_child_gives_its_value_or_says_why_not(work: str, after: str, said: str, tmp_path: Path):
    assert said in forked(work, after, tmp_path)


def test_a_process_with_threads_does_not_fork(tmp_path: Path):
    after = (
        "__import__('threading').Thread(target=time.sleep, args=(9,), daemon=True).start(); fork(print, None)"
    )
    assert "a process with 2 threads must not fork" in forked("1", after, tmp_path)
