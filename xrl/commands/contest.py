"""Every model beside LightGBM, in one command: `xrl contest`."""

from pathlib import Path
from typing import Annotated

import typer

from xrl.commands.choices import MoreOption, SymbolsOption, chosen_symbols
from xrl.commands.root import here
from xrl.commands.study_data import (
    ContextOption,
    DataOption,
    EndOption,
    StartOption,
    TestDaysOption,
    chosen_config,
    chosen_files,
)
from xrl.errors import ConfigError


def contest(
    more: MoreOption = None,
    data: DataOption = None,
    symbols: SymbolsOption = None,
    start: StartOption = None,
    end: EndOption = None,
    test_days: TestDaysOption = None,
    context: ContextOption = False,
    label: Annotated[
        list[str] | None, typer.Option(help="default, barrier (+-1.5 % within 6 bars), or both.")
    ] = None,
    models: Annotated[str, typer.Option(help="Comma-separated; default: all.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings averaged, of the default label.")] = 5,
    barrier_seeds: Annotated[int, typer.Option(min=1, help="The same of other labels.")] = 2,
    few: Annotated[
        str, typer.Option(help="Models of fewer seeds, e.g. transformer=2; they are marked.")
    ] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute cells of other code anew.")] = False,
    only_table: Annotated[bool, typer.Option("--only-table", help="Judge what is there.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of cells, page, figures and pictures.")] = Path(
        "var/contest"
    ),
) -> None:
    """Measure every model on the same folds, beside LightGBM; a run that was killed goes on where it was."""
    from xrl.commands.progress import CellProgress
    from xrl.study import cells, roster
    from xrl.study import contest as study
    from xrl.study.question import LABELS, asked

    checkout, paths = here()
    names = tuple(label or (LABELS if data else ("default",)))
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise ConfigError(f"`--label` knows {', '.join(LABELS)}; received {', '.join(unknown)}")
    files = chosen_files(data, start, end)
    config = chosen_config(checkout, data, chosen_symbols(symbols, more), test_days, context)
    wanted = tuple(name for name in models.replace(",", " ").split())
    questions = []
    for name in names:
        most = seeds if name == "default" else barrier_seeds
        everybody = roster.entrants(config.experts.training, most, _few(few))
        questions.append((asked(name, config, paths, out, files), roster.named(wanted, everybody)))
    if not only_table:
        with CellProgress() as shown:
            for question, entrants in questions:
                for state in cells.compute(out, question, entrants, fresh):
                    shown.told(question.name, state.done, state.wanted, state.seconds)
    study.tell(out, questions, seeds)
    print((out / "contest.md").read_text())


def _few(text: str) -> dict[str, int]:
    """`lstm=2,transformer=1` as a mapping.

    Raises:
        ConfigError: it is written otherwise.
    """
    found = {}
    for item in text.replace(",", " ").split():
        name, _, count = item.partition("=")
        if not count.isdigit() or int(count) < 1:
            raise ConfigError(f"`--few` is written like transformer=2,lstm=1; received {item!r}")
        found[name] = int(count)
    return found
