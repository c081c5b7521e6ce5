"""The `xrl` command: one sub-command per stage, and those that meet the outside world.

Imports are lazy: a stage pays for the libraries it uses. This module and `commands` alone print.
"""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrl.commands import market
from xrl.commands.ablate import ablate
from xrl.commands.baselines import baselines
from xrl.commands.choices import TIMES
from xrl.commands.contest import contest
from xrl.commands.forecast import forecast
from xrl.commands.history import folds_app, holdout_app
from xrl.commands.ledger import ledger_app
from xrl.commands.root import here
from xrl.commands.search import search
from xrl.commands.train import train
from xrl.commands.training import TrainingProgress
from xrl.config import chosen_venue, load_config, load_settings
from xrl.environment import apply_environment
from xrl.errors import ConfigError, RegistryError, XrlError
from xrl.features.command import app as features_app
from xrl.paths import Paths

if TYPE_CHECKING:
    from xrl.registry.promotion import Judgement
    from xrl.registry.store import Store

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _stage(name: str) -> Callable[..., None]:
    run: Callable[..., None] = import_module(f"xrl.stages.{name}").run
    return run


@app.command()
def snapshot() -> None:
    """Freeze the candles up to `snapshot.as_of` out of the market store."""
    _stage("snapshot")(*here())


@features_app.callback(invoke_without_command=True)
def features(context: typer.Context) -> None:
    """Build every feature column of every bar; `list` prints what they are."""
    if context.invoked_subcommand is None:
        _stage("features")(*here())


@app.command()
def labels() -> None:
    """Compute forward outcomes and the purged walk-forward folds."""
    _stage("labels")(*here())


@app.command()
def experts(
    fold: Annotated[int, typer.Option(help="Fold to train.")],
    expert: Annotated[str, typer.Option(help="pattern or indicator.")],
) -> None:
    """Train one expert on one fold and predict its test bars."""
    with TrainingProgress(f"{fold}-{expert}") as shown:
        _stage("experts")(*here(), fold=fold, expert=expert, watch=shown)


@app.command()
def oof() -> None:
    """Stitch the folds' out-of-fold predictions and bring their embeddings into one space."""
    _stage("oof")(*here())


@app.command()
def policy() -> None:
    """Train the policy of every fold on the out-of-fold predictions before it."""
    _stage("policy")(*here())


@app.command()
def backtest() -> None:
    """Replay the walk-forward track with costs, beside its baselines."""
    _stage("backtest")(*here())


@app.command()
def refit() -> None:
    """Train the recipe on everything through the last matured label."""
    _stage("refit")(*here())


@app.command()
def bundle() -> None:
    """Export the refit to ONNX and pack the bundle that is promoted and served."""
    _stage("bundle")(*here())


@app.command()
def workspace(
    run_id: Annotated[str, typer.Option(help="Name of the run; the same name finds the same workspace.")],
    world: Annotated[str, typer.Option(help="planted, random_walk, replay, or live.")],
    symbols: Annotated[str, typer.Option(help="Comma-separated, e.g. BTCUSDT,ETHUSDT.")],
    days: Annotated[int, typer.Option(help="Length of history.")],
    preset: Annotated[str, typer.Option(help="Preset of the experts.")],
    as_of: Annotated[datetime, typer.Option(help="Candles closed by then, UTC.", formats=TIMES)],
    venue: Annotated[str | None, typer.Option(help="binance, bybit or okx; default: params.yaml's.")] = None,
) -> None:
    """Open a retraining's own checkout at the current commit and print its folder."""
    from xrl.workspace import Request, open_workspace

    settings = load_settings()
    request = Request(
        run_id=run_id,
        venue=chosen_venue(venue, here()[0]),
        world=world,
        symbols=tuple(symbol.strip() for symbol in symbols.split(",") if symbol.strip()),
        days=days,
        preset=preset,
        as_of=as_of.replace(tzinfo=UTC),
    )
    print(open_workspace(Path.cwd(), request, keep=settings.keep_workspaces, remote=settings.dvc_remote))


for command in (
    *(market.sandbox, market.pull, market.validate, baselines),
    *(forecast, train, contest, ablate, search),
):
    app.command()(command)
for group, name in (
    (market.market_app, "market"),
    (features_app, "features"),
    (folds_app, "folds"),
    (holdout_app, "holdout"),
    (ledger_app, "ledger"),
):
    app.add_typer(group, name=name)


_Model = Annotated[
    str | None, typer.Option(help="Registered model, e.g. xrl-planted; default: params.yaml's.")
]
_Pending = Annotated[bool, typer.Option("--pending", help="Every model of ours instead of one.")]


@app.command()
def register(
    root: Annotated[Path, typer.Option(help="Checkout or workspace whose stages have run.")] = Path(),
) -> None:
    """Record a finished run and its bundle in MLflow; the new version is the model's challenger."""
    from xrl.registry.registration import register
    from xrl.registry.store import Store

    paths = Paths(root.resolve())
    store = Store(load_settings().tracking_url)
    print(register(load_config(paths.params), paths, store).sentence())


@app.command()
def gate(model: _Model = None, pending: _Pending = False) -> None:
    """Judge the challengers that wait; every decision is recorded with its figures, promoted or not."""
    from xrl.registry.promotion import judge_version, waiting
    from xrl.registry.store import Store
    from xrl.serve.predictor import replay_bundle

    config, paths = here()
    store = Store(load_settings().tracking_url)
    names = _chosen_models(model, pending, store)
    found = waiting(store, names)
    unjudged = []
    for version in found:
        try:
            _show(judge_version(store, version, replay_bundle, config.gate, paths))
        except RegistryError as error:  # the other models' challengers are judged all the same
            unjudged.append(f"{version} is not judged: {error}")
    if not found:
        print(f"no challenger waits for the gate in {', '.join(names) or 'an empty registry'}")
    if unjudged:
        raise RegistryError("; ".join(unjudged))


@app.command()
def promote(model: _Model = None, pending: _Pending = False) -> None:
    """Make challengers that passed the gate champions; running services pick them up by themselves."""
    from xrl.registry.promotion import promote
    from xrl.registry.store import Store

    store = Store(load_settings().tracking_url)
    for name in _chosen_models(model, pending, store):
        print(promote(store, name))


@app.command()
def rollback(model: _Model = None) -> None:
    """Give the champion's place back to the version that had it before."""
    from xrl.registry.promotion import rollback
    from xrl.registry.store import Store

    store = Store(load_settings().tracking_url)
    for name in _chosen_models(model, False, store):
        print(rollback(store, name))


def _chosen_models(model: str | None, pending: bool, store: "Store") -> tuple[str, ...]:
    """One model, or with `pending` all that are registered."""
    if pending and model is not None:
        raise ConfigError("`--pending` looks at every model; leave `--model` or `--pending` out")
    return store.models() if pending else (model or here()[0].market.model_name,)


def _show(judgement: "Judgement") -> None:
    from rich.console import Console
    from rich.table import Table

    from xrl.registry.used import LOUD

    decision = judgement.decision
    verdict = "promote" if decision.promote else "already champion" if decision.already_champion else "refuse"
    table = Table("", "check", "figure", "bound", "why it refuses", title=f"{judgement.version}: {verdict}")
    for check in decision.checks:
        figure = "not measured" if check.figure is None else f"{check.figure:.4g}"
        bound = "not measured" if check.bound is None else f"{check.relation} {check.bound:.4g}"
        mark, why = ("[green]ok[/]", "") if check.passed else ("[red]no[/]", check.reason)
        table.add_row(mark, check.name, figure, bound, why)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for text in decision.checklist:
        console.print(f"checklist: {text}", markup=False)
    for text in decision.not_judged:
        console.print(f"not judged here: {text}", markup=False)
    for note in decision.notes:
        console.print(note, markup=False, style="bold red" if note.startswith(LOUD) else None)


def main() -> None:
    """Entry point: a user's mistake ends in one clear line and exit code 1, a bug in its traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # tells its own registrations
    try:
        apply_environment(Path.cwd())
        app()
    except XrlError as error:
        print(f"xrl: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
