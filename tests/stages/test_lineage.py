"""Truths of what a bundle's lineage says of code: the package's, and the users' functions."""

import sys
from pathlib import Path, PurePosixPath

import pytest
import yaml

import xrl
from tests.test_dvc_yaml import DECLARATIONS, ROOT, STAGES, closure, decides
from xrl.config import Config, load_config
from xrl.registry.gate import recipe_hash
from xrl.stages import lineage
from xrl.stages.lineage import functions, source_hash

#: What a bundle is packed and replayed with: the stage `bundle` proves that it computes what training did.
PACKING = (
    *("xrl/registry/bundle.py", "xrl/serve/candles.py", "xrl/serve/forecast.py", "xrl/serve/onnx_model.py"),
    *("xrl/serve/predictor.py", "xrl/serve/sources.py"),
)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in (
        "account/step.py",
        "stages/deep/one.py",
        "market/candles.py",
        "market/pull.py",
        "columns.py",
        "paths.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}")
    return tmp_path


@pytest.mark.parametrize("name", ["account/step.py", "stages/deep/one.py", "market/candles.py", "columns.py"])
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
    (package / "market" / "pull.py").write_text("other")
    (package / "paths.py").write_text("other")
    (package / "account" / "__pycache__").mkdir()
    (package / "account" / "__pycache__" / "step.cpython-311.pyc").write_bytes(b"compiled")
    assert source_hash(package) == before


def test_the_bundle_is_written_anew_when_the_code_behind_its_hash_changes() -> None:
    package = Path(xrl.__file__).parent
    stages = yaml.safe_load((package.parent / "dvc.yaml").read_text())["stages"]
    assert {f"xrl/{name}" for name in lineage._SOURCES} <= set(stages["bundle"]["deps"])
    assert all((package / name).exists() for name in lineage._SOURCES)


def test_all_code_that_a_stage_stands_on_is_in_the_hash() -> None:
    """The values of config.py are in the recipe themselves, as the bundle's params.yaml."""
    assert "xrl/config.py" in DECLARATIONS
    hashed = {PurePosixPath("xrl", name) for name in lineage._SOURCES}
    used = {
        file.relative_to(ROOT)
        for stage in STAGES
        for file in closure(ROOT / "xrl" / "stages" / f"{stage}.py")
        if decides(file)
    }
    missing = sorted(str(file) for file in used if hashed.isdisjoint({file, *file.parents}))
    assert missing == list(PACKING), "add it to lineage._SOURCES, or say here why it does not decide"


@pytest.fixture
def momentum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a user's module, on the path of imports."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "users_momentum", raising=False)
    file = tmp_path / "users_momentum.py"
    file.write_text("def rise(bars, bars_back=3):\n    return bars['close']\n")
    return file


def with_function(**changes: object) -> Config:
    shipped = load_config(ROOT / "params.yaml").model_dump(mode="json")
    own = {
        "name": "rise",
        "function": "users_momentum:rise",
        "inputs": ["close"],
        "group": "both",
        "window": 4,
        "warmup": 3,
    }
    roc = {"name": "roc", "ta": "momentum.ROCIndicator", "output": "roc", "inputs": ["close"]}
    shipped["features"]["extra"] = [{**own, **changes}, {**own, "function": None, **roc}]
    return Config.model_validate(shipped)


def recipe(config: Config) -> str:
    return recipe_hash(lineage.sections(config), "code", functions(config))


def test_a_changed_function_of_the_user_is_another_recipe_and_so_is_a_comment(momentum: Path) -> None:
    config = with_function()
    assert list(functions(config)) == ["rise"]  # `ta` is named by class and arguments
    before = recipe(config)
    assert recipe(config) == before
    momentum.write_text(momentum.read_text().replace("['close']", "['close'] * 2"))
    changed = recipe(config)
    momentum.write_text(momentum.read_text() + "# a comment\n")
    assert len({before, changed, recipe(config)}) == 3


def test_without_functions_there_is_nothing_to_hash() -> None:
    assert functions(load_config(ROOT / "params.yaml")) == {}
