"""Truths of the code's hash in a bundle's lineage."""

from pathlib import Path

import pytest
import yaml

import xrl
from xrl.stages import lineage
from xrl.stages.lineage import source_hash


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in ("account/step.py", "stages/deep/one.py", "market/candles.py", "market/store.py", "paths.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}")
    return tmp_path


@pytest.mark.parametrize("name", ["account/step.py", "stages/deep/one.py", "market/candles.py"])
def test_changed_code_of_the_recipe_changes_it(package: Path, name: str) -> None:
    before = source_hash(package)
    (package / name).write_text("other")
    assert source_hash(package) != before


def test_added_or_moved_code_changes_it(package: Path) -> None:
    before = source_hash(package)
    (package / "account" / "step.py").rename(package / "account" / "moved.py")
    moved = source_hash(package)
    (package / "policy").mkdir()
    (package / "policy" / "new.py").write_text("")
    assert len({before, moved, source_hash(package)}) == 3


def test_what_the_recipe_does_not_depend_on_leaves_it_alone(package: Path) -> None:
    before = source_hash(package)
    (package / "market" / "store.py").write_text("other")
    (package / "paths.py").write_text("other")
    (package / "account" / "__pycache__").mkdir()
    (package / "account" / "__pycache__" / "step.cpython-311.pyc").write_bytes(b"compiled")
    assert source_hash(package) == before


def test_the_bundle_is_written_anew_when_the_code_behind_its_hash_changes() -> None:
    package = Path(xrl.__file__).parent
    stages = yaml.safe_load((package.parent / "dvc.yaml").read_text())["stages"]
    assert {f"xrl/{name}" for name in lineage._SOURCES} <= set(stages["bundle"]["deps"])
    assert all((package / name).exists() for name in lineage._SOURCES)
