"""What DVC is told is what a stage stands on: its code and its parameters.

DVC restores a stage's old outputs from its run cache as long as the listed files and parameters are the same,
so code left out of dvc.yaml can be mended without anything being trained again.
"""

import ast
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from xrl.config import Config
from xrl.stages import lineage

ROOT = Path(__file__).resolve().parents[1]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

#: Declarations alone: the values that decide reach a stage through its params, and a path that moves leaves
#: DVC without the output it expects. As dependencies they would retrain everything for a new setting of a
#: server.
DECLARATIONS = {"xrl/config.py", "xrl/errors.py", "xrl/paths.py"}


def source(module: str) -> Path | None:
    """The file of an xrl module or package; None for a name that is something inside one."""
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def imported(path: Path) -> set[Path]:
    """Files of xrl that `path` imports anywhere, packages on the way included."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not followed here"
            modules += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    found = set()
    for module in modules:
        parts = module.split(".")
        if parts[0] == "xrl":
            found |= {source(".".join(parts[:end])) for end in range(1, len(parts) + 1)}
    return {file for file in found if file is not None}


def closure(path: Path) -> set[Path]:
    """`path` and all of xrl that it imports, however indirectly; declarations lead nowhere further."""
    found, ahead = set(), [path]
    while ahead:
        file = ahead.pop()
        if file not in found:
            found.add(file)
            ahead += imported(file) if _is_followed(file) else ()
    return found


def _is_followed(path: Path) -> bool:
    return path not in {ROOT / name for name in DECLARATIONS}


def decides(path: Path) -> bool:
    """Whether a file holds more than a docstring and declarations."""
    if not _is_followed(path):
        return False
    return path.name != "__init__.py" or any(
        not isinstance(node, ast.Expr | ast.Assign) for node in ast.parse(path.read_text()).body
    )


def accesses(path: Path) -> set[str]:
    """Every `config.SECTION`, `config.SECTION.FIELD...` or `config.METHOD` of a module, without `config.`."""
    attributes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in attributes}
    chains = [ast.unparse(node) for node in attributes if id(node) not in inner]
    return {chain.removeprefix("config.") for chain in chains if chain.startswith("config.")}


def needed_params(chain: str) -> set[str]:
    """Names of which one in `params` covers an access; a method of a section reads all of it."""
    section, _, field = chain.partition(".")
    if not field or field.split(".")[0] not in Config.model_fields[section].annotation.model_fields:  # type: ignore[union-attr]
        return {section}
    return {section, f"{section}.{field.split('.')[0]}"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_the_code_it_imports(stage: str) -> None:
    listed = {PurePosixPath(dep) for dep in STAGES[stage]["deps"]}
    used = [path.relative_to(ROOT) for path in closure(ROOT / "xrl/stages" / f"{stage}.py") if decides(path)]
    missing = sorted(str(path) for path in used if listed.isdisjoint({path, *path.parents}))
    assert not missing, f"dvc.yaml, stage {stage}: add to deps"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_no_code_that_is_gone(stage: str) -> None:
    code = [dep for dep in STAGES[stage]["deps"] if dep.startswith("xrl")]
    assert [dep for dep in code if not (ROOT / dep).exists()] == []
    assert len(set(code)) == len(code)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_only_the_parameters_it_lists(stage: str) -> None:
    params = set(STAGES[stage]["params"])
    stages = [path for path in closure(ROOT / "xrl/stages" / f"{stage}.py") if path.parent.name == "stages"]
    for path in stages:
        for chain in accesses(path):
            if chain == "model_dump":  # lineage.sections takes these out of the whole
                assert set(lineage.SECTIONS) <= params
            else:
                assert params & needed_params(chain), f"{path.name} reads `config.{chain}`"


def test_imports_inside_functions_are_followed(tmp_path: Path) -> None:
    module = tmp_path / "lazy.py"
    module.write_text("def late():\n    from xrl.labels import folds\n    import xrl.features.scaling\n")
    found = {path.relative_to(ROOT).as_posix() for path in closure(module) if path != module}
    assert {"xrl/labels/folds.py", "xrl/features/scaling.py"} <= found
    assert "xrl/labels/outcomes.py" in found  # which folds.py imports
