"""Work in a forked process whose value comes back, that can be killed and that cannot hang.

Enters: a function without arguments, a file for what it prints. Leaves: a `Child`. The parent must have one
thread: what another thread holds at the fork is held for ever in the child.
"""

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import SoakError


@dataclass
class Child:
    """A forked process."""

    pid: int
    log: Path
    status: int | None = None  # as waitpid says it, once it is over

    def is_over(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is not None

    def kill(self) -> None:
        """`kill -9`, and its end; nothing where it is over."""
        if not self.is_over():
            os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)

    def end(self, limit_s: float = 20.0) -> None:
        """SIGTERM, so that it ends what it has started; then as `kill`."""
        if not self.is_over():
            os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + limit_s
        while not self.is_over() and time.monotonic() < end:
            time.sleep(0.01)
        self.kill()

    def value(self, limit_s: float) -> Any:
        """What its work returned; None if it was killed. Time in which this process was stopped, or had no
        turn, does not count.

        Raises:
            SoakError: the work raised, or is not over after `limit_s`.
        """
        waited_s, before = 0.0, time.monotonic()
        while not self.is_over():
            now = time.monotonic()
            waited_s, before = waited_s + min(now - before, 1.0), now
            if waited_s > limit_s:
                self.kill()
                raise SoakError(f"it hangs: no end after {limit_s:g} s; see {self.log}")
            time.sleep(0.002)
        if self.status == signal.SIGKILL:
            return None
        if self.status != 0:
            raise SoakError(f"it crashed (status {self.status}): {_last_lines(self.log)}")
        return json.loads(self.log.with_suffix(".json").read_text())


def fork(work: Callable[[], Any], log: Path) -> Child:
    """`work()` in a child; its value must go into JSON.

    Raises:
        SoakError: this process has more than one thread.
    """
    threads = sum(1 for _ in Path("/proc/self/task").glob("*")) or 1  # elsewhere than on Linux: unknown
    if threads != 1:
        raise SoakError(f"a process with {threads} threads must not fork; see `ops.soak.one_thread`")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Child(pid, log)
    code = 1
    try:
        _end_with_parent()
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), stream)
        log.with_suffix(".json").write_text(json.dumps(work()))
        code = 0
    finally:  # the child must not come back into its parent's code, whatever has happened
        if code:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent is gone, however that ended; on Linux alone."""
    if sys.platform == "linux":
        set_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _last_lines(log: Path) -> str:
    return " / ".join(log.read_text().strip().splitlines()[-6:])[-600:]
