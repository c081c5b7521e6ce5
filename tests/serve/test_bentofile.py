"""Truths of the packed service: it is built by `bentoml build` and holds all that it imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
_IMPORT = "import xrl, xrl.serve.service, xrl.serve.predictor, xrl.registry.store; print(xrl.__file__)"


def test_its_packages_are_pinned_as_in_the_lock() -> None:
    pins = set(yaml.safe_load((ROOT / "bentofile.yaml").read_text())["python"]["packages"])
    locked = set((ROOT / "requirements.lock").read_text().split())
    assert pins <= locked, sorted(pins - locked)


@pytest.mark.slow  # a build and two imports of MLflow
def test_what_is_built_can_be_served(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    tools = Path(sys.executable).parent
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PATH": path}
    subprocess.run(
        [str(tools / "bentoml"), "build", str(ROOT)], check=True, capture_output=True, env=environment
    )
    [source] = home.glob("bentos/xrl/*/src")
    found = subprocess.run(
        [sys.executable, "-c", _IMPORT],
        cwd=source,
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert Path(found.stdout.strip()) == source / "xrl" / "__init__.py"
    assert not list(source.glob("**/*.parquet"))
    assert not (source / "xrl" / "experts").exists()
