"""Peak memory of a call. Enters: a callable. Leaves: bytes, or None where the system does not tell."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path


def peak_growth_bytes(call: Callable[[], object]) -> int | None:
    """Largest resident memory during `call`, what it returns included, above what the process holds before.

    Warm it up before: imports and compiled code count too.
    """
    gc.collect()
    if not _forget_peak():
        return None
    before = _status_bytes("VmRSS")
    kept = call()
    grown = _status_bytes("VmHWM") - before
    del kept
    return grown


def _forget_peak() -> bool:
    """Reset this process's peak memory, free memory handed back first; False where that does not exist."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def _status_bytes(name: str) -> int:
    """One entry of this process's status, e.g. VmRSS."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(value)
