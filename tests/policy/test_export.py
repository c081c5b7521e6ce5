"""The exported file computes what the trained policy computes."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from xrl.columns import ACTIONS
from xrl.errors import ExportError
from xrl.policy.export import to_onnx
from xrl.policy.exported import ExportedPolicy
from xrl.policy.train import FittedPolicy


def test_actions_and_probabilities_survive_the_export(seeing: FittedPolicy, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "policy.onnx"
    assert to_onnx(seeing.policy, path) < 1e-5
    exported = ExportedPolicy(path)
    seen = np.random.default_rng(5).standard_normal((300, seeing.policy.width)).astype(np.float32)
    assert exported.width == seeing.policy.width
    assert exported.probabilities(seen) == pytest.approx(seeing.policy.probabilities(seen), abs=1e-5)
    assert np.array_equal(exported.actions(seen), seeing.policy.actions(seen))
    assert exported.probabilities(seen[:1]).shape == (1, len(ACTIONS))
    assert list(path.parent.iterdir()) == [path]  # nothing left beside it


def test_names_and_opset_are_the_contracts(seeing: FittedPolicy, tmp_path: Path) -> None:
    to_onnx(seeing.policy, tmp_path / "policy.onnx")
    model = onnx.load(str(tmp_path / "policy.onnx"))
    assert [entry.name for entry in model.graph.input] == ["observation"]
    assert [entry.name for entry in model.graph.output] == ["action_probabilities"]
    assert model.opset_import[0].version == 17


def test_exporting_twice_gives_the_same_bytes(seeing: FittedPolicy, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        to_onnx(seeing.policy, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_file_that_differs_is_refused_and_not_left_behind(seeing: FittedPolicy, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="differs from the trained one by"):
        to_onnx(seeing.policy, tmp_path / "policy.onnx", tolerance=-1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="run `xrl policy`"):
        ExportedPolicy(tmp_path / "none.onnx")
