"""Which files a module stands on: what it imports and what that imports in turn, as far as it is one's own.

Enters: names of modules, and where the top-level ones among them lie. Leaves: files. They are read, never
run, so an import inside a function counts as well; one that is put together as text does not.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

#: The file of a top-level module or package, the folder of a namespace; None for one that is not followed.
Lookup: TypeAlias = Callable[[str], Path | None]


def closure(modules: Iterable[str], lookup: Lookup, unread: frozenset[str] = frozenset()) -> dict[str, Path]:
    """Files by dotted name: of `modules`, of the packages they lie in, and of all that they import.

    Args:
        modules: dotted names.
        lookup: decides whose modules are followed.
        unread: dotted names that are left out, with what only they import.
    """
    found: dict[str, Path] = {}
    ahead = list(modules)
    while ahead:
        for name, file in _places(ahead.pop(), lookup):
            if name not in found and name not in unread:
                found[name] = file
                ahead += _imported(name, file)
    return found


def _places(module: str, lookup: Lookup) -> Iterator[tuple[str, Path]]:
    """The file of a module, before it those of its packages; of a name within a module, the module's."""
    name, *parts = module.split(".")
    place = lookup(name)
    while place is not None:
        if place.is_file():
            yield name, place
        if not parts:
            return
        name, place = f"{name}.{parts[0]}", _inside(place, parts.pop(0))


def _inside(place: Path, part: str) -> Path | None:
    """Where a part of the package at `place` lies; None where there is no such file."""
    if place.is_file() and place.name != "__init__.py":
        return None
    folder = place if place.is_dir() else place.parent
    choices = (folder / part / "__init__.py", folder / f"{part}.py", folder / part)
    return next((choice for choice in choices if choice.exists()), None)


def _imported(module: str, file: Path) -> list[str]:
    """Every name that a file imports anywhere; none of a file that is no Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return []
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(package, node)
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in found if name and not name.startswith(".")]


def _base(package: str, node: ast.ImportFrom) -> str:
    """Dotted name that a `from ... import` is about; each dot beyond the first goes one package up."""
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])
