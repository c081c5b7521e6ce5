"""A better recipe, searched for in one command: `xrl search`."""

from pathlib import Path
from typing import Annotated, cast, get_args

import typer
import yaml

from xrl.commands.choices import MoreOption, SymbolsOption, chosen_symbols
from xrl.commands.root import here
from xrl.commands.study_data import (
    ContextOption,
    DataOption,
    EndOption,
    FoldsOption,
    StartOption,
    TestDaysOption,
    chosen_config,
    chosen_files,
)
from xrl.config import load_settings
from xrl.errors import ConfigError


def search(
    more: MoreOption = None,
    data: DataOption = None,
    symbols: SymbolsOption = None,
    start: StartOption = None,
    end: EndOption = None,
    test_days: TestDaysOption = None,
    context: ContextOption = False,
    objective: Annotated[str, typer.Option(help="log_loss or f1_macro, minus LightGBM's.")] = "log_loss",
    trials: Annotated[int, typer.Option(min=1, help="Finished and pruned ones, former runs' included.")] = 20,
    folds: FoldsOption = None,
    seed: Annotated[int, typer.Option(help="Of the sampler and of the trainings.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder of cells and, without XRL_SEARCH_URL, the storage.")
    ] = Path("var/search"),
) -> None:
    """Search for a better recipe with Optuna; every trial is logged to MLflow and counts as tried."""
    from xrl.study import ablation
    from xrl.study import search as study
    from xrl.study.question import asked

    if objective not in get_args(study.Objective):
        known = ", ".join(get_args(study.Objective))
        raise ConfigError(f"`--objective` must be one of {known}; received {objective!r}")
    checkout, paths = here()
    config = chosen_config(checkout, data, chosen_symbols(symbols, more), test_days, context)
    question = ablation.earlier(asked("default", config, paths, out, chosen_files(data, start, end)), folds)
    settings = load_settings()
    storage = settings.search_url or f"sqlite:///{(out / 'search.db').resolve()}"
    base = config.experts.training
    found = study.run(
        out,
        question,
        study.Plan(base, cast(study.Objective, objective), trials, seed, storage, settings.tracking_url),
    )
    print(
        f"{found.finished} trials finished and {found.pruned} were pruned; the best is trial {found.number}: "
        f"{objective} {found.value:+.5f} against LightGBM's, mean of {len(question.laid)} folds"
    )
    override = study.as_override(base, found.recipe)
    print(
        f"params.yaml: experts.override: {yaml.safe_dump(override, default_flow_style=True, width=1000)}",
        end="",
    )
    print("judge it on what the search has not seen: `xrl contest` with that override, its last fold")
