"""How a history is divided, and the days kept from every model: `xrl folds`, `xrl holdout`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from xrl.commands.root import here
from xrl.config import load_config
from xrl.paths import Paths

folds_app = typer.Typer(no_args_is_help=True, help="How the history is divided.")
holdout_app = typer.Typer(no_args_is_help=True, help="The last days, which no model has seen.")


@folds_app.callback()
def folds() -> None:
    """Keep `show` a sub-command: more will come."""


@folds_app.command("show")
def folds_show(
    groups: Annotated[
        int | None, typer.Option(help="Show combinatorial splits of so many groups instead.")
    ] = None,
    tested: Annotated[int, typer.Option(help="With --groups: groups tested at a time.")] = 2,
    picture: Annotated[Path, typer.Option(help="Where the SVG goes.")] = Path("var/folds.svg"),
) -> None:
    """Draw who learns and who is tested when, with bars and class shares; write it as a picture too."""
    from xrl.labels import drawing, shown
    from xrl.stages.aside import aside

    config, paths = here()
    if groups is None:
        drawn = shown.walk_forward_lanes(paths)
    else:
        drawn = shown.combinatorial_lanes(paths, config.labels, groups, tested)
    print(drawing.text(drawn))
    with aside(picture) as place:
        place.write_text(drawing.svg(drawn, f"{config.market.name}: {config.labels.kind}"))
    print(f"\nas a picture: {picture}")


@holdout_app.command("open")
def holdout_open(
    reason: Annotated[str, typer.Option(help="Why now; it is logged.")],
    again: Annotated[
        bool, typer.Option("--again", help="Open days that were opened before once more; logged as such.")
    ] = False,
    root: Annotated[Path, typer.Option(help="Checkout or workspace whose stages have run.")] = Path(),
) -> None:
    """Hand out the outcomes of the held-out days. Once: it is logged, and a second opening is refused."""
    from xrl.stages.holdout import open_holdout

    paths = Paths(root.resolve())
    opened = open_holdout(load_config(paths.params), paths, datetime.now(UTC), reason, again)
    if earlier := opened.entry.earlier:
        print(f"!!! OPENED BEFORE ({len(earlier)}): these days are no test of the unseen any more !!!")
        for old in earlier:
            print(f"!!!   {old.sentence()}")
    print(opened.entry.opening.sentence())
    print(f"{opened.entry.opening.bars} bars, with their outcomes: {paths.holdout_labels}")
    print(f"logged as {opened.entry.hash}")


@holdout_app.command("log")
def holdout_log() -> None:
    """Who opened the holdout of this market, when, at which commit and recipe; the chain is checked."""
    from xrl.labels.openings import read

    config, paths = here()
    openings, newest = read(paths.holdout_log(config.market.name))
    for opening in openings:
        print(opening.sentence())
    print(f"{len(openings)} openings, newest hash {newest}" if openings else "never opened")
