"""A network saved by TensorFlow is read, computed and trained elsewhere: the layers use keras.ops alone."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from xrl.experts.model import build_expert
from xrl.experts.storage import save_model
from xrl.presets import Network

SHAPES = {
    "xlstm": {"blocks": "sm", "attention": True, "dropout_mask": "window"},
    "lstm": {},
    "cnn_lstm": {},
    "transformer": {},
}
WINDOW, COLUMNS = 6, 3
_OTHER = """
import json, sys, numpy as np, keras
from pathlib import Path
from xrl.experts.storage import load_model
assert keras.backend.backend() == sys.argv[2]
folder, found = Path(sys.argv[1]), {}
x = np.load(folder / "x.npy")
for path in sorted(folder.glob("*.keras")):
    model = load_model(path)
    said = keras.ops.convert_to_numpy(model(x)[1]).tolist()
    model.compile(optimizer="adam", loss="mse")
    loss = model.fit(x, [np.zeros((len(x), 3)), np.zeros((len(x), 256))], verbose=0).history["loss"][0]
    found[path.stem] = {"said": said, "loss": loss}
print(json.dumps(found))
"""


@pytest.mark.slow  # the imports
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_another_backend_reads_computes_and_trains_what_tensorflow_saved(
    backend: str, tmp_path: Path
) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install -r requirements-{backend}.txt")
    x = np.random.default_rng(0).normal(size=(4, WINDOW, COLUMNS)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    expected = {}
    for name, options in SHAPES.items():
        keras.utils.set_random_seed(0)
        shape = Network.model_validate(
            {"architecture": name, "units": 8, "memory_size": 8, "feedforward": 1.0, "dropout": 0.1} | options
        )
        model = build_expert(COLUMNS, WINDOW, shape).last
        save_model(model, tmp_path / f"{name}.keras")
        expected[name] = model(x)[1].numpy()
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", _OTHER, str(tmp_path), backend],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(found) == set(SHAPES)
    for name in SHAPES:
        np.testing.assert_allclose(found[name]["said"], expected[name], atol=1e-5)
        assert np.isfinite(found[name]["loss"])
