"""Killing a stage half-way and running it again completes: nothing is left running, nothing is corrupted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ops.environment import ROOT
from ops.processes import marked
from ops.stage import MARK

#: The first run hangs until it is killed, a later one ends at once.
PROGRAM = """
import pathlib, time
out = pathlib.Path("out"); out.mkdir(exist_ok=True)
first = not pathlib.Path("again").exists()
pathlib.Path("again").write_text("x")
(out / "half").write_text("torn" if first else "whole")
time.sleep(60 if first else 0)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run([_dvc(), "init", "--quiet"], cwd=tmp_path, check=True, env=_environment())
    (tmp_path / "work.py").write_text(PROGRAM)
    (tmp_path / "dvc.yaml").write_text("stages:\n  slow:\n    cmd: python work.py\n    outs: [out]\n")
    return tmp_path


def _dvc() -> str:
    return str(Path(sys.executable).parent / "dvc")


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(ROOT), "PATH": path}


def _start(repository: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "ops.stage", "slow"],
        cwd=repository,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _hangs(repository: Path) -> None:
    deadline = time.monotonic() + 30
    while not (repository / "out" / "half").exists():
        if time.monotonic() > deadline:
            pytest.fail("the stage did not start")
        time.sleep(0.05)


def _dvc_only(found: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in found if "repro" in process.cmdline()]


@pytest.mark.parametrize("victims", ["everything but the work", "dvc alone"])
def test_a_stage_killed_half_way_completes_when_run_again(repository: Path, victims: str) -> None:
    mark = f"{repository}:slow"
    kill: Callable[[psutil.Process], None] = psutil.Process.kill
    with _start(repository) as first:
        _hangs(repository)
        for process in _dvc_only(marked(mark, name=MARK)):
            kill(process)
        if victims == "everything but the work":
            first.kill()
        first.communicate(timeout=30)
    assert first.returncode == (-signal.SIGKILL if victims == "everything but the work" else 137)

    with _start(repository) as second:
        said, _ = second.communicate(timeout=60)

    assert second.returncode == 0, said
    assert (repository / "out" / "half").read_text() == "whole"
    assert "slow" in (repository / "dvc.lock").read_text()
    assert marked(mark, name=MARK) == []


def test_a_torn_lock_file_is_removed(repository: Path) -> None:
    (repository / "again").write_text("x")
    (repository / ".dvc" / "tmp").mkdir(exist_ok=True)
    (repository / ".dvc" / "tmp" / "rwlock").write_text('{"read": {"')

    with _start(repository) as process:
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert "torn by a killed run" in said


def test_a_failing_stage_is_not_tried_over_and_over(repository: Path) -> None:
    (repository / "work.py").write_text("raise SystemExit(3)")

    with _start(repository) as process:
        said, _ = process.communicate(timeout=60)

    assert process.returncode != 0
    assert said.count("dvc repro") == 1
