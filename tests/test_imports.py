"""Which files a module stands on, read from its imports."""

from pathlib import Path

import pytest

from xrl.imports import closure

FILES = {
    "kit/__init__.py": "",
    "kit/one.py": "import os\nfrom kit import two\nfrom . import three\nfrom .deep.four import name\n",
    "kit/two.py": "def late():\n    import kit.five as five\n    return five\n",
    "kit/three.py": "from kit.one import late  # a circle\n",
    "kit/deep/four.py": "from .. import six\nfrom ..seven import seven\nname = 'kit.eight'\n",
    "kit/five.py": "this is no Python\n",
    "kit/six/__init__.py": "from . import nine\nfrom .nowhere import nothing\n",
    "kit/six/nine.py": "",
    "kit/seven.py": "import other.thing\n",
    "kit/eight.py": "",
    "other/__init__.py": "",
    "other/thing.py": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def found(folder: Path, *modules: str, unread: frozenset[str] = frozenset()) -> set[str]:
    kit = folder / "kit" / "__init__.py"
    files = closure(modules, lambda top: kit if top == "kit" else None, unread)
    return {file.relative_to(folder).as_posix() for file in files.values()}


def test_all_that_is_imported_however_and_from_wherever_is_found(folder: Path) -> None:
    """Absolute and relative, of packages and names within, in functions and circles; none named as text."""
    own = {name for name in FILES if name.startswith("kit/")} - {"kit/eight.py"}
    assert found(folder, "kit.one") == own
    assert found(folder, "kit.seven") == {"kit/__init__.py", "kit/seven.py"}


def test_a_folder_without_a_file_of_its_own_is_looked_into(folder: Path) -> None:
    for name in ("kit", "other"):
        (folder / name / "__init__.py").unlink()
    files = closure(["kit.seven"], lambda top: folder / top)
    assert set(files) == {"kit.seven", "other.thing"}


def test_what_is_left_out_leads_nowhere(folder: Path) -> None:
    assert found(folder, "kit.deep.four", unread=frozenset({"kit.six"})) == {
        "kit/__init__.py",
        "kit/deep/four.py",
        "kit/seven.py",
    }


def test_a_name_that_is_nowhere_has_no_files(folder: Path) -> None:
    assert found(folder, "", "nowhere", "other.thing", "kit.none") == {"kit/__init__.py"}
