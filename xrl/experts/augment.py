"""Training windows altered so that a network cannot learn them by heart. Pure numpy, any backend.

Enters: a batch of windows and packed targets (`xrl.experts.losses`), a generator. Leaves: altered copies.
Sources: Zhang et al. 2018, "mixup", arXiv:1710.09412; Park et al. 2019, "SpecAugment", arXiv:1904.08779 (time
masks); product document M4.
"""

import numpy as np
from numpy.typing import NDArray

from xrl.experts.losses import flags
from xrl.presets import Augment

Batch = NDArray[np.float32]


def augmented(
    x: Batch, y: Batch, settings: Augment, ranks: int, rng: np.random.Generator
) -> tuple[Batch, Batch]:
    """The batch after every alteration that `settings` turns on; the very arrays where none is.

    Args:
        x: (batch, window, columns) scaled features, 0 the training mean.
        y: (batch, positions, channels) packed targets of the last `positions` bars of each window.
        settings: section `augment` of the preset.
        ranks: number of rank targets in `y`.
        rng: of this batch alone, so that the order in which batches are made does not matter.
    """
    if settings.noise:
        x = x + settings.noise * rng.standard_normal(x.shape, dtype=np.float32)
    if settings.feature_dropout:
        x = feature_dropout(x, settings.feature_dropout, rng)
    if settings.time_mask:
        x, y = time_mask(x, y, settings.time_mask, ranks, rng)
    if settings.mixup:
        x, y = mixup(x, y, settings.mixup, ranks, rng)
    return x, y


def feature_dropout(x: Batch, share: float, rng: np.random.Generator) -> Batch:
    """Each column of each window is blanked with probability `share`, over the whole window."""
    kept = rng.random((x.shape[0], 1, x.shape[2])) >= share
    return np.asarray(x * kept, dtype=np.float32)


def time_mask(x: Batch, y: Batch, share: float, ranks: int, rng: np.random.Generator) -> tuple[Batch, Batch]:
    """One span of up to `share` of the bars of each window is blanked, and never the newest bar.

    A blanked bar is not trained on either: at its own position it is the newest.
    """
    count, window, positions = x.shape[0], x.shape[1], y.shape[1]
    longest = min(int(share * window), window - 1)
    length = rng.integers(longest + 1, size=count)
    start = rng.integers(window - length)  # start + length <= window - 1
    bar = np.arange(window)
    blank = (bar >= start[:, None]) & (bar < (start + length)[:, None])  # (batch, window)
    y = y.copy()
    y[..., flags(ranks)] *= ~blank[:, window - positions :]
    return np.where(blank[:, :, None], np.float32(0), x), y


def mixup(x: Batch, y: Batch, alpha: float, ranks: int, rng: np.random.Generator) -> tuple[Batch, Batch]:
    """Each window becomes `share own + (1 - share) another's`, targets alike; share from Beta(alpha, alpha).

    A position is trained on where both are, and a task known where both know it.
    """
    share = rng.beta(alpha, alpha, size=(len(x), 1, 1)).astype(np.float32)
    other = rng.permutation(len(x))
    first = flags(ranks)
    values = share * y[..., :first] + (1 - share) * y[other, :, :first]
    known = y[..., first:] * y[other, :, first:]
    return share * x + (1 - share) * x[other], np.concatenate([values, known], axis=-1)
