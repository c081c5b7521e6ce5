"""Truths of users' columns in the server: the same numbers, `ta` only if declared, code only if allowed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve import tiny
from tests.serve.test_predictor import _IMPORTS
from xrl.config import ExtraFeature, FeatureParams
from xrl.errors import BundleError
from xrl.registry.bundle import write_bundle
from xrl.serve.predictor import load

ROC = {"name": "roc_12", "ta": "momentum.ROCIndicator", "output": "roc", "inputs": ["close"]}
ROC |= {"params": {"window": 12}, "group": "indicator", "window": 13, "warmup": 12}
OWN = {"name": "own", "function": "served_features:log_return", "inputs": ["close"], "group": "pattern"}
OWN |= {"window": 2, "warmup": 1}
MODULE = """
import numpy as np

def log_return(bars):
    return np.concatenate([[np.nan], np.diff(np.log(bars["close"]))])
"""


def asked(*declared: dict[str, object]) -> FeatureParams:
    extra = tuple(ExtraFeature.model_validate(one) for one in declared)
    return tiny.CONFIG.features.model_copy(update={"extra": extra})


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's module, where server and training find it."""
    path = tmp_path / "served_features.py"
    path.write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    sys.modules.pop("served_features", None)


def test_a_ta_column_is_computed_as_in_training(tmp_path: Path) -> None:
    load(write_bundle(tmp_path / "bundle", tiny.files(asked=asked(ROC))).path)  # replays its golden pairs


def test_only_a_bundle_that_declares_ta_imports_it(tmp_path: Path) -> None:
    """tests/serve/test_predictor.py shows that the others do not."""
    path = write_bundle(tmp_path / "bundle", tiny.files(asked=asked(ROC))).path
    found = subprocess.run(
        [sys.executable, "-c", _IMPORTS, str(path)], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "['ta']"


def test_a_function_runs_only_where_its_module_is_allowed(
    tmp_path: Path, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_bundle(tmp_path / "bundle", tiny.files(asked=asked(OWN))).path
    with pytest.raises(BundleError, match=r"reads the feature `own`.*`served_features`.*XRL_FEATURE_MODULES"):
        load(path)
    monkeypatch.setenv("XRL_FEATURE_MODULES", "another, served_features")
    load(path)


def test_a_function_that_has_changed_since_training_is_refused(
    tmp_path: Path, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_bundle(tmp_path / "bundle", tiny.files(asked=asked(OWN))).path
    monkeypatch.setenv("XRL_FEATURE_MODULES", "served_features")
    module.write_text(MODULE.replace("np.log(", "2 * np.log("))
    with pytest.raises(BundleError, match="fitted on other features: expected schema"):
        load(path)


def test_a_function_that_is_not_there_is_named(
    tmp_path: Path, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_bundle(tmp_path / "bundle", tiny.files(asked=asked(OWN))).path
    monkeypatch.setenv("XRL_FEATURE_MODULES", "served_features")
    module.unlink()
    sys.modules.pop("served_features")
    with pytest.raises(BundleError, match=r"no module `served_features`.*PYTHONPATH"):
        load(path)
