"""The sources' production checklist, computed for every candidate. Pure.

Enters: the preset's name, what it sets, figures of the trained networks. Leaves: one item a line. Class
weights, loss gap and accuracy above the largest class bind always; the rest binds for the presets of the
sources' table alone: the measured best recipe learns faster, and accuracy above one half on classes near
thirds would be a leak. Source: product document M6.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from xrl.presets import Preset

#: Presets whose runs must tick the whole list.
BOUND_PRESETS: Final = ("production_small", "production_large", "quick_experiment", "conservative")
MAX_LEARNING_RATE: Final = 1e-4
MIN_BATCH: Final = 128
MIN_WEIGHT_DECAY: Final = 0.001
MIN_FOCAL_GAMMA: Final = 2.0
MIN_PATIENCE: Final = 15
MIN_ACCURACY: Final = 0.5
MAX_LOSS_GAP: Final = 0.15

_Relation = Literal["<=", ">=", ">", "<"]
_HOLDS: Final[Mapping[_Relation, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
}


class Item(NamedTuple):
    """One line of the checklist; `value` is None where nothing was measured, which fails."""

    name: str
    value: float | str | None
    bound: str  # e.g. "<= 0.0001"
    passed: bool
    binds: bool

    def sentence(self) -> str:
        """The line as it is shown."""
        shown = "not measured" if self.value is None else _shown(self.value)
        verdict = "yes" if self.passed else "NO" if self.binds else "no (does not bind here)"
        return f"{self.name}: {shown}, wanted {self.bound}: {verdict}"


def checklist(
    name: str, preset: Preset, finals: Sequence[Mapping[str, float]], accuracy_edge_low: float | None
) -> tuple[Item, ...]:
    """The list for one candidate.

    Args:
        name: of the preset that the run names, whatever it overrides.
        preset: what was trained by.
        finals: `Fitted.final` of every trained network; the worst loss gap counts, and the median accuracy.
        accuracy_edge_low: lower end of the paired interval of accuracy less that of the largest class, out of
            sample; None where it was not measured.
    """
    strict = name in BOUND_PRESETS
    schedule, gamma = preset.schedule, preset.loss.focal_gamma
    accuracy = [final["validation_accuracy"] for final in finals if "validation_accuracy" in final]
    gaps = [final["validation_loss"] - final["train_loss"] for final in finals if "validation_loss" in final]
    patience = None if schedule.patience is None else float(schedule.patience)
    weights = preset.balance.class_weights
    return (
        _item("learning rate", schedule.learning_rate, "<=", MAX_LEARNING_RATE, strict),
        _item("batch", float(schedule.batch), ">=", MIN_BATCH, strict),
        _item("weight decay", schedule.weight_decay, ">=", MIN_WEIGHT_DECAY, strict),
        _item("focal gamma", gamma, ">=", MIN_FOCAL_GAMMA, strict),
        _item("patience", patience, ">=", MIN_PATIENCE, strict),
        _item("validation accuracy", _median(accuracy), ">", MIN_ACCURACY, strict),
        Item("class weights", weights, "on", weights != "none", True),
        _item("loss gap", float(np.max(gaps)) if gaps else None, "<", MAX_LOSS_GAP, True),
        _item("accuracy above the largest class, lower end", accuracy_edge_low, ">", 0.0, True),
    )


def refused(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items that bind and are not met."""
    return tuple(item for item in items if item.binds and not item.passed)


def _item(name: str, value: float | None, relation: _Relation, bound: float, binds: bool) -> Item:
    met = value is not None and math.isfinite(value) and _HOLDS[relation](value, bound)
    return Item(name, value, f"{relation} {bound:g}", met, binds)


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
