"""A bundle to serve: the newest that a run made in this checkout, else one of untrained experts of true size.

Training changes weights, not the work of a prediction, so both answer in the same time. Leaves: the bytes of
a bundle's files.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.material import ROOT, config
from tests.serve import tiny
from xrl.columns import EMBEDDING_WIDTH, EXPERTS
from xrl.registry.bundle import CHECKSUMS, canonical_json, open_bundle, write_bundle
from xrl.serve.candles import read_candles
from xrl.serve.predictor import AccountState, Predictor

Files = dict[str, bytes]


def bundle_files() -> Files:
    """Files of the promoted kind, golden pairs included."""
    made = [
        path
        for path in (ROOT / "stages" / "bundle", *(ROOT / "var" / "workspaces").glob("*/stages/bundle"))
        if (path / CHECKSUMS).is_file()
    ]
    if not made:
        return _untrained()
    newest = max(made, key=lambda path: (path / CHECKSUMS).stat().st_mtime)
    return _contents(open_bundle(newest).path)


def renamed(files: Files) -> Files:
    """The same models under another digest: another training of the same recipe."""
    lineage = files["lineage.json"].replace(b'"samples": ', b'"samples": 1')
    return {**files, "lineage.json": lineage}


def _untrained() -> Files:
    """The tests' bundle with experts of the default preset in place of its linear ones."""
    from xrl.experts.export import to_onnx
    from xrl.experts.model import build_expert

    files = tiny.files()
    matrix = np.random.default_rng(0).standard_normal((EMBEDDING_WIDTH, tiny.BLOCK)) / 100
    with tempfile.TemporaryDirectory(prefix="xrl-bench-") as name:
        folder = Path(name)
        for expert in EXPERTS:
            width = len(tiny.EXPERT_COLUMNS[expert])
            model = build_expert(width, tiny.WINDOW, config().experts.training.network)
            to_onnx([model.last], folder / "expert.onnx", 1.0, [matrix])
            files[f"{expert}.onnx"] = (folder / "expert.onnx").read_bytes()
        files["golden.json"] = _golden(files, folder / "bundle")
    return files


def _golden(files: Files, folder: Path) -> bytes:
    """Golden pairs that say what these experts answer: the serving speed is measured here, not parity."""
    bundle = write_bundle(folder, files)
    predictor, golden = Predictor(bundle), bundle.json("golden.json")
    for pair in golden["pairs"]:
        window = read_candles(pair["symbol"], pair["candles"], predictor.needs)
        prediction, action = predictor.act(window, AccountState(**pair["account"]))
        differing = np.array([*prediction.expert_uncertainty.values(), prediction.uncertainty])
        found = {**prediction.experts, "committee": prediction.probabilities, "uncertainty": differing}
        found["action"] = action.probabilities
        pair["expected"] = {name: values.tolist() for name, values in found.items()}
    return canonical_json(golden)


def _contents(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != CHECKSUMS}
