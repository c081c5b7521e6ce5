"""The command `xrl ablate`: each improvement of the sources alone and together, on the same folds and seeds.

Enters: a question, a baseline recipe. Leaves: DVC experiments, a page with paired intervals against the
baseline, one MLflow run a recipe, which counts as tried. The last fold is never looked at.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from xrl.backtest.report import plain_tree, predictions_of
from xrl.config import Config
from xrl.errors import ConfigError
from xrl.evaluation import summary
from xrl.labels import folds
from xrl.paths import Paths
from xrl.presets import Preset
from xrl.stages.aside import write_json
from xrl.study import cells
from xrl.study.experiments import FIGURES, Experiments
from xrl.study.figures import plain_scores
from xrl.study.question import Question
from xrl.study.roster import ALL, Entrant
from xrl.study.tracks import tracks
from xrl.study.variants import BASELINE, VARIANTS, Override, recipe
from xrl.tracking import Run, connect, log_run

log = logging.getLogger(__name__)


class Scope(NamedTuple):
    """On what every recipe is measured.

    Attributes:
        folds: the first so many; the last one of all is never among them.
        seeds: trainings averaged.
        parts: columns of the members, as in `roster.Entrant`.
    """

    folds: int
    seeds: int
    parts: tuple[str, ...] = (ALL,)


class Plan(NamedTuple):
    """What is measured, and where it is recorded.

    Attributes:
        base: the recipe without any improvement.
        variants: overrides by name.
        scope: folds, seeds and columns.
        url: of the MLflow server.
    """

    base: Preset
    variants: Mapping[str, Override]
    scope: Scope
    url: str


def chosen_variants(names: Sequence[str]) -> dict[str, Override]:
    """Those of `VARIANTS` that are named; all for none.

    Raises:
        ConfigError: there is no such variant.
    """
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise ConfigError(f"`--only` knows {', '.join(VARIANTS)}; received {', '.join(unknown)}")
    return {name: own for name, own in VARIANTS.items() if not names or name in names}


def earlier(question: Question, count: int | None) -> Question:
    """The question on its first `count` folds; None for all but the last.

    Raises:
        ConfigError: the last fold would be among them, or none is left.
    """
    most = len(question.laid) - 1
    wanted = most if count is None else count
    if not 1 <= wanted <= most:
        raise ConfigError(
            f"`--folds` must lie between 1 and {most}: the last of {len(question.laid)} folds is kept for "
            f"the final figures; received {wanted}"
        )
    return replace(question, laid=question.laid[:wanted])


def tell(root: Path, question: Question, plan: Plan) -> dict[str, dict[str, Any]]:
    """Measure the baseline and every variant, one DVC experiment after the other, record and compare them.

    Args:
        root: folder of the experiments.
        question: what is predicted, on its earlier folds.
        plan: what is measured, and where it is recorded.

    Raises:
        ConfigError: an experiment failed.
        RegistryError: the tracking server cannot be reached or refuses.
    """
    client = connect(plan.url)  # before hours of training, not after
    scope = plan.scope
    write_json(root / "study.json", _study(question, scope))
    about = {"folds": scope.folds, "seeds": scope.seeds, "parts": list(scope.parts), **_tables(question)}
    experiments = Experiments(root, about)
    experiments.baseline(BASELINE, plan.base)
    recipes = {name: recipe(plan.base, own) for name, own in {BASELINE: {}, **plan.variants}.items()}
    fresh = []
    for number, (name, own) in enumerate(recipes.items(), 1):
        log.info("%s, %d of %d", name, number, len(recipes))
        if experiments.measured(name, own) is None:
            experiments.measure(name, own)
            fresh.append(name)
    found = _compared(root, question, recipes, scope)
    for name in fresh:
        log_run(client, plan.url, _record(question, name, recipes[name], found[name], scope))
    return found


def measure(root: Path) -> dict[str, Any]:
    """What the stage does: train the recipe of `root/params.yaml`, write its figures.

    Raises:
        TrainingError: training cannot start or diverged.
    """
    params = yaml.safe_load((root / "params.yaml").read_text())
    question, scope = _read_study(json.loads((root / "study.json").read_text()))
    entrant = _entrant(params["variant"], Preset.model_validate(params["recipe"]), scope)
    for state in cells.compute(root, question, [entrant], fresh=True):
        log.info("%d of %d cells, %.0f s of CPU", *state)
    judged = tracks(root, question, [entrant])
    found = plain_scores(predictions_of(judged.rows, entrant.name))
    write_json(root / FIGURES, found)
    return found


def _compared(
    root: Path, question: Question, recipes: Mapping[str, Preset], scope: Scope
) -> dict[str, dict[str, Any]]:
    """Figures of each recipe with intervals, and paired with the baseline's on the same bars."""
    entrants = [_entrant(name, own, scope) for name, own in recipes.items()]
    judged = tracks(root, question, entrants)
    draws, seed = question.config.backtest.bootstrap, question.config.backtest.bootstrap_seed
    theirs = predictions_of(judged.rows, BASELINE)
    found: dict[str, dict[str, Any]] = {}
    for name in recipes:
        ours = predictions_of(judged.rows, name)
        own: dict[str, Any] = summary.prediction_figures(ours, draws, seed)
        if name != BASELINE:
            own["paired"] = summary.paired_figures(ours, theirs, draws, seed)
        found[name] = plain_tree(own)
    return found


def _record(question: Question, name: str, own: Preset, found: Mapping[str, Any], scope: Scope) -> Run:
    """A recipe's run in the experiment of the market's model, where the gate counts it as tried."""
    experts = question.config.experts
    digest = _entrant(name, own, scope).digest(experts.window_bars, experts.calibration_share)
    params = {"variant": name, **scope._asdict(), "recipe": own.model_dump(mode="json")}
    tags = {"kind": "ablation", "recipe": f"ablation-{digest}"}
    return Run(question.config.market.model_name, f"ablation {name}", params, found, tags)


def _entrant(name: str, own: Preset, scope: Scope) -> Entrant:
    return Entrant(name, "network", scope.parts, own, scope.seeds)


def _tables(question: Question) -> dict[str, str]:
    """What the figures are of, so that DVC sees other tables as another experiment."""
    spans = [f"{fold.test_start.isoformat()}..{fold.test_end.isoformat()}" for fold in question.laid]
    return {"label": question.name, "market": question.config.market.name, "tested": ", ".join(spans)}


def _study(question: Question, scope: Scope) -> dict[str, Any]:
    return {
        "name": question.name,
        "config": question.config.model_dump(mode="json"),
        "tables": str(question.paths.root.resolve()),
        "scope": scope._asdict(),
    }


def _read_study(study: Mapping[str, Any]) -> tuple[Question, Scope]:
    paths = Paths(Path(study["tables"]))
    scope = Scope(**{**study["scope"], "parts": tuple(study["scope"]["parts"])})
    laid = folds.load(paths.folds)[0][: scope.folds]
    return Question(study["name"], Config.model_validate(study["config"]), paths, laid), scope
