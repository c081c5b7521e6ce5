"""The commands that meet the exchange, run as a user runs them, against a real server."""

import os
import shutil
import sys
from pathlib import Path

import pytest

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
    assert "random_walk BTCUSDT: 48 candles, 6 funding rates" in out
    assert "random_walk ETHUSDT: 48 candles" in out
    code, out, _ = run(*pull, "--end", "2024-05-22")
    assert code == 0 and "ETHUSDT: 0 candles" in out
    code, out, _ = run("market", "status", "--world", "random_walk")
    assert "BTCUSDT: 48 candles, 2024-05-20 00:00:00+00:00 to 2024-05-21 23:00:00+00:00, 0 gaps" in out
    code, out, _ = run("validate", "--world", "random_walk", "--symbols", "BTCUSDT")
    assert code == 0 and "BTCUSDT 1h: 48 rows are good" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--world", "mars"), "must be planted, random_walk, replay or live; received 'mars'"),
        (("--symbols", "FOOUSDT"), "lists no perpetual FOOUSDT"),
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
