"""Truths of what a bundle's lineage says of code: the package's, and the users' functions."""

import shutil
import sys
from pathlib import Path, PurePosixPath

import pytest

import xrl
from tests.test_dvc_yaml import DECLARATIONS, ROOT, STAGES, closure, decides
from xrl.config import Config, load_config
from xrl.registry.gate import recipe_hash
from xrl.stages import lineage
from xrl.stages.lineage import functions, source_hash

#: What decides nothing that is learned, traded or measured: see `lineage._UNREAD`.
DRAWING = {"xrl/backtest/plots.py", "xrl/experts/plots.py", "xrl/stages/expert_pictures.py"}
PACKING = {
    *("xrl/registry/bundle.py", "xrl/serve/candles.py", "xrl/serve/forecast.py", "xrl/serve/onnx_model.py"),
    *("xrl/serve/predictor.py", "xrl/serve/sources.py"),
}
PACKAGE = Path(xrl.__file__).parent


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Our own code, to be changed."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "xrl", ignore=shutil.ignore_patterns("__pycache__")))


def changed(file: Path, text: str = "\n# a comment\n") -> None:
    file.write_text(file.read_text() + text)


@pytest.fixture(scope="module")
def whole() -> str:
    """The hash of our code as it is."""
    return source_hash(PACKAGE)


def test_changed_code_of_the_recipe_changes_it_and_so_does_what_it_newly_imports(
    package: Path, whole: str
) -> None:
    changed(package / "account" / "step.py", "\nfrom xrl.account import late\n")
    before = source_hash(package)
    (package / "account" / "late.py").write_text("X = 1\n")
    assert len({whole, before, source_hash(package)}) == 3


def test_what_the_recipe_does_not_depend_on_leaves_it_alone(package: Path, whole: str) -> None:
    """What draws, opens a holdout, commands or pulls; a room's docstring; new files; another folder."""
    for name in (
        *("backtest/plots.py", "experts/plots.py", "labels/drawing.py", "labels/openings.py"),
        *("features/command.py", "stages/holdout.py", "stages/baselines.py", "stages/forecast_page.py"),
        *("labels/combinatorial.py", "market/pull.py", "paths.py", "__init__.py", "commands/train.py"),
    ):
        changed(package / name)
    (package / "labels" / "__init__.py").write_text('"""Another title."""\n')
    (package / "labels" / "unused.py").write_text("X = 1\n")
    assert source_hash(package) == whole


def test_the_bundle_is_written_anew_when_the_code_behind_its_hash_changes() -> None:
    listed = {PurePosixPath(dep) for dep in STAGES["bundle"]["deps"]}
    hashed = [file.relative_to(ROOT) for file in lineage.source_files(PACKAGE).values()]
    assert [str(file) for file in hashed if listed.isdisjoint({file, *file.parents})] == []


def test_all_code_that_a_stage_stands_on_is_in_the_hash_and_no_other() -> None:
    """By a search of its own (`tests/test_dvc_yaml.py`). Values of config.py are in the recipe."""
    assert "xrl/config.py" in DECLARATIONS
    deciding = set(STAGES) - {"report"}  # draws what others decided
    assert set(lineage._STAGES) == deciding
    hashed = {file.relative_to(ROOT).as_posix() for file in lineage.source_files(PACKAGE).values()}
    used = {
        file.relative_to(ROOT).as_posix()
        for stage in deciding
        for file in closure(ROOT / "xrl" / "stages" / f"{stage}.py")
        if decides(file)
    }
    assert used - hashed == DRAWING | PACKING, "say in lineage._UNREAD and here why a file does not decide"
    assert hashed <= used


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
