"""Networks that answer as one expert: every recipe trained with every seed, averaged, never chosen from.

Enters: scaled rows, recipes, seeds. Leaves: pooled class probabilities, embeddings in the first network's
space, and how far the networks differ. One network alone answers as if there were no ensemble.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from xrl.errors import DataError
from xrl.evaluation.metrics import Array
from xrl.experts import alignment, storage, train
from xrl.experts.answers import Said, pooled
from xrl.experts.monitor import Watch
from xrl.experts.train import Fitted
from xrl.experts.windows import Rows, window_ends
from xrl.presets import Preset

log = logging.getLogger(__name__)

#: Training bars on which the networks' embeddings are brought into one space.
COMMON_ROWS = 2000
_COMMON_SEED = 0
#: Files of a trained expert: each network, and the stacked maps (networks, 256, 256).
NETWORK = "network_{}.keras"
BASES = "bases.npy"


class Trained(NamedTuple):
    """One network, and which it is."""

    member: int  # place of its recipe
    seed: int
    fitted: Fitted


class Ensemble(NamedTuple):
    """Networks with the maps of their embeddings into the first one's space."""

    models: tuple[keras.Model, ...]
    bases: tuple[Array, ...]  # (256, 256) each, `embedding @ basis`; the first is the identity
    window: int


def fit(
    rows: Rows,
    train_mask: NDArray[np.bool_],
    held: NDArray[np.bool_],
    recipes: Sequence[Preset],
    seeds: Sequence[int],
    window: int,
    *,
    folder: Path | None = None,
    watch: Watch | None = None,
) -> tuple[Trained, ...]:
    """Train every recipe with every seed, one after another.

    Args:
        rows: all bars.
        train_mask, held: (rows,) bars to learn from and to look at, see `train.fit_expert`.
        recipes: one `Preset` for each member.
        seeds: of every member.
        window: bars the networks read.
        folder: of their checkpoints: an interrupted run goes on in the network and epoch it was in.
        watch: told of every epoch.

    Raises:
        TrainingError: a training cannot start or diverged.
    """
    networks = [(member, seed) for member in range(len(recipes)) for seed in seeds]
    found = []
    for number, (member, seed) in enumerate(networks, start=1):
        if len(networks) > 1:
            log.info("network %d of %d: recipe %d, seed %d", number, len(networks), member, seed)
        own = None if folder is None else folder / f"{member}-{seed}"
        fitted = train.fit_expert(rows, train_mask, held, recipes[member], window, seed, own, watch)
        found.append(Trained(member, seed, fitted))
    return tuple(found)


def joined(networks: Sequence[Trained], rows: Rows, train_mask: NDArray[np.bool_], window: int) -> Ensemble:
    """The networks as one expert; their embeddings are mapped onto each other on bars they all learned from.

    Args:
        networks: as trained, the first one's space is everyone's.
        rows: all bars.
        train_mask: (rows,) bars learned from: nothing later enters the maps.
        window: bars the networks read.
    """
    models = tuple(network.fitted.model for network in networks)
    width = models[0].output[1].shape[-1]
    bases = [np.eye(width)]
    if len(models) > 1:
        at = _common(train_mask & window_ends(rows.position, window))
        first, *others = (train.predict(model, rows, at, window) for model in models)
        first_contrasts = alignment.contrasts(_wide(first.embedding), first.probabilities)
        for other in others:
            own = alignment.contrasts(_wide(other.embedding), other.probabilities)
            bases.append(alignment.onto(_wide(other.embedding), own, _wide(first.embedding), first_contrasts))
    return Ensemble(models, tuple(bases), window)


def answer(ensemble: Ensemble, rows: Rows, wanted: NDArray[np.int64], temperature: float = 1.0) -> Said:
    """Pool the networks' probabilities, then apply the temperature; average their mapped embeddings.

    Args:
        ensemble: the expert.
        rows: all bars.
        wanted: (n,) row numbers that end an unbroken window.
        temperature: of the pooled probabilities.
    """
    each = [train.predict(model, rows, wanted, ensemble.window) for model in ensemble.models]
    found = pooled(np.stack([own.probabilities for own in each]), temperature)
    mapped = [own.embedding @ basis.astype(np.float32) for own, basis in zip(each[1:], ensemble.bases[1:])]
    embedding = np.stack([each[0].embedding, *mapped]).mean(axis=0, dtype=np.float32)
    return Said(found.probabilities, embedding, found.uncertainty)


def load(folder: Path, window: int) -> Ensemble:
    """Read the networks `NETWORK` and the maps `BASES` of a trained expert.

    Raises:
        DataError: a file is missing.
    """
    if not (folder / BASES).is_file():
        raise DataError(f"no {BASES} at {folder}; run its stage (`xrl experts` or `xrl refit`)")
    bases = np.load(folder / BASES).astype(np.float64)  # (networks, width, width)
    models = tuple(storage.load_model(folder / NETWORK.format(number)) for number in range(len(bases)))
    return Ensemble(models, tuple(bases), window)


def _common(fits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A fixed sample of the rows that fit, ascending."""
    candidates = np.flatnonzero(fits)
    return np.sort(np.random.default_rng(_COMMON_SEED).permutation(candidates)[:COMMON_ROWS])


def _wide(embedding: NDArray[np.float32]) -> Array:
    return embedding.astype(np.float64)
