"""Where a training stands, on disk, so that an interrupted one goes on to the very same weights.

Enters: arrays and plain values after an epoch. Leaves: one file, written aside and renamed. A file is read by
the training it is of alone: same rows, bars, recipe, window, seed, code and backend, bit for bit.
"""

import hashlib
import importlib.metadata
import json
import logging
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from xrl.experts.windows import Rows
from xrl.presets import Preset

log = logging.getLogger(__name__)

FILE = "training.npz"
State = list[NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """All that the rest of a training depends on.

    Attributes:
        state: weights, random states and optimizer, see `loop.Loop.state`.
        kept: the weights of the best epoch, or of the last ones; what is returned is their mean.
        history: figures of the epochs so far.
        order: state of the generator that orders the windows.
        final: figures of the returned weights; None while the training runs.
    """

    state: State
    kept: tuple[State, ...]
    history: tuple[dict[str, float], ...]
    order: dict[str, Any]
    final: dict[str, float] | None = None


def identity(
    rows: Rows,
    masks: Sequence[NDArray[np.bool_]],
    preset: Preset,
    window: int,
    seed: int,
) -> str:
    """A digest of everything that a training's weights depend on."""
    digest = hashlib.sha256()
    targets = () if rows.targets is None else (rows.targets.score, rows.targets.ranks, rows.targets.vsa)
    for array in (rows.x, rows.position, rows.label, *masks, *targets):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    versions = [importlib.metadata.version(name) for name in ("keras", "numpy")]
    about = [preset.model_dump_json(), window, seed, keras.backend.backend(), *versions]
    digest.update(json.dumps(about).encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):  # another code, another training
        digest.update(path.read_bytes())
    return digest.hexdigest()


def save(folder: Path, identity: str, checkpoint: Checkpoint) -> None:
    """Write aside, then rename: a kill at any moment leaves this checkpoint or the one before."""
    about = {
        "identity": identity,
        "history": checkpoint.history,
        "order": checkpoint.order,
        "final": checkpoint.final,
        "kept": len(checkpoint.kept),
    }
    arrays = {f"state_{number}": array for number, array in enumerate(checkpoint.state)}
    for place, weights in enumerate(checkpoint.kept):
        arrays |= {f"kept_{place}_{number}": array for number, array in enumerate(weights)}
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"part-{FILE}"
    with aside.open("wb") as file:
        np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)
    aside.replace(folder / FILE)


def load(folder: Path, identity: str) -> Checkpoint | None:
    """The checkpoint of this very training; None if there is none, or only another training's."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as found:
            about = json.loads(str(found["about"]))
            if about["identity"] != identity:
                log.info("the checkpoint in %s is of another training; begun anew", folder)
                return None
            kept = tuple(_numbered(found, f"kept_{place}_") for place in range(about["kept"]))
            state = _numbered(found, "state_")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        log.warning("the checkpoint in %s cannot be read (%s); begun anew", folder, error)
        return None
    return Checkpoint(state, kept, tuple(about["history"]), about["order"], about["final"])


def discard(folder: Path) -> None:
    """Remove checkpoints below `folder`, once what they led to is written."""
    shutil.rmtree(folder, ignore_errors=True)


def _numbered(found: Any, prefix: str) -> State:
    names = [name for name in found.files if name.startswith(prefix)]
    return [found[f"{prefix}{number}"] for number in range(len(names))]
