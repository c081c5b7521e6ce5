"""The command `xrl search`: Optuna over a bounded space of recipes, judged against LightGBM on earlier folds.

Enters: a question, the recipe that is varied. Leaves: a study in a shared storage, one MLflow run a trial,
which the gate counts as tried. The last fold is never looked at. A trial is pruned after a fold that stands
below the median of the others; its cells stay, so a killed search goes on where it was.
"""

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from xrl import columns as c
from xrl.backtest.report import predictions_of
from xrl.errors import ConfigError
from xrl.presets import Preset
from xrl.study import cells
from xrl.study.figures import RIVAL, plain_scores
from xrl.study.question import Question
from xrl.study.roster import ALL, Entrant
from xrl.study.space import suggested
from xrl.study.tracks import judged_rows
from xrl.study.variants import recipe
from xrl.tracking import Run, connect, log_run, without_password

log = logging.getLogger(__name__)

Objective = Literal["log_loss", "f1_macro"]
_OVER: Final = (TrialState.COMPLETE, TrialState.PRUNED)
#: Trials before the first is pruned.
_UNPRUNED: Final = 4


class Plan(NamedTuple):
    """What is searched for, and where it is remembered.

    Attributes:
        base: the recipe that is varied.
        objective: what is best, LightGBM's on the same bars taken off.
        trials: finished and pruned ones, former runs' included.
        seed: of sampler and trainings.
        storage: of Optuna, e.g. `sqlite:///...`; several processes may share it.
        url: of the MLflow server.
    """

    base: Preset
    objective: Objective
    trials: int
    seed: int
    storage: str
    url: str


class Best(NamedTuple):
    """The best finished trial, and how many there are."""

    number: int
    value: float
    recipe: Preset
    finished: int
    pruned: int


def run(root: Path, question: Question, plan: Plan) -> Best:
    """Search until `plan.trials` trials are over.

    Args:
        root: folder of the cells.
        question: what is predicted, on its earlier folds.
        plan: see there.

    Raises:
        ConfigError: the storage cannot be reached, or no trial finished.
        RegistryError: the tracking server cannot be reached or refuses.
    """
    client = connect(plan.url)  # before hours of training, not after
    study = _study(question, plan)
    _take_up(study)

    def record(_: optuna.Study, trial: FrozenTrial) -> None:
        if trial.state in _OVER:
            log_run(client, plan.url, _run_of(question, plan, trial))

    enough = optuna.study.MaxTrialsCallback(plan.trials, states=_OVER)
    if len(study.get_trials(deepcopy=False, states=_OVER)) < plan.trials:
        study.optimize(_objective(root, question, plan), callbacks=[record, enough])
    return _best(study, plan)


def _study(question: Question, plan: Plan) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = f"{question.config.market.model_name}-{question.name}-{len(question.laid)}-{plan.objective}"
    try:
        return optuna.create_study(
            study_name=name,
            storage=plan.storage,
            sampler=optuna.samplers.TPESampler(seed=plan.seed, multivariate=False),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED),
            direction="minimize" if plan.objective == "log_loss" else "maximize",
            load_if_exists=True,
        )
    except (OSError, RuntimeError, ValueError, ImportError, SQLAlchemyError) as error:
        raise ConfigError(f"no search can be kept at {without_password(plan.storage)}: {error}") from error


def _take_up(study: optuna.Study) -> None:
    """Give up trials whose process on this machine is gone, and ask for the same values first."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        host, _, process = str(trial.user_attrs.get("process", "")).partition(":")
        if host == socket.gethostname() and not Path(f"/proc/{process}").exists():
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)
            log.info("trial %d was killed; its values are tried again", trial.number)


def _objective(root: Path, question: Question, plan: Plan) -> Callable[[optuna.Trial], float]:
    rows = judged_rows(question)
    rival = Entrant(RIVAL, "lightgbm")

    def value(trial: optuna.Trial) -> float:
        trial.set_user_attr("process", f"{socket.gethostname()}:{os.getpid()}")
        own = recipe(plan.base, suggested(trial))
        entrant = Entrant("search", "network", (ALL,), own)
        trial.set_user_attr("recipe", own.model_dump(mode="json"))
        gains: list[float] = []
        for fold in range(len(question.laid)):
            ours, theirs = (_score(root, question, rows, one, fold, plan) for one in (entrant, rival))
            gains.append(ours - theirs)
            mean = float(np.mean(gains))
            trial.set_user_attr(f"fold_{fold}", gains[-1])
            log.info("trial %d, fold %d: %s minus LightGBM's %+.5f", trial.number, fold, plan.objective, mean)
            trial.report(mean, fold)
            if fold + 1 < len(question.laid) and trial.should_prune():
                raise optuna.TrialPruned
        return mean

    return value


def _score(
    root: Path, question: Question, rows: pd.DataFrame, entrant: Entrant, fold: int, plan: Plan
) -> float:
    cell = cells.Cell(entrant, ALL, fold, plan.seed)
    cells.complete(root, question, cell)
    own = rows[rows[c.FOLD] == fold]
    found = cells.probabilities(root, question, cell)
    table = own.assign(**dict(zip(c.probability_columns("own"), found.T)))
    return plain_scores(predictions_of(table, "own"))[plan.objective]


def _run_of(question: Question, plan: Plan, trial: FrozenTrial) -> Run:
    """A trial's run in the experiment of the market's model, where the gate counts it as tried."""
    experts = question.config.experts
    own = Preset.model_validate(trial.user_attrs["recipe"])
    digest = Entrant("search", "network", (ALL,), own).digest(experts.window_bars, experts.calibration_share)
    gains = {key: value for key, value in trial.user_attrs.items() if key.startswith("fold_")}
    return Run(
        experiment=question.config.market.model_name,
        name=f"search {trial.number}",
        params={"trial": trial.number, "objective": plan.objective, "recipe": own.model_dump(mode="json")},
        metrics={**gains, **({} if trial.value is None else {"value": trial.value})},
        tags={"kind": "search", "recipe": f"search-{digest}", "state": trial.state.name.lower()},
    )


def _best(study: optuna.Study, plan: Plan) -> Best:
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not finished:
        raise ConfigError(f"no trial finished; raise `--trials` above {plan.trials}")
    best = study.best_trial
    value = float(best.value if best.value is not None else np.nan)
    own = Preset.model_validate(best.user_attrs["recipe"])
    pruned = len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
    return Best(best.number, value, own, len(finished), pruned)


def as_override(base: Preset, found: Preset) -> dict[str, dict[str, Any]]:
    """What `found` sets otherwise than `base`, as `experts.override` takes it."""
    plain, other = base.model_dump(mode="json"), found.model_dump(mode="json")
    changed = {
        section: {key: value for key, value in values.items() if plain[section][key] != value}
        for section, values in other.items()
    }
    return {section: values for section, values in changed.items() if values}
