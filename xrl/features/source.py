"""The text behind a user's function, as one hash. Enters: a function. Leaves: SHA-256 over its files.

These are the file of the module that params.yaml names, that of the function itself, wherever the module got
it from, and whatever of the user's own they import, however indirectly: no library, unless the function is a
part of it. Versions of libraries and files of data do not count.
"""

import functools
import hashlib
import inspect
import sysconfig
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from xrl import imports
from xrl.errors import ConfigError

_STANDARD: Final = Path(sysconfig.get_path("stdlib"))
_INSTALLED: Final = {"site-packages", "dist-packages"}
#: Our own code is in the recipe by itself (`xrl.stages.lineage`).
_OURS: Final = "xrl"


def source_hash(named: str, function: Callable[..., Any]) -> str:
    """SHA-256 over names and contents of the files behind `function`, the same wherever they lie.

    Args:
        named: dotted name of the module that it was taken from.
        function: as that module has it; decorated (`functools.wraps`) and partial ones are followed inward.

    Raises:
        ConfigError: its text cannot be found, as that of a compiled function, or it is xrl's own.
    """
    home, text = _home(function)
    if home.partition(".")[0] == _OURS:
        raise ConfigError(
            f"`{named}`'s {function!r} is a part of xrl, no column of yours; write a function around it in a "
            ".py file of your own"
        )
    tops = {name.partition(".")[0] for name in (named, home)}
    files = imports.closure((named, home), lambda top: _place(top, is_root=top in tops))
    if home not in files or not files[home].samefile(text):
        raise ConfigError(
            f"the text of `{named}`'s {function!r} cannot be found, so nobody could tell whether it changed; "
            "write a function around it in a .py file of your own"
        )
    found = hashlib.sha256()
    for name, file in sorted(files.items()):
        found.update(f"{name}\0".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _home(function: Callable[..., Any]) -> tuple[str, Path]:
    """Dotted name and file of the module that holds the text of `function`; empty where there is none."""
    inner: Any = function
    while isinstance(inner, functools.partial) or hasattr(inner, "__wrapped__"):
        inner = inner.func if isinstance(inner, functools.partial) else inspect.unwrap(inner)
    code = getattr(inner, "__code__", getattr(type(inner).__call__, "__code__", None))
    file = None if code is None else inspect.getsourcefile(code)
    module = None if file is None else inspect.getmodule(code, file)
    return (module.__name__, Path(str(file))) if module is not None else ("", Path())


def _place(top: str, is_root: bool) -> Path | None:
    """Where a top-level module lies; None for ours, for none, and for a library unless it `is_root`."""
    try:
        spec = None if top in ("", _OURS) else find_spec(top)
    except ValueError:  # a module without a spec, as `__main__`
        return None
    if spec is None:
        return None
    found = spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or ()), None)
    place = None if found is None else Path(found)
    return place if place is None or is_root or not _is_library(place) else None


def _is_library(place: Path) -> bool:
    return place.is_relative_to(_STANDARD) or not _INSTALLED.isdisjoint(place.parts)
