"""What the studies of recipes are told of their data: options in, files and parameters out."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrl.commands.choices import TIMES
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
FoldsOption = Annotated[int | None, typer.Option(min=1, help="The first so many; default: all but the last.")]


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
