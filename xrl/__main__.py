"""The `xrl` command: one sub-command per stage, and those that meet the outside world.

Imports are lazy: a stage pays for the libraries it uses. This module alone prints.
"""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from xrl.config import Config, load_config, load_settings
from xrl.environment import apply_environment
from xrl.errors import XrlError
from xrl.paths import Paths

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]


def _here() -> tuple[Config, Paths]:
    paths = Paths(Path.cwd())
    return load_config(paths.params), paths


def _stage(name: str) -> Callable[..., None]:
    run: Callable[..., None] = import_module(f"xrl.stages.{name}").run
    return run


@app.command()
def snapshot() -> None:
    """Freeze the candles up to `snapshot.as_of` out of the market store."""
    _stage("snapshot")(*_here())


@app.command()
def features() -> None:
    """Build every feature column of every bar."""
    _stage("features")(*_here())


@app.command()
def labels() -> None:
    """Compute forward outcomes and the purged walk-forward folds."""
    _stage("labels")(*_here())


@app.command()
def experts(
    fold: Annotated[int, typer.Option(help="Fold to train.")],
    expert: Annotated[str, typer.Option(help="pattern or indicator.")],
) -> None:
    """Train one expert on one fold and predict its test bars."""
    _stage("experts")(*_here(), fold=fold, expert=expert)


@app.command()
def oof() -> None:
    """Stitch the folds' out-of-fold predictions and bring their embeddings into one space."""
    _stage("oof")(*_here())


@app.command()
def policy() -> None:
    """Train the policy of every fold on the out-of-fold predictions before it."""
    _stage("policy")(*_here())


@app.command()
def backtest() -> None:
    """Replay the walk-forward track with costs, beside its baselines."""
    _stage("backtest")(*_here())


@app.command()
def refit() -> None:
    """Train the recipe on everything through the last matured label."""
    _stage("refit")(*_here())


@app.command()
def bundle() -> None:
    """Export the refit to ONNX and pack the bundle that is promoted and served."""
    _stage("bundle")(*_here())


@app.command()
def workspace(
    run_id: Annotated[str, typer.Option(help="Name of the run; the same name finds the same workspace.")],
    world: Annotated[str, typer.Option(help="planted, random_walk, replay, or live.")],
    symbols: Annotated[str, typer.Option(help="Comma-separated, e.g. BTCUSDT,ETHUSDT.")],
    days: Annotated[int, typer.Option(help="Length of history.")],
    preset: Annotated[str, typer.Option(help="Preset of the experts.")],
    as_of: Annotated[datetime, typer.Option(help="Candles closed by then, UTC.", formats=_TIMES)],
) -> None:
    """Open a retraining's own checkout at the current commit and print its folder."""
    from xrl.workspace import Request, open_workspace

    settings = load_settings()
    request = Request(
        run_id=run_id,
        world=world,
        symbols=tuple(symbol.strip() for symbol in symbols.split(",") if symbol.strip()),
        days=days,
        preset=preset,
        as_of=as_of.replace(tzinfo=UTC),
    )
    print(open_workspace(Path.cwd(), request, keep=settings.keep_workspaces, remote=settings.dvc_remote))


def main() -> None:
    """Entry point: a user's mistake ends in one clear line and exit code 1, a bug in its traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    try:
        apply_environment(Path.cwd())
        app()
    except XrlError as error:
        print(f"xrl: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
