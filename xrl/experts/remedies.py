"""What the sources advise when a training does not get on. Enters: its history and preset. Leaves: advice.

Source: the troubleshooting part of the sources' optimisation guide (product document M8, M11), each remedy
with the key that carries it out here and the value it has now.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from xrl.experts.checklist import MAX_LOSS_GAP, MIN_BATCH
from xrl.presets import Preset

#: Epochs without a better validation loss after which a training counts as stalled.
STALLED_EPOCHS: Final = 20
_CHANCE: Final = 1 / 3
_CHANCE_MARGIN: Final = 0.01
_SOURCE_RATE: Final = 5e-5


def remedies(history: Sequence[Mapping[str, float]], preset: Preset) -> tuple[str, ...]:
    """What is wrong with a training and what to try; empty if nothing is.

    Args:
        history: figures of its epochs, see `monitor.Looks.figures`.
        preset: what it was trained by.
    """
    last = history[-1] if history else {}
    found: list[str] = []
    if history and not np.isfinite([last.get("loss", 0.0), last.get("train_loss", 0.0)]).all():
        found.append(not_finite(preset))
    if _is_flat(history):
        found.append(flat(preset))
    if "validation_accuracy" in last and last["validation_accuracy"] <= _CHANCE + _CHANCE_MARGIN:
        found.append(at_chance(last["validation_accuracy"], preset))
    if last.get("collapsed"):
        found.append(collapse(last, preset))
    if last.get("validation_loss", 0.0) - last.get("train_loss", np.inf) >= MAX_LOSS_GAP:
        found.append(learned_by_heart(last["validation_loss"] - last["train_loss"], preset))
    return tuple(found)


def not_finite(preset: Preset) -> str:
    """For a loss that is no number, or that runs away."""
    return (
        f"Lower `schedule.learning_rate` (now {preset.schedule.learning_rate:g}; {_SOURCE_RATE:g}, then "
        f"1e-05) or `loss.focal_gamma` (now {preset.loss.focal_gamma:g}), check the features for NaN, "
        "infinite and extreme values (`xrl features`), or take more days (`snapshot.days`)."
    )


def flat(preset: Preset) -> str:
    """For a validation loss that has not fallen for `STALLED_EPOCHS` epochs."""
    schedule = preset.schedule
    batch = f"`schedule.batch` (now {schedule.batch}, at least {MIN_BATCH})"
    return (
        f"the validation loss has not fallen for {STALLED_EPOCHS} epochs. Lower `schedule.learning_rate` "
        f"(now {schedule.learning_rate:g}; {_SOURCE_RATE:g}, then 1e-05), raise {batch} and "
        f"`schedule.weight_decay` (now {schedule.weight_decay:g}; 0.02), and check the features for NaN and "
        "infinite values."
    )


def at_chance(accuracy: float, preset: Preset) -> str:
    """For an accuracy on held-out bars of about one third."""
    return (
        f"accuracy on held-out bars is {accuracy:.1%}, chance is 33.3%. Look at the class shares (`xrl "
        "labels`), let percentiles cut the classes (`labels.kind: normalised_percentile`), widen the middle "
        "(`labels.percentiles: [0.30, 0.70]`), and weigh the classes (`balance.class_weights`, now "
        f"{preset.balance.class_weights})."
    )


def collapse(last: Mapping[str, float], preset: Preset) -> str:
    """For one class that takes nearly all predictions."""
    shares = ", ".join(
        f"{name.removeprefix('predicted_').upper()} {share:.0%}"
        for name, share in last.items()
        if name.startswith("predicted_")
    )
    return (
        f"one class takes more than 90% of the predictions ({shares}). Weigh the classes "
        f"(`balance.class_weights`, now {preset.balance.class_weights}), turn on `balance.oversample`, raise "
        f"`loss.focal_gamma` (now {preset.loss.focal_gamma:g}; 2.0), or change the cut-offs of the labels "
        "(`labels.percentiles`)."
    )


def learned_by_heart(gap: float, preset: Preset) -> str:
    """For a validation loss far above the training loss."""
    return (
        f"the validation loss is {gap:.2f} above the training loss (allowed {MAX_LOSS_GAP:g}): learned by "
        f"heart. Raise `network.dropout` (now {preset.network.dropout:g}; 0.5), `schedule.weight_decay` (now "
        f"{preset.schedule.weight_decay:g}; 0.02), `augment.mixup` (now {preset.augment.mixup:g}; 0.3) and "
        f"`loss.label_smoothing` (now {preset.loss.label_smoothing:g}; 0.15), or take more days."
    )


def _is_flat(history: Sequence[Mapping[str, float]]) -> bool:
    """Whether the last `STALLED_EPOCHS` epochs brought no better validation loss than the ones before."""
    losses = [record["validation_loss"] for record in history if "validation_loss" in record]
    if len(losses) <= STALLED_EPOCHS:
        return False
    return min(losses[-STALLED_EPOCHS:]) >= min(losses[:-STALLED_EPOCHS])
