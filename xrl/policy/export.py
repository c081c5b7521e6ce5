"""The fused policy as ONNX: what the backtest replays and the server loads.

Enters: a trained policy. Leaves: a file with input `observation` (batch, width) float32 and output
`action_probabilities` (batch, 10) float32, proven equal to the policy on ordinary and extreme observations.
"""

import warnings
from pathlib import Path

import numpy as np
import torch

from xrl.errors import ExportError
from xrl.policy.exported import INPUT, OUTPUT, ExportedPolicy
from xrl.policy.fused import FusedPolicy

OPSET = 17
_PROBES = 256


def to_onnx(policy: FusedPolicy, path: Path, tolerance: float = 1e-4) -> float:
    """Write `policy` to `path` and hold the file against the policy.

    Args:
        policy: the ensemble.
        path: written aside, then renamed.
        tolerance: largest allowed difference of a probability.

    Returns:
        The largest difference found.

    Raises:
        ExportError: the file computes something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part.onnx")
    with warnings.catch_warnings():
        # torch announces the end of its TorchScript exporter; the other one is not used on purpose
        # (stack.md).
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            policy.eval(),
            (torch.zeros(1, policy.width),),
            str(aside),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    difference = _parity(policy, aside)
    if not difference <= tolerance:
        aside.unlink()
        raise ExportError(
            f"the exported policy differs from the trained one by {difference:.2g}, allowed {tolerance:.2g}. "
            "Check the versions of torch and onnxruntime against requirements.lock."
        )
    aside.replace(path)
    return difference


def _parity(policy: FusedPolicy, path: Path) -> float:
    rng = np.random.default_rng(0)
    sizes = np.repeat([1.0, 10.0], _PROBES)[:, None]
    probes = (rng.standard_normal((2 * _PROBES, policy.width)) * sizes).astype(np.float32)
    exported = ExportedPolicy(path).probabilities(probes)
    return float(np.abs(exported - policy.probabilities(probes)).max())
