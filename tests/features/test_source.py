"""A change of whatever a user's function is made of shows in its hash, and of nothing else."""

import sys
from importlib import import_module, invalidate_caches
from pathlib import Path

import numpy as np
import pytest

from xrl.errors import ConfigError
from xrl.features.source import source_hash

FILES = {
    "users_kit/__init__.py": "from users_kit.impl import feature\n",
    "users_kit/impl.py": "import numpy\nimport users_beside\nimport users_library\nfrom xrl import columns\n"
    "from .late import scaled\n\ndef feature(bars):\n    from users_kit import inner\n    return bars\n",
    "users_kit/late.py": "def scaled(x):\n    return x\n",
    "users_kit/inner.py": "",
    "users_kit/unused.py": "",
    "users_beside.py": "",
    "site-packages/users_library.py": "def borrowed(bars):\n    return bars['close']\n",
    "users_forms.py": "import functools\nimport users_library\nfrom users_kit.late import scaled\n"
    "from users_library import borrowed\n\n"
    "@functools.wraps(scaled)\ndef wrapped(bars):\n    return scaled(bars)\n\n"
    "partial = functools.partial(wrapped)\n\n"
    "class Form:\n    def __call__(self, bars):\n        return bars\n\nform = Form()\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's files, on the path of imports as PYTHONPATH would put them, a library beside them."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith("users_")]:
        del sys.modules[name]
    invalidate_caches()


def taken(module: str, name: str) -> str:
    return source_hash(module, getattr(import_module(module), name))


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("users_kit/impl.py", True),  # handed on by the package that params.yaml names
        ("users_kit/__init__.py", True),
        ("users_kit/late.py", True),
        ("users_kit/inner.py", True),  # imported within the function
        ("users_beside.py", True),
        ("users_kit/unused.py", False),
        ("site-packages/users_library.py", False),
    ],
)
def test_every_file_of_the_users_own_counts_and_no_other(folder: Path, file: str, counts: bool) -> None:
    before = taken("users_kit", "feature")
    assert taken("users_kit", "feature") == before
    (folder / file).write_text((folder / file).read_text() + "# changed\n")
    assert (taken("users_kit", "feature") != before) is counts


@pytest.mark.parametrize("name", ["wrapped", "partial", "form"])
def test_decorated_and_partial_functions_and_callable_objects_are_followed(folder: Path, name: str) -> None:
    before = taken("users_forms", name)
    late = folder / "users_kit" / "late.py"
    late.write_text(late.read_text() + "# changed\n")
    changed = taken("users_forms", name)
    forms = folder / "users_forms.py"
    forms.write_text(forms.read_text() + "# changed\n")
    assert len({before, changed, taken("users_forms", name)}) == 3


def test_a_librarys_function_that_is_handed_on_counts_with_its_file(folder: Path) -> None:
    before = taken("users_forms", "borrowed")
    library = folder / "site-packages" / "users_library.py"
    library.write_text(library.read_text() + "# another version\n")
    assert taken("users_forms", "borrowed") != before


def test_the_same_files_elsewhere_are_the_same_source(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = taken("users_kit", "feature")
    folder.rename(tmp_path.with_name("elsewhere"))
    monkeypatch.syspath_prepend(str(tmp_path.with_name("elsewhere") / "site-packages"))
    monkeypatch.syspath_prepend(str(tmp_path.with_name("elsewhere")))
    forget()
    assert taken("users_kit", "feature") == before


def test_what_is_xrls_own_is_called_so() -> None:
    with pytest.raises(ConfigError, match="is a part of xrl"):
        source_hash("xrl.features.source", source_hash)


@pytest.mark.parametrize("function", [np.log, len, np.float64])
def test_what_has_no_text_is_refused(folder: Path, function: object) -> None:
    with pytest.raises(ConfigError, match=r"cannot be found.*write a function around it in a \.py file"):
        source_hash("users_forms", function)
