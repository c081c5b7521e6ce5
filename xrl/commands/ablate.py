"""What each improvement changes, in one command: `xrl ablate`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from xrl import presets
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


def ablate(
    more: MoreOption = None,
    data: DataOption = None,
    symbols: SymbolsOption = None,
    start: StartOption = None,
    end: EndOption = None,
    test_days: TestDaysOption = None,
    context: ContextOption = False,
    preset: Annotated[
        str, typer.Option(help="Baseline, without `experts.override`; default: params.yaml's.")
    ] = "",
    only: Annotated[str, typer.Option(help="Comma-separated variants; default: all.")] = "",
    folds: FoldsOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings averaged.")] = 2,
    page: Annotated[Path, typer.Option(help="The table.")] = Path("docs/ablation.md"),
    out: Annotated[Path, typer.Option(help="Repository of the experiments.")] = Path("var/ablation"),
    measure: Annotated[bool, typer.Option("--measure", hidden=True)] = False,
) -> None:
    """Measure each improvement of the sources alone and together, as DVC experiments; done ones are kept."""
    from xrl.study import ablation, ablation_page
    from xrl.study.question import asked

    if measure:  # the stage of an experiment, in the repository's folder
        print(ablation.measure(Path.cwd()))
        return
    checkout, paths = here()
    config = chosen_config(checkout, data, chosen_symbols(symbols, more), test_days, context)
    files = chosen_files(data, start, end)
    whole = asked("default", config, paths, out, files)
    question = ablation.earlier(whole, folds)
    base = presets.chosen(preset, {}) if preset else config.experts.training
    scope = ablation.Scope(len(question.laid), seeds)
    variants = ablation.chosen_variants(only.replace(",", " ").split())
    found = ablation.tell(out, question, ablation.Plan(base, variants, scope, load_settings().tracking_url))
    first, last = question.laid[0], question.laid[-1]
    about = (
        f"{config.market.name}: {', '.join(config.market.symbols)}; preset "
        f"`{preset or config.experts.preset}`, one network on all columns, {seeds} "
        f"{'seed' if seeds == 1 else 'seeds averaged'}, tested "
        f"{first.test_start:%Y-%m-%d} to {last.test_end:%Y-%m-%d} in {len(question.laid)} folds."
    )
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(ablation_page.markdown(found, variants, about, shlex.join(["xrl", *sys.argv[1:]])))
    print(page.read_text())
