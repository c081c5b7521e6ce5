"""The two kinds of expert behind one face: an ensemble of networks on windows, boosted trees on single bars.

Enters: an expert's name, rows, masks, the section `experts`. Leaves: something that can be asked and written.
The stages `experts`, `refit` and `bundle` treat both alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrl import columns
from xrl.config import ExpertParams
from xrl.experts import backend, boosted
from xrl.experts.answers import Said
from xrl.experts.windows import Rows, window_ends
from xrl.presets import Preset
from xrl.stages.aside import aside

if TYPE_CHECKING:
    from xrl.experts.ensemble import Trained
    from xrl.experts.monitor import Watch


@dataclass(frozen=True)
class Expert:
    """A trained expert.

    Attributes:
        members: an `ensemble.Ensemble`, or LightGBM's bags.
        window: bars it reads; trees read one.
        about: plain figures of every member, in order.
        history: one row for each epoch of each network; None for trees.
    """

    members: Any
    window: int
    about: tuple[dict[str, Any], ...] = ()
    history: pd.DataFrame | None = None


@dataclass(frozen=True)
class Bars:
    """Rows as an expert reads them, and the masks (rows,) of those to learn from and to look at."""

    rows: Rows
    learned: NDArray[np.bool_]
    held: NDArray[np.bool_]


def fit_expert(
    name: str,
    bars: Bars,
    params: ExpertParams,
    *,
    epochs: Sequence[int] | None = None,
    folder: Path | None = None,
    watch: "Watch | None" = None,
) -> Expert:
    """Train an expert.

    Args:
        name: one of `columns.VOTERS`.
        bars: what it learns from.
        params: section `experts`.
        epochs: of each recipe, fixed; None: as the recipes say.
        folder: of its networks' checkpoints.
        watch: told of every epoch.

    Raises:
        TrainingError: training cannot start or diverged.
    """
    if name == columns.BOOSTED:
        x, y = bars.rows.x[bars.learned], bars.rows.label[bars.learned]
        bags = boosted.fit(x, y, params.seeds[0])
        return Expert(bags, 1, tuple({"seed": params.seeds[0] + number} for number in range(len(bags))))
    return _fit_networks(bars, params, epochs, folder, watch)


def ask(expert: Expert, rows: Rows, wanted: NDArray[np.int64], temperature: float = 1.0) -> Said:
    """What an expert says of the rows `wanted` (n,), each the end of an unbroken window of its own length."""
    if expert.window == 1:
        return boosted.answer(expert.members, rows.x[wanted], temperature)
    from xrl.experts import ensemble

    return ensemble.answer(expert.members, rows, wanted, temperature)


def rows_answered(expert: Expert, rows: Rows, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Row numbers of `mask` that the expert can be asked about."""
    return np.flatnonzero(mask & window_ends(rows.position, expert.window))


def write_members(folder: Path, expert: Expert) -> None:
    """Write networks, maps and history, or bags: same content, same bytes."""
    if expert.window == 1:
        for number, bag in enumerate(expert.members):
            with aside(folder / boosted.BAG.format(number)) as place:
                boosted.save(bag, place)
        return
    from xrl.experts import ensemble, storage

    for number, model in enumerate(expert.members.models):
        with aside(folder / ensemble.NETWORK.format(number)) as place:
            storage.save_model(model, place)
    with aside(folder / ensemble.BASES) as place:
        np.save(place, np.stack(expert.members.bases).astype(np.float32), allow_pickle=False)
    if expert.history is not None:
        with aside(folder / "history.csv") as place:
            expert.history.to_csv(place, index=False, lineterminator="\n")


def read_members(folder: Path, name: str, window: int) -> Expert:
    """Read what `write_members` wrote.

    Raises:
        DataError: a file is missing.
    """
    if name == columns.BOOSTED:
        return Expert(boosted.load(folder), 1)
    backend.prepare()
    from xrl.experts import ensemble

    return Expert(ensemble.load(folder, window), window)


def _fit_networks(
    bars: Bars,
    params: ExpertParams,
    epochs: Sequence[int] | None,
    folder: Path | None,
    watch: "Watch | None",
) -> Expert:
    backend.prepare()
    from xrl.experts import ensemble

    recipes = params.recipes
    if epochs is not None:
        recipes = tuple(_whole(recipe, count) for recipe, count in zip(recipes, epochs))
    networks = ensemble.fit(
        bars.rows,
        bars.learned,
        bars.held,
        recipes,
        params.seeds,
        params.window_bars,
        folder=folder,
        watch=watch,
    )
    joined = ensemble.joined(networks, bars.rows, bars.learned, params.window_bars)
    about = tuple(
        {"member": own.member, "seed": own.seed, "epochs": own.fitted.epochs, "final": dict(own.fitted.final)}
        for own in networks
    )
    return Expert(joined, params.window_bars, about, pd.concat(map(_curve, networks), ignore_index=True))


def _curve(network: "Trained") -> pd.DataFrame:
    """One network's history: member, seed, epoch and the figures of each epoch."""
    found = pd.DataFrame(network.fitted.history).astype({"epoch": int})
    found.insert(0, "seed", network.seed)
    found.insert(0, "member", network.member)
    return found


def _whole(preset: Preset, epochs: int) -> Preset:
    """`preset` over a fixed number of epochs."""
    return preset.model_copy(update={"schedule": preset.schedule.model_copy(update={"epochs": epochs})})
