"""The six-hour forecast: the stage, or the same on any files in one command."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from xrl.commands.choices import TIMES, MoreOption, SymbolsOption, chosen_symbols
from xrl.commands.root import here
from xrl.errors import ConfigError
from xrl.paths import Paths


def forecast(
    more: MoreOption = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of candle files; default: what the stages have written.")
    ] = None,
    symbols: SymbolsOption = None,
    start: Annotated[datetime | None, typer.Option(formats=TIMES, help="With --data; default: all.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=TIMES, help="With --data; default: all.")] = None,
    out: Annotated[Path, typer.Option(help="With --data: folder of report and predictions.")] = Path(
        "var/forecast"
    ),
) -> None:
    """Train the forecast of the next six hours walk-forward, refit and export it, if it is enabled.

    With --data it is trained on those files whether it is enabled or not, and its figures are shown.
    """
    import json
    import shutil
    from tempfile import TemporaryDirectory

    import pandas as pd

    from xrl.stages import forecast as stage
    from xrl.stages import forecast_page, from_files

    config, paths = here()
    if data is None:
        if symbols or more or start or end:
            raise ConfigError("--symbols, --start and --end choose from the files of --data")
        stage.run(config, paths)
        print(forecast_page.markdown(json.loads(paths.forecast_report.read_bytes())))
        return
    chosen = config.model_copy(
        update={
            "market": config.market.model_copy(
                update={"name": data.resolve().name, "symbols": chosen_symbols(symbols, more)}
            ),
            "forecast": config.forecast.model_copy(update={"enabled": True}),
        }
    )
    span = [None if time is None else pd.Timestamp(time.replace(tzinfo=UTC)) for time in (start, end)]
    with TemporaryDirectory(prefix="xrl-forecast-") as root:
        own = Paths(Path(root))
        from_files.run(chosen, data, own, *span)
        stage.run(chosen, own)
        out.mkdir(parents=True, exist_ok=True)
        for path in (own.forecast_report, own.forecast_predictions):
            shutil.copy(path, out / path.name)
    print(forecast_page.markdown(json.loads((out / "report.json").read_bytes())))
