"""Run one DVC stage member in the current folder: `python -m ops.stage experts@0-pattern`.

`dvc repro --single-item`, made safe against what a killed run leaves behind: its processes are ended first
(they would write the same outputs), a torn lock file is removed, and a lock held by a neighbour is waited
for.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO

from ops.processes import marked, stop

MARK = "XRL_STAGE"
BUSY = ("is busy", "Unable to acquire lock")
TRIES, PAUSE_S = 60, 2.0


def main(target: str) -> int:
    """Reproduce `target`; returns DVC's exit code."""
    mark = f"{Path.cwd()}:{target}"
    end_leftovers(mark)
    _drop_torn_lock(Path(".dvc/tmp/rwlock"))

    def _terminated(number: int, frame: FrameType | None) -> None:
        end_leftovers(mark)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, _terminated)
    for _ in range(TRIES):
        code, busy = _reproduce(target, mark)
        if code == 0 or not busy:
            break
        print(f"a neighbouring stage holds DVC's lock; again in {PAUSE_S:.0f} s", flush=True)
        time.sleep(PAUSE_S)
    if code < 0:
        print(f"dvc was killed by signal {-code}; run the stage again", flush=True)
    return code if code >= 0 else 128 - code


def end_leftovers(mark: str) -> None:
    """End what an earlier, killed run of the same stage in the same workspace has left running."""
    left = marked(mark, name=MARK)
    if left:
        print(f"ending {len(left)} processes that a killed run of this stage left", flush=True)
        stop(left, grace_s=3)


def _reproduce(target: str, mark: str) -> tuple[int, bool]:
    command = ["dvc", "repro", "--single-item", target]
    print(f"{Path.cwd()}$ {' '.join(command)}", flush=True)
    seen: list[bool] = []
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, MARK: mark}
    )
    relay = threading.Thread(target=_relay, args=(process.stdout, seen), daemon=True)
    relay.start()
    code = process.wait()
    end_leftovers(mark)  # where DVC was killed its command lives on and would keep the pipe open
    relay.join()
    return code, bool(seen)


def _relay(lines: IO[str], seen: list[bool]) -> None:
    """Print each line; note where DVC says that a lock is held."""
    for line in lines:
        print(line, end="", flush=True)
        if any(word in line for word in BUSY):
            seen.append(True)


def _drop_torn_lock(path: Path) -> None:
    """DVC forgets locks of dead processes by itself, but not a lock file that was cut short by a kill."""
    if path.is_file():
        try:
            json.loads(path.read_text())
        except json.JSONDecodeError:
            print(f"removing {path}, torn by a killed run", flush=True)
            path.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
