"""Does requirements.lock hold every dependency of pyproject.toml, and does .venv hold the lock?

`python ops/check_lock.py lock` needs nothing but Python (it runs before anything is installed);
`installed` runs after.
"""

import re
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;#]+)(\s*;[^#]*)?")


def canonical(name: str) -> str:
    """Name as package indices compare it: `Ta_Lib` -> `ta-lib`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def dependencies(pyproject: str) -> dict[str, str]:
    """Requirement text of each dependency, tools of the extra `dev` included, by canonical name."""
    project = tomllib.loads(pyproject)["project"]
    lines = [*project["dependencies"], *project.get("optional-dependencies", {}).get("dev", [])]
    return {canonical(re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0]): line for line in lines}


def pins(lock: str) -> dict[str, str]:
    """Pinned version by canonical name; lines with an environment marker are left out."""
    found = (_PIN.match(line.strip()) for line in lock.splitlines())
    return {canonical(pin[1]): pin[2] for pin in found if pin and not pin[3]}


def missing(pyproject: str, lock: str) -> list[str]:
    """Dependencies of pyproject.toml without a line in the lock, as written there."""
    locked = lock_names(lock)
    return [line for name, line in dependencies(pyproject).items() if name not in locked]


def lock_names(lock: str) -> set[str]:
    return {canonical(pin[1]) for line in lock.splitlines() if (pin := _PIN.match(line.strip()))}


def outside(pyproject: str, lock: str) -> list[str]:
    """Locked versions outside the range that pyproject.toml allows."""
    from packaging.requirements import Requirement

    locked = pins(lock)
    return [
        f"{name}=={locked[name]} (pyproject.toml: {line})"
        for name, line in dependencies(pyproject).items()
        if name in locked and not Requirement(line).specifier.contains(locked[name], prereleases=True)
    ]


def differing(lock: str) -> list[str]:
    """Locked packages that are not installed, or at another version (a local tag such as +cpu is the
    same).
    """
    here = {canonical(item.metadata["Name"]): item.version for item in distributions()}
    return [
        f"{name}=={pin} (installed: {here.get(name, 'none')})"
        for name, pin in pins(lock).items()
        if here.get(name, "").split("+")[0] != pin.split("+")[0]
    ]


def main(what: str) -> str | None:
    """A message for the user, or None if all is well."""
    pyproject, lock = (ROOT / "pyproject.toml").read_text(), (ROOT / "requirements.lock").read_text()
    if lacking := missing(pyproject, lock):
        return (
            f"requirements.lock has no entry for {', '.join(lacking)}, which pyproject.toml asks for. "
            "Add it: .venv/bin/uv pip compile pyproject.toml --extra dev -o requirements.lock"
        )
    if what == "installed":
        if wrong := outside(pyproject, lock):
            return f"requirements.lock is outside pyproject.toml's ranges: {'; '.join(wrong)}"
        if wrong := differing(lock):
            return f".venv differs from requirements.lock: {'; '.join(wrong[:8])}. Remove .venv and run make"
    return None


if __name__ == "__main__":
    problem = main(sys.argv[1] if len(sys.argv) > 1 else "installed")
    sys.exit(f"xrl: {problem}" if problem else 0)
