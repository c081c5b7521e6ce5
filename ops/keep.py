"""Run a server of the Procfile and start it again when it dies: `python -m ops.keep NAME COMMAND...`.

A killed server leaves children behind (Airflow's workers and their tasks); they are ended before the
restart, so that no task runs twice. After `LIMIT` deaths within `WINDOW_S` seconds it gives up, and honcho
ends all servers.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import IO

from ops.environment import LOGS
from ops.processes import MARK, SERVER, marked, stop

LIMIT = 5
WINDOW_S = 120.0
LOG_BYTES = 20_000_000


class _Stopping:
    """Set by SIGTERM or SIGINT; passes the signal on to the server that runs now."""

    def __init__(self) -> None:
        self.asked = False
        self.child: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(number)


def main(name: str, command: list[str]) -> int:
    """Keep `command` running until asked to stop; returns its last exit code."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / f"{name}.log"
    stopping = _Stopping()
    deaths: list[float] = []
    while True:
        _rotate(log_path)
        with log_path.open("ab") as log:
            code = _run(name, command, log, stopping)
        if stopping.asked:
            return 0
        print(f"{name} ended with exit code {code}; starting it again (log: {log_path})", flush=True)
        stop(marked(os.environ.get(MARK, ""), server=name), grace_s=5)
        deaths = [death for death in deaths if death > time.monotonic() - WINDOW_S] + [time.monotonic()]
        if len(deaths) >= LIMIT:
            print(f"{name} died {LIMIT} times within {WINDOW_S:.0f} s; giving up", flush=True)
            return code or 1
        time.sleep(min(2.0 ** (len(deaths) - 1), 10.0))


def _run(name: str, command: list[str], log: IO[bytes], stopping: _Stopping) -> int:
    log.write(f"--- {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {' '.join(command)}\n".encode())
    log.flush()
    stopping.child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, SERVER: name}
    )
    if stopping.asked:  # the signal came between two servers
        stopping.child.terminate()
    return stopping.child.wait()


def _rotate(path: Path) -> None:
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
