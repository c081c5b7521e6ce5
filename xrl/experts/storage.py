"""Expert models on disk. Enters: a model or a path. Leaves: equal bytes for equal weights, or a model."""

import json
import re
import zipfile
from pathlib import Path

import keras

from xrl.errors import DataError
from xrl.experts import losses
from xrl.experts.networks import attention, branches, gates, mlstm, slstm, swiglu

_SHARED = re.compile(r'("shared_object_id": )(\d+)')
_EPOCH = (1980, 1, 1, 0, 0, 0)
#: Classes a saved expert is made of; importing them registers them with Keras.
REGISTERED = (
    *(mlstm.MLSTM, gates.GateBias, slstm.SLSTM, swiglu.SwiGLU),
    *(attention.CausalAttention, branches.gelu),
    losses.ExpertLoss,
)


def save_model(model: keras.Model, path: Path) -> None:
    """Write `model` as .keras without clock and memory addresses in it: equal weights give equal bytes."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(parts["metadata.json"])
    parts["config.json"] = _numbered(parts["config.json"].decode()).encode()
    parts["metadata.json"] = json.dumps(
        {"keras_version": metadata["keras_version"], "date_saved": ""}
    ).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(parts):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), parts[name])


def _numbered(config: str) -> str:
    """`config` with the memory addresses by which Keras marks shared objects replaced by their order."""
    seen: dict[str, int] = {}
    return _SHARED.sub(lambda found: f"{found[1]}{seen.setdefault(found[2], len(seen))}", config)


def load_model(path: Path) -> keras.Model:
    """Read what `save_model` wrote.

    Raises:
        DataError: there is no such file.
    """
    if not path.is_file():
        raise DataError(f"no expert at {path}; run its stage (`xrl experts` or `xrl refit`)")
    return keras.models.load_model(path, compile=False)
