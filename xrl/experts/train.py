"""Training of one expert, and its predictions. Enters: scaled rows, classes. Leaves: a model, its history.

Seeded: the same rows, parameters and seed give the same weights on one machine at a fixed thread count.
"""

import logging
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from xrl.errors import TrainingError
from xrl.evaluation import calibration, metrics
from xrl.experts.balance import class_weights
from xrl.experts.losses import FocalLoss
from xrl.experts.model import Expert, build_expert
from xrl.experts.tables import check_classes
from xrl.experts.windows import Rows, gather, training_starts, window_ends
from xrl.presets import Preset, Schedule

log = logging.getLogger(__name__)

_CLIP_NORM = 1.0
_PREDICT_BATCH = 1024
_COLLAPSED = 0.9  # share of one class among predictions
_REMEDIES = (
    "Lower the learning rate or `loss.focal_gamma`, check the features for extreme values "
    "(`xrl features`), or take more days (`snapshot.days`)."
)


class Fitted(NamedTuple):
    """`model` maps (batch, window, columns) to logits (batch, 3) and embedding (batch, 256)."""

    model: keras.Model
    history: tuple[
        dict[str, float], ...
    ]  # epoch, loss and, with held-out bars, validation_loss, validation_f1
    epochs: int  # trained; those kept with early stopping


class Predicted(NamedTuple):
    probabilities: NDArray[np.float64]  # (rows, 3)
    embedding: NDArray[np.float32]  # (rows, 256)


def fit_expert(
    rows: Rows, train: NDArray[np.bool_], held: NDArray[np.bool_], preset: Preset, window: int, seed: int
) -> Fitted:
    """Train on `train` bars; `held` bars are only looked at, and decide when to stop if the preset says so.

    Args:
        rows: all bars; bars outside the masks serve as context of later ones only.
        train: (rows,) bars whose class is learned.
        held: (rows,) later bars of the training span; none for a refit, which then runs its full epochs.
        preset: the training recipe.
        window: bars the expert reads.
        seed: of weights, dropout, order and phase of windows.

    Raises:
        TrainingError: a class or every window is missing, or the loss is not finite.
    """
    check_classes(rows.label[train])
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    expert = build_expert(rows.x.shape[1], window, preset.network)
    weights = class_weights(rows.label[train], preset.balance.class_weights)
    said = preset.loss
    loss = FocalLoss(said.focal_gamma, said.focal_alpha, said.label_smoothing, weights.tolist())
    _compile(expert, loss, preset.schedule, _steps(rows, train, window, preset.schedule))
    return _run(expert, rows, train, held, window, preset.schedule, rng)


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
    for batch in np.array_split(wanted, range(_PREDICT_BATCH, len(wanted), _PREDICT_BATCH)):
        padded = np.pad(batch, (0, _PREDICT_BATCH - len(batch)), mode="edge") if len(batch) else batch
        if len(batch):
            z, e = model.predict_on_batch(gather(rows.x, padded - window + 1, window))
            logits.append(z[: len(batch)])
            embeddings.append(e[: len(batch)])
    width = model.output[1].shape[-1]
    z = np.concatenate(logits).astype(np.float64) if logits else np.empty((0, 3))
    e = np.concatenate(embeddings) if embeddings else np.empty((0, width), np.float32)
    return Predicted(_softmax(z / temperature), e)


def collapsed(probabilities: NDArray[np.float64]) -> bool:
    """Whether one class makes up more than 90 % of the predictions."""
    shares = np.bincount(probabilities.argmax(axis=1), minlength=3) / max(len(probabilities), 1)
    return bool(shares.max() > _COLLAPSED)


def _compile(expert: Expert, loss: FocalLoss, schedule: Schedule, steps: int) -> None:
    rate = keras.optimizers.schedules.CosineDecay(schedule.learning_rate, max(steps * schedule.epochs, 1))
    optimizer = keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay, global_clipnorm=_CLIP_NORM)
    # Without XLA: on one CPU thread and widths this small its loops took 3.5 times as long.
    expert.every.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    expert.last.compile(jit_compile=False)


def _steps(rows: Rows, train: NDArray[np.bool_], window: int, schedule: Schedule) -> int:
    windows = len(_starts(rows, train, window, schedule, phase=0))
    if not windows:
        raise TrainingError(
            f"no training window: expected runs of at least {window} bars with finite features, received "
            f"{int(train.sum())} training bars in shorter runs. Take more days (`snapshot.days`)."
        )
    return max(windows // schedule.batch, 1)


def _starts(
    rows: Rows, mask: NDArray[np.bool_], window: int, schedule: Schedule, phase: int
) -> NDArray[np.int64]:
    """Training windows with at least one asked-for bar beyond their context."""
    starts = training_starts(rows.position, window, schedule.hop, phase)
    asked = np.concatenate([[0], np.cumsum(mask)])
    return starts[asked[starts + window] > asked[starts + schedule.context]]


def _run(
    expert: Expert,
    rows: Rows,
    train: NDArray[np.bool_],
    held: NDArray[np.bool_],
    window: int,
    schedule: Schedule,
    rng: np.random.Generator,
) -> Fitted:
    history: list[dict[str, float]] = []
    kept: list[list[NDArray[np.float32]]] = []
    best, best_epoch = -np.inf, 0
    stops_early = schedule.patience is not None and bool(held.any())
    for epoch in range(1, schedule.epochs + 1):
        record = {"epoch": float(epoch), "loss": _epoch(expert.every, rows, train, window, schedule, rng)}
        record |= _validate(expert.every, rows, held, window, schedule)
        history.append(record)
        log.info("epoch %d/%d %s", epoch, schedule.epochs, _line(record))
        if stops_early:
            if record["validation_f1"] > best:
                best, best_epoch, kept = record["validation_f1"], epoch, [expert.every.get_weights()]
            elif epoch - best_epoch >= (schedule.patience or 0):
                break
        elif epoch > schedule.epochs - schedule.average_epochs:
            kept.append(expert.every.get_weights())
    expert.every.set_weights([np.mean(same, axis=0) for same in zip(*kept)])
    return Fitted(expert.last, tuple(history), best_epoch or schedule.epochs)


def _epoch(
    model: keras.Model,
    rows: Rows,
    train: NDArray[np.bool_],
    window: int,
    schedule: Schedule,
    rng: np.random.Generator,
) -> float:
    """One pass over the training bars in shuffled windows of a new phase; the mean loss."""
    starts = rng.permutation(_starts(rows, train, window, schedule, int(rng.integers(schedule.hop))))
    batch = min(schedule.batch, len(starts))
    starts = starts[: len(starts) // batch * batch]
    x, y, weight = _windows(rows, train, starts, window, schedule.context)
    run = model.fit(x, y, sample_weight=weight, batch_size=batch, epochs=1, shuffle=False, verbose=0)
    loss = float(run.history["loss"][0])
    if not np.isfinite(loss):
        raise TrainingError(f"training loss became {loss}; it must stay finite. {_REMEDIES}")
    return loss


def _windows(
    rows: Rows, mask: NDArray[np.bool_], starts: NDArray[np.int64], window: int, context: int
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.float32]]:
    """Features (n, window, columns), classes and weights (n, window); weight 1 where trained on."""
    inside = starts[:, None] + np.arange(window)
    weight = mask[inside].astype(np.float32)
    weight[:, :context] = 0.0
    return rows.x[inside], np.where(weight > 0, rows.label[inside], 0).astype(np.int8), weight


def _validate(
    model: keras.Model, rows: Rows, held: NDArray[np.bool_], window: int, schedule: Schedule
) -> dict[str, float]:
    """Log-loss and macro F1 on held-out bars, read off every position of hopped windows."""
    starts = _starts(rows, held, window, schedule, phase=0)
    if not len(starts):
        return {}
    x, y, weight = _windows(rows, held, starts, window, schedule.context)
    logits = np.asarray(model.predict(x, batch_size=256, verbose=0), dtype=np.float64)
    truth, p = y[weight > 0], _softmax(logits[weight > 0])
    matrix = metrics.confusion(truth, p.argmax(axis=1))
    return {
        "validation_loss": calibration.log_loss(p, truth),
        "validation_f1": float(metrics.f1_macro(matrix)),
    }


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True)) if logits.size else logits
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True) if logits.size else logits)


def _line(record: dict[str, Any]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in record.items() if name != "epoch")
