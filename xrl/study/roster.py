"""Who takes part in a contest: named learners and the averages of them.

Leaves: `Entrant`s, each with the columns its parts read and its recipe, and `Blend`s of their probabilities.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from xrl import columns
from xrl.errors import ConfigError
from xrl.presets import PRESETS, Network, Preset

#: All columns that an expert of either kind reads.
ALL: Final = "all"
Learner = Literal["logistic", "lightgbm", "lightgbm_plain", "network"]


class Entrant(NamedTuple):
    """A model of the contest.

    Attributes:
        name: of its row in the table.
        learner: what is fitted.
        parts: the columns of each of its members, whose probabilities are averaged: `pattern`, `indicator`
            or `all`.
        preset: recipe of a network.
        seeds: trainings of each part and fold, averaged.
        folds: the last so many folds alone; None: every fold.
    """

    name: str
    learner: Learner
    parts: tuple[str, ...] = (ALL,)
    preset: Preset | None = None
    seeds: int = 1
    folds: int | None = None

    def digest(self, window: int, share: float) -> str:
        """Ten hex digits over everything that decides what a training of it gives.

        Args:
            window: bars a network reads.
            share: of the training bars, kept for calibration.
        """
        recipe = None if self.preset is None else self.preset.model_dump(mode="json")
        text = json.dumps([self.learner, recipe, *((window, share) if recipe else ())], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def folds_of(self, count: int) -> range:
        """Numbers of the folds it takes part in, of `count` folds."""
        return range(0 if self.folds is None else max(count - self.folds, 0), count)


class Blend(NamedTuple):
    """A mean of entrants' probabilities; `fitted`: with weights of each that earlier folds decide."""

    members: tuple[str, ...]
    fitted: bool = False


#: The experts of the product, and their rivals. The measured recipe reads all columns in one network.
NETWORKS: Final = ("lstm", "cnn_lstm", "transformer", "xlstm")
BLENDS: Final[Mapping[str, Blend]] = {
    "networks": Blend(NETWORKS),
    "xlstm_and_lightgbm": Blend(("xlstm", "lightgbm")),
    "experts_and_lightgbm": Blend(("xlstm_experts", "lightgbm")),
    "networks_and_lightgbm": Blend(("networks", "lightgbm")),
    "xlstm_stacked": Blend(("xlstm", "lightgbm"), fitted=True),
    "networks_stacked": Blend(("networks", "lightgbm"), fitted=True),
}


def entrants(recipe: Preset, seeds: int, few: Mapping[str, int] | None = None) -> tuple[Entrant, ...]:
    """Everybody, from the simplest to the largest.

    Args:
        recipe: of the networks, whose architecture alone differs.
        seeds: trainings averaged, of every entrant but the deterministic ones.
        few: name -> seeds, where they are fewer.
    """
    built = {name: {**recipe.network.model_dump(), "architecture": name} for name in NETWORKS}
    recipes = {
        name: recipe.model_copy(update={"network": Network.model_validate(shape)})
        for name, shape in built.items()
    }
    found = [
        Entrant("logistic", "logistic"),
        Entrant("lightgbm_plain", "lightgbm_plain"),
        Entrant("lightgbm", "lightgbm", seeds=seeds),
        Entrant("xlstm_experts", "network", columns.EXPERTS, recipes["xlstm"], seeds),
        *(Entrant(name, "network", preset=recipes[name], seeds=seeds) for name in reversed(NETWORKS)),
        Entrant("xlstm_source", "network", preset=PRESETS["source"], folds=1),
    ]
    known = few or {}
    return tuple(one._replace(seeds=min(known.get(one.name, one.seeds), one.seeds)) for one in found)


def named(names: tuple[str, ...], everybody: tuple[Entrant, ...]) -> tuple[Entrant, ...]:
    """Those of `everybody` that are asked for, all for no name.

    Raises:
        ConfigError: there is no such entrant.
    """
    known = {one.name: one for one in everybody}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"`--models` knows {', '.join(known)}; received {', '.join(unknown)}")
    return tuple(one for one in everybody if not names or one.name in names)
