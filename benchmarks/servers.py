"""Servers for the length of a measurement: real commands on free loopback ports, logs in a temporary folder.

Enters: a command. Leaves: a running server, and nothing once the context ends.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from benchmarks.errors import BenchmarkError
from benchmarks.material import ROOT

HOST = "127.0.0.1"
_READY_S = 90.0
_STOP_S = 15.0


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


@contextmanager
def server(
    command: Sequence[str], log: Path, is_ready: Callable[[], bool], variables: Mapping[str, str]
) -> Iterator[None]:
    """Run `command` with `variables` added to the environment until the context ends.

    Raises:
        BenchmarkError: it ends by itself or is not ready in time; its log's end is shown.
    """
    with log.open("wb") as written:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    try:
        _wait(process, command, log, is_ready)
        yield
    finally:
        _stop(process)


def answers(url: str) -> bool:
    """Whether `url` answers with success, whatever proxy the environment names."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            return bool(session.get(url, timeout=5).ok)
        except requests.RequestException:
            return False


def _wait(
    process: subprocess.Popen[bytes], command: Sequence[str], log: Path, is_ready: Callable[[], bool]
) -> None:
    deadline = time.monotonic() + _READY_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise BenchmarkError(f"`{' '.join(command)}` did not become ready; its log ends with\n{tail}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the session that the server leads, its children included."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
