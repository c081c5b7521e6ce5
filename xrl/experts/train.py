"""Training of one expert, and its predictions. Enters: scaled rows, classes. Leaves: a model, its history.

Seeded: the same rows, parameters and seed give the same weights on one machine at a fixed thread count,
whether trained in one go or resumed from a checkpoint.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from xrl.errors import TrainingError
from xrl.experts import checkpoint, remedies
from xrl.experts.batches import Lesson, lesson, window_starts
from xrl.experts.loop import loop_of
from xrl.experts.model import build_expert
from xrl.experts.monitor import Watch, looks, softmax
from xrl.experts.tables import check_classes
from xrl.experts.training import Training
from xrl.experts.windows import Rows, gather, window_ends
from xrl.presets import Preset

log = logging.getLogger(__name__)

_PREDICT_BATCH = 256


class Fitted(NamedTuple):
    """`model` maps (batch, window, columns) to logits (batch, 3) and embedding (batch, 256)."""

    model: keras.Model
    history: tuple[
        dict[str, float], ...
    ]  # of each epoch: epoch, loss, learning_rate, `monitor.Looks.figures`
    epochs: int  # trained; those kept with early stopping
    final: Mapping[str, float] = {}  # `monitor.Looks.figures` of the weights that `model` has


class Predicted(NamedTuple):
    probabilities: NDArray[np.float64]  # (rows, 3)
    embedding: NDArray[np.float32]  # (rows, 256)


def fit_expert(
    rows: Rows,
    train: NDArray[np.bool_],
    held: NDArray[np.bool_],
    preset: Preset,
    window: int,
    seed: int,
    folder: Path | None = None,
    watch: Watch | None = None,
) -> Fitted:
    """Train on `train` bars; `held` bars are only looked at, and decide when to stop if the preset says so.

    Args:
        rows: all bars; bars outside the masks serve as context of later ones only.
        train: (rows,) bars whose class is learned.
        held: (rows,) later bars of the training span; none for a refit, which then runs its full epochs.
        preset: the training recipe.
        window: bars the expert reads.
        seed: of weights, dropout, order and phase of windows.
        folder: of this training's checkpoint, which is resumed from if it is there, finished or not.
        watch: told of every epoch.

    Raises:
        TrainingError: a class, a target or every window is missing, or the loss is not finite or runs away.
    """
    check_classes(rows.label[train])
    taught = lesson(rows, train, preset, window)
    _check_windows(taught)
    judged = looks(rows, train, held, window, preset.schedule)
    keras.utils.set_random_seed(seed)
    expert = build_expert(rows.x.shape[1], window, preset.network, preset.loss)
    loop = loop_of(rows.x.shape[1], window, preset)
    loop.start(expert)
    training = Training(loop, taught, judged, seed, watch)
    if folder is None:
        final = training.run()
    else:
        final = training.run(folder, checkpoint.identity(rows, (train, held), preset, window, seed))
    loop.finish(expert)
    for advice in remedies.remedies(training.history, preset):
        log.warning("%s", advice)
    return Fitted(expert.last, tuple(training.history), training.epochs, final)


def predict(
    model: keras.Model, rows: Rows, wanted: NDArray[np.int64], window: int, temperature: float = 1.0
) -> Predicted:
    """Probabilities and embeddings of exact windows that end at the wanted rows, as the server does it.

    Args:
        model: an expert's serving view.
        rows: all bars.
        wanted: (n,) row numbers.
        window: bars the expert reads.
        temperature: divides the logits.

    Raises:
        TrainingError: a wanted row does not end an unbroken window.
    """
    short = ~window_ends(rows.position[wanted], window)
    if short.any():
        raise TrainingError(
            f"{int(short.sum())} of {len(wanted)} rows to predict have fewer than {window} unbroken bars "
            f"behind them, first row {int(wanted[np.argmax(short)])}; ask for rows that end a window"
        )
    logits, embeddings = [], []
    for first in range(0, len(wanted), _PREDICT_BATCH):
        batch = wanted[first : first + _PREDICT_BATCH]
        padded = np.pad(batch, (0, _PREDICT_BATCH - len(batch)), mode="edge")
        z, e = model.predict_on_batch(gather(rows.x, padded - window + 1, window))
        logits.append(z[: len(batch)])
        embeddings.append(e[: len(batch)])
    width = model.output[1].shape[-1]
    z = np.concatenate(logits).astype(np.float64) if logits else np.empty((0, 3))
    e = np.concatenate(embeddings) if embeddings else np.empty((0, width), np.float32)
    return Predicted(softmax(z / temperature), e)


def _check_windows(taught: Lesson) -> None:
    """Some training bar must have a whole window behind it, or the window is longer than the fold."""
    longest = int(taught.rows.position[taught.learned].max()) + 1
    starts = window_starts(taught.rows, taught.learned, taught.window, taught.preset.schedule)
    if longest >= taught.window and len(starts):
        return
    raise TrainingError(
        "no training window: `experts.window_bars` must be no longer than the unbroken runs of bars that "
        f"training has; received {taught.window}, the longest run up to a training bar is {longest}. Take "
        "more days (`snapshot.days`) or shorter windows."
    )
