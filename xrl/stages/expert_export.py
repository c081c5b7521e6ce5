"""One refit expert as ONNX, and what it says of the golden rows: the trained models answer, not the file.

Enters: stages/refit/EXPERT, golden row numbers. Leaves: the file's bytes, its scaler, answers and blocks.
"""

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrl import columns
from xrl.config import Config
from xrl.errors import DataError
from xrl.experts import boosted_export
from xrl.experts.answers import Said
from xrl.experts.windows import Rows
from xrl.features.scaling import Scaler
from xrl.paths import Paths
from xrl.stages import onnx_order
from xrl.stages.expert_kinds import Expert, ask, read_members
from xrl.stages.expert_rows import read_rows


class Exported(NamedTuple):
    """One expert as ONNX, and what training's own path says of the golden rows."""

    onnx: bytes
    scaler: Scaler
    said: Said  # of n rows
    blocks: NDArray[np.float32]  # (n, w)


def export_expert(config: Config, paths: Paths, name: str, rows: NDArray[np.int64]) -> Exported:
    """Export the refit's expert `name` and ask its trained members about `rows` (n,).

    Raises:
        DataError: a file of the refit is missing, or its scaler is of other columns.
        ExportError: the file computes something else than the members.
    """
    folder = paths.refit_expert(name)
    expert = read_members(folder, name, config.experts.window_bars)
    scaler = Scaler.from_json((folder / "scaler.json").read_text())
    temperature = float(json.loads((folder / "report.json").read_bytes())["temperature"])
    matrix = None
    if config.oof.observation != "probabilities":
        matrix = np.load(folder / "align.npz")["matrix"]  # (256, w), of the boosted expert (2, 2)
    onnx = _onnx(name, expert, temperature, matrix, config.bundle.parity_tolerance)
    source = read_rows(paths, name)
    if source.names != scaler.columns:
        raise DataError(
            f"{folder / 'scaler.json'} was fitted on other columns than {paths.feature_spec} lists"
        )
    seen = Rows(scaler.transform(source.matrix), source.position, np.zeros(len(source.matrix), np.int8))
    said = ask(expert, seen, rows, temperature)
    blocks = said.probabilities if matrix is None else said.embedding @ matrix
    return Exported(onnx, scaler, said, blocks.astype(np.float32))


def _onnx(
    name: str, expert: Expert, temperature: float, matrix: NDArray[np.float32] | None, tolerance: float
) -> bytes:
    with tempfile.TemporaryDirectory(prefix="xrl-bundle-") as aside:
        path = Path(aside) / f"{name}.onnx"
        if name == columns.BOOSTED:
            boosted_export.to_onnx(expert.members, path, temperature, matrix is not None, tolerance)
        else:
            from xrl.experts import export

            ensemble = expert.members
            matrices = None if matrix is None else [basis @ matrix for basis in ensemble.bases]
            export.to_onnx(ensemble.models, path, temperature, matrices, tolerance)
        return onnx_order.canonical(path.read_bytes())
