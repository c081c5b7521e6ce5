"""`xrl features list`: the table of features. It prints; `xrl.__main__` registers it."""

from pathlib import Path
from typing import Annotated

import typer

from xrl.config import load_config
from xrl.errors import ConfigError
from xrl.paths import Paths

app = typer.Typer(pretty_exceptions_enable=False)


@app.command("list")
def list_features(
    group: Annotated[str | None, typer.Option(help="pattern, indicator or policy; default: all.")] = None,
    page: Annotated[
        bool, typer.Option("--page", help="Write the built-in ones into docs/features.md instead.")
    ] = False,
) -> None:
    """Print every column: who reads it, inputs, unit, window, warm-up, NaN behaviour, formula."""
    from rich.console import Console
    from rich.table import Table

    from xrl.features import catalogue, table
    from xrl.features.feature import GROUPS

    paths = Paths(Path.cwd())
    config = load_config(paths.params)
    if page:
        place = paths.root / "docs" / "features.md"
        place.write_text(catalogue.page(place.read_text(), table.FEATURES))
        print(f"written: {place.relative_to(paths.root)}")
        return
    declared = table.declared(config.features)
    if group is not None and group not in GROUPS:
        raise ConfigError(f"`--group` must be one of {', '.join(GROUPS)}; received {group!r}")
    chosen = [feature for feature in declared if group is None or group in feature.groups]
    shown = Table(*catalogue.HEADINGS, title=f"{len(chosen)} columns")
    for row in catalogue.rows(chosen):
        shown.add_row(*row)
    console = Console()
    console.width = console.width if console.is_terminal else 200
    console.print(shown, markup=False)
