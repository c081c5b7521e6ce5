"""The whole way from the exchange to a bundle in one line: `xrl train`."""

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xrl.commands.choices import (
    TIMES,
    WORLDS,
    MoreOption,
    SymbolsOption,
    VenueOption,
    WorldOption,
    chosen_symbols,
)
from xrl.commands.root import here
from xrl.config import chosen_venue, load_settings
from xrl.errors import ConfigError, TrainingError
from xrl.presets import PRESETS

if TYPE_CHECKING:
    from xrl.config import Config

log = logging.getLogger(__name__)

#: Below this the folds of params.yaml are laid over the whole history; a shorter one is halved.
_SHORT_DAYS = 60
_LEAST_LEARNED_DAYS = 3.0


def train(
    more: MoreOption = None,
    symbols: SymbolsOption = None,
    days: Annotated[int | None, typer.Option(min=1, help="To learn from and be tested on.")] = None,
    preset: Annotated[str | None, typer.Option(help=", ".join(PRESETS))] = None,
    venue: VenueOption = None,
    world: WorldOption = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=TIMES, help="UTC; default: params.yaml's, live the last hour.")
    ] = None,
    no_pull: Annotated[bool, typer.Option("--no-pull", help="Train on what the store holds.")] = False,
) -> None:
    """Pull, train, test and pack one recipe in a workspace of its own; params.yaml stays as it is."""
    from xrl.commands.market import pull
    from xrl.workspace import Request, open_workspace

    config = here()[0]
    if preset is not None and preset not in PRESETS:
        raise ConfigError(f"`--preset` must be one of {', '.join(PRESETS)}; received {preset!r}")
    if world is not None and world not in WORLDS:
        raise ConfigError(f"`--world` must be one of {', '.join(WORLDS)}; received {world!r}")
    chosen, named = chosen_venue(venue, config), chosen_symbols(symbols, more)
    source = world or config.market.world or "live"
    until = _until(config, as_of, source)
    wanted = config.snapshot.days if days is None else days
    settings = history_settings(config, days, until)
    fetched = int(settings.pop("snapshot.days", wanted))
    if not no_pull:
        pull(None, list(named), chosen, source, None, until - timedelta(days=fetched), until)
    recipe = preset or config.experts.preset
    run_id = " ".join(("train", chosen, source, recipe, str(wanted), f"{until:%Y%m%dT%H}", *named))
    request = Request(run_id, chosen, source, named, fetched, recipe, until, settings)
    where = load_settings()
    path = open_workspace(Path.cwd(), request, keep=where.keep_workspaces, remote=where.dvc_remote)
    _reproduce(path)
    print(_told(path))


def history_settings(config: "Config", days: int | None, until: datetime) -> dict[str, Any]:
    """Parameters under which `days` of history can be learned from and tested on.

    The indicators' warm-up comes before the days asked for, so that all of them count. A short history is
    halved: the first half trains, the second is tested in two folds. A very short one tests a little more,
    for an interval needs bars of two calendar weeks.

    Args:
        config: params.yaml's.
        days: asked for; None leaves params.yaml's as they are.
        until: close of the last bar.

    Raises:
        ConfigError: too few days.
    """
    from xrl.features import table

    if days is None:
        return {}
    limits = config.snapshot
    if days < limits.min_days:
        raise ConfigError(
            f"`--days` must be at least {limits.min_days} (`snapshot.min_days`); received {days}. Fewer bars "
            f"teach nothing; {limits.warn_days} or more are advised"
        )
    if days < limits.warn_days:
        log.warning("%d days are few; at least %d are advised", days, limits.warn_days)
    bars = table.required_bars(config.experts.window_bars, table.declared(config.features))
    warm = -(-bars // 24)
    settings: dict[str, Any] = {"snapshot.days": days + warm}
    if days < _SHORT_DAYS:
        learned = days - _tested_days(days, until)
        if learned < _LEAST_LEARNED_DAYS:
            raise ConfigError(
                f"`--days` of {days} up to {until:%Y-%m-%d %H:%M} leave {max(learned, 0):.1f} to learn from "
                f"after a test on bars of two calendar weeks; take {limits.warn_days} or more"
            )
        settings |= {
            "labels.folds": [0, 1],
            "labels.first_train_share": round((warm + learned) / (warm + days), 4),
            "labels.scheme": "anchored",
            "labels.train_days": None,
            "labels.cadence_days": None,
            "labels.holdout_days": 0,
        }
    return settings


def _tested_days(days: int, until: datetime) -> float:
    """Half of the days, or so many that a day of the calendar week before the last one is among them."""
    last = until - timedelta(hours=1)
    monday = (last - timedelta(days=last.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(days / 2, (until - monday) / timedelta(days=1) + 1.0)


def _until(config: "Config", as_of: datetime | None, source: str) -> datetime:
    if as_of is not None:
        return as_of.replace(tzinfo=UTC)
    if source == "live":
        settled = datetime.now(UTC) - timedelta(seconds=config.pull.settle_s)
        return settled.replace(minute=0, second=0, microsecond=0)
    return config.snapshot.as_of


def _reproduce(path: Path) -> None:
    """`dvc repro` in the workspace, by this Python and the workspace's own code.

    Raises:
        TrainingError: a stage failed; what it said stands above.
    """
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": str(path), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=path, env=environment, check=False)
    if done.returncode != 0:
        raise TrainingError(
            f"training stopped in {path}; the stage that failed says above why and what to do. The same "
            "command goes on there: stages that are done are not done again"
        )


def _told(path: Path) -> str:
    """What was reached, and what to do with it."""
    from xrl.paths import Paths

    found = json.loads(Paths(path).metrics.read_text())
    said = found["prediction"]
    figures = [
        f"{name} {said[key]['value']:.3f} [{said[key]['low']:.3f}, {said[key]['high']:.3f}]"
        for name, key in (("F1 macro", "f1_macro"), ("direction", "direction_accuracy"))
    ]
    sharpe = found["trading"]["sharpe"]
    return (
        f"out of sample: {', '.join(figures)}, of F1 {said['f1_volatility_only']:.3f} without direction; net "
        f"Sharpe {sharpe['value']:.2f} [{sharpe['low']:.2f}, {sharpe['high']:.2f}]\n"
        f"bundle: {Paths(path).bundle}\n"
        f"have it judged: xrl register --root {path} && xrl gate"
    )
