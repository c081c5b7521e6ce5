"""`njit` with a disk cache that knows all the code it compiled.

Numba's own cache looks at the file of the cached function alone: a change in a function that it calls from
another file goes unseen, and the old machine code runs on. Here the cache's folder is named by the content of
every source file of the rooms that compile, so a change in any of them starts a new folder. Where none can be
written, nothing is cached.
"""

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numba

_PACKAGE: Final = Path(__file__).parents[1]
_ROOMS: Final = ("account", "env", "policy", "backtest")


def njit(function: Callable[..., Any]) -> Any:
    """Compile `function` on first call, or load what an earlier process compiled from the same sources."""
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Any:
    """The same, copied into every compiled caller, so that the values of a bar stay in registers."""
    return _compiled(function, inline="always")


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    # As numpy divides: a check for a zero divisor on every division costs as much as the division.
    options["error_model"] = "numpy"
    folder = cache_folder(_PACKAGE)
    if folder is None:
        return numba.njit(**options)(function)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        return numba.njit(cache=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = before


@lru_cache(maxsize=1)
def cache_folder(package: Path) -> Path | None:
    """Where machine code of the present sources is kept; None where nothing can be written."""
    folder = package / "__pycache__" / f"numba-{source_digest(package)[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def source_digest(package: Path) -> str:
    """SHA-256 over names and contents of the source files of the rooms that compile."""
    digest = hashlib.sha256()
    for room in _ROOMS:
        for path in sorted((package / room).glob("*.py")):
            digest.update(f"{room}/{path.name}".encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
