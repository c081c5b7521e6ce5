"""The commands that meet the exchange, run as a user runs them, against a real server."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import requests

from tests.market.conftest import Sandbox
from xrl import __main__ as command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """`run("pull", ...)` in an empty folder with params.yaml: exit code, stdout, stderr."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())  # the command completes it for itself
    os.environ.pop("XRL_DATA_DIR", None)
    os.environ["XRL_SANDBOX_PORT"] = sandbox.url.rsplit(":", 1)[1]

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xrl", *arguments])
        with pytest.raises(SystemExit) as left:
            command.main()
        said = capfd.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def test_pull_takes_several_symbols_and_a_second_one_finds_nothing_to_do(run):
    pull = ("pull", "--world", "random_walk", "--symbols", "BTCUSDT", "ETHUSDT", "--start", "2024-05-20")
    code, out, _ = run(*pull, "--end", "2024-05-22")
    assert code == 0
    assert "BTCUSDT: 6 funding rates, 48 open-interest marks, 48 taker volumes, 48 candles are new" in out
    assert "ETHUSDT: 6 funding rates" in out
    code, out, _ = run(*pull, "--end", "2024-05-22")
    assert code == 0 and "0 candles are new" in out
    code, out, _ = run("market", "status", "--world", "random_walk")
    line = next(line for line in out.splitlines() if "BTCUSDT" in line and "1h" in line)
    assert "2024-05-20 00:00" in line and "2024-05-21 23:00" in line and " 48 " in line
    code, out, _ = run(
        "validate", "--world", "random_walk", "--symbols", "BTCUSDT", "--until", "2024-05-22"
    )  # fmt: skip
    assert "BTCUSDT funding: 6 rows are good" in out
    assert code == 1 and "history is long enough" in out  # two days are not enough to learn from


def test_what_no_venue_keeps_is_told_once_for_all_symbols(run):
    code, out, _ = run(
        "pull", "--venue", "bybit", "--world", "planted", "--symbols", "BTCUSDT,ETHUSDT", "--start",
        "2024-05-20", "--end", "2024-05-22", "--timeframe", "4h",
    )  # fmt: skip
    assert code == 0
    assert out.count("does not publish it") == 1
    assert "12 4h candles are new" in out


def test_longer_bars_are_made_of_stored_ones_and_the_venues_own_are_left(run):
    span = ("--world", "planted", "--symbols", "BTCUSDT", "--start", "2024-05-20", "--end", "2024-05-22")
    assert run("pull", *span)[0] == 0
    make = ("market", "resample", "--from", "1h", "--to", "4h", "--world", "planted", "--symbols", "BTCUSDT")
    assert "12 candles of 4h made of 1h are new, 0 were corrected" in run(*make)[1]
    assert "0 candles of 4h made of 1h are new, 0 were corrected" in run(*make)[1]
    code, _, err = run("market", "resample", "--from", "5m", "--to", "1h", *make[6:])
    assert code == 1 and "holds no 5m candles of BTCUSDT" in err


def test_a_stale_history_and_another_venues_prices_are_told(run):
    day = ("--symbols", "BTCUSDT", "--start", "2024-05-10", "--end", "2024-05-24")
    for venue in ("binance", "bybit"):
        assert run("pull", "--venue", venue, "--world", "planted", *day)[0] == 0
    ask = ("validate", "--venue", "binance", "--world", "planted", "--symbols", "BTCUSDT")
    code, out, _ = run(*ask, "--until", "2024-05-24", "--against", "bybit_planted")
    assert code == 0 and "336 of 336 bars are compared with bybit_planted" in out and "refused" not in out
    code, out, err = run(*ask, "--until", "2024-05-25")
    assert code == 1 and "newest row is fresh" in out and "BTCUSDT 1h" in err
    code, _, err = run(*ask, "--until", "2024-05-24", "--against", "okx_planted")
    assert code == 1 and "okx_planted has none of the 336 1h candles of BTCUSDT" in err


def test_a_bar_that_is_missing_fails_the_run_is_listed_and_comes_with_the_next_pull(run, sandbox: Sandbox):
    day = ("--start", "2024-05-31", "--end", "2024-06-01T10:00:00Z")
    span = ("--world", "planted", "--symbols", "BTCUSDT", *day)
    late = {"faults": [{"kind": "late", "on": "klines", "times": None, "args": {"minutes": 100}}]}
    requests.put(f"{sandbox.url}/_faults", json=late, timeout=5).raise_for_status()
    code, out, err = run("pull", *span)
    requests.delete(f"{sandbox.url}/_faults", timeout=5).raise_for_status()
    assert code == 1 and "BTCUSDT could not be brought up to date" in err and "are missing" in out
    assert (
        "2 candles (2024-06-01 08:00 to 2024-06-01 09:00) are missing"
        in run("market", "status", "--world", "planted")[1]
    )
    code, out, _ = run("pull", *span)
    assert code == 0 and "are missing" not in out
    assert "are missing" not in run("market", "status", "--world", "planted")[1]


def test_a_refused_batch_is_told_with_its_rule_and_report(run, sandbox: Sandbox, tmp_path: Path):
    fault = {"kind": "contradictory", "on": "klines", "symbol": "BTCUSDT", "times": None}
    wrong = {"faults": [{**fault, "args": {"rows": 48}}]}
    requests.put(f"{sandbox.url}/_faults", json=wrong, timeout=5).raise_for_status()
    code, out, err = run("pull", "--world", "planted", "--symbols", "BTCUSDT", "ETHUSDT",
                         "--start", "2024-05-20", "--end", "2024-05-22")  # fmt: skip
    requests.delete(f"{sandbox.url}/_faults", timeout=5).raise_for_status()
    assert code == 1 and "BTCUSDT could not" in err and "ETHUSDT" not in err
    assert "rule" in out and str(tmp_path / "data" / "quarantine" / "planted" / "BTCUSDT" / "1h") in out
    assert "ETHUSDT: 6 funding rates" in out and "48 candles are new" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--world", "mars"), "must be one of planted, random_walk, replay, live; received 'mars'"),
        (("--symbols", "FOOUSDT"), "lists no perpetual FOOUSDT"),
        (("--timeframe", "7m"), "1h"),
        (("--start", "2024-05-02", "--end", "2024-05-01"), "`--start` must lie before `--end`"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(run, arguments: tuple[str, ...], message: str):
    code, _, err = run("pull", *arguments)
    assert code == 1
    assert err.startswith("xrl: ") and message in err and err.count("\n") == 1


def test_a_server_on_a_taken_port_says_so(run):
    code, _, err = run("sandbox")
    assert code == 1 and "cannot listen on 127.0.0.1" in err
