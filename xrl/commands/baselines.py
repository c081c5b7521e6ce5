"""Simple models on any data, in one command: `xrl baselines`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from xrl.commands.choices import TIMES, MoreOption, SymbolsOption, chosen_symbols
from xrl.commands.root import here
from xrl.config import Config
from xrl.errors import ConfigError
from xrl.paths import Paths


def baselines(
    more: MoreOption = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of candle files; default: what the stages have written.")
    ] = None,
    symbols: SymbolsOption = None,
    start: Annotated[datetime | None, typer.Option(formats=TIMES, help="With --data; default: all.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=TIMES, help="With --data; default: all.")] = None,
    test_days: Annotated[
        int | None, typer.Option(min=1, help="Length of each fold's test span; default: params.yaml's.")
    ] = None,
    groups: Annotated[
        int | None,
        typer.Option(help="On all paths of a combinatorial cross-validation of so many groups instead."),
    ] = None,
    tested: Annotated[int, typer.Option(help="With --groups: groups tested at a time.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder of the page, its figures and pictures.")] = Path(
        "var/baselines"
    ),
) -> None:
    """Measure majority, volatility-only, logistic and LightGBM out of sample, with intervals and trading.

    Walked forward; with --groups on every path of a combinatorial purged cross-validation, to choose by.
    """
    from tempfile import TemporaryDirectory

    import pandas as pd

    from xrl.stages import baseline_paths, from_files
    from xrl.stages import baselines as stage

    def measured(config: Config, paths: Paths) -> Path:
        if groups is None:
            stage.run(config, paths, out)
            return out / "baselines.md"
        baseline_paths.run(config, paths, out, groups, tested)
        return out / "paths.md"

    config, paths = here()
    if data is None:
        if symbols or more or start or end or test_days:
            raise ConfigError("--symbols, --start, --end and --test-days choose from the files of --data")
        page = measured(config, paths)
    else:
        chosen = config.model_copy(
            update={
                "market": config.market.model_copy(
                    update={"name": data.resolve().name, "symbols": chosen_symbols(symbols, more)}
                ),
                "labels": config.labels.model_copy(update={"cadence_days": test_days} if test_days else {}),
            }
        )
        span = [None if time is None else pd.Timestamp(time.replace(tzinfo=UTC)) for time in (start, end)]
        with TemporaryDirectory(prefix="xrl-baselines-") as root:
            from_files.run(chosen, data, Paths(Path(root)), *span)
            page = measured(chosen, Paths(Path(root)))
    print(page.read_text())
