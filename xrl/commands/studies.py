"""Studies of recipes: the contest of all models."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrl.commands.choices import TIMES, MoreOption, SymbolsOption, chosen_symbols
from xrl.commands.root import here
from xrl.errors import ConfigError

if TYPE_CHECKING:
    from xrl.config import Config
    from xrl.study.question import Files

DataOption = Annotated[
    Path | None, typer.Option(help="Folder of candle files; default: what the stages have written.")
]
StartOption = Annotated[datetime | None, typer.Option(formats=TIMES, help="With --data; default: all.")]
EndOption = Annotated[datetime | None, typer.Option(formats=TIMES, help="With --data; default: all.")]
TestDaysOption = Annotated[
    int | None, typer.Option(min=1, help="With --data: length of each fold's test span.")
]
ContextOption = Annotated[
    bool, typer.Option("--context", help="With --data: columns of BTC's lead and of the symbols' market.")
]


def chosen_files(data: Path | None, start: datetime | None, end: datetime | None) -> "Files | None":
    """The candle files that are named.

    Raises:
        ConfigError: a span without files.
    """
    import pandas as pd

    from xrl.study.question import Files

    if data is None:
        if start or end:
            raise ConfigError("--start and --end choose from the files of --data")
        return None
    span = [None if time is None else pd.Timestamp(time.replace(tzinfo=UTC)) for time in (start, end)]
    return Files(data.resolve(), *span)


def chosen_config(
    config: "Config", data: Path | None, symbols: tuple[str, ...], test_days: int | None, context: bool
) -> "Config":
    """The checkout's parameters with what the options say of the files.

    Raises:
        ConfigError: an option speaks of files and none are named.
    """
    if data is None:
        if test_days or context or symbols != config.market.symbols:
            raise ConfigError("--symbols, --test-days and --context choose from the files of --data")
        return config
    features = config.features
    if context:
        lead = "BTCUSDT" if "BTCUSDT" in symbols else symbols[0]
        around = features.context.model_copy(update={"lead": lead, "market": symbols})
        features = features.model_copy(update={"context": around})
    return config.model_copy(
        update={
            "market": config.market.model_copy(update={"name": data.resolve().name, "symbols": symbols}),
            "labels": config.labels.model_copy(update={"cadence_days": test_days} if test_days else {}),
            "features": features,
        }
    )


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
                for state in cells.compute(out, question, entrants):
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
