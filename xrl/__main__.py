"""The `xrl` command: one sub-command per stage, and those that meet the outside world.

Imports are lazy: a stage pays for the libraries it uses. This module alone prints.
"""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrl.config import Config, chosen_venue, load_config, load_settings
from xrl.environment import apply_environment
from xrl.errors import ConfigError, RegistryError, XrlError
from xrl.features.command import app as features_app
from xrl.paths import Paths

if TYPE_CHECKING:
    import pandas as pd
    import rich.progress

    from xrl.labels.openings import Opening
    from xrl.registry.promotion import Judgement
    from xrl.registry.store import Store

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
market_app = typer.Typer(no_args_is_help=True, help="What the market store holds.")
app.add_typer(market_app, name="market")
app.add_typer(features_app, name="features")
folds_app = typer.Typer(no_args_is_help=True, help="How the history is divided.")
app.add_typer(folds_app, name="folds")
holdout_app = typer.Typer(no_args_is_help=True, help="The last days, which no model has seen.")
app.add_typer(holdout_app, name="holdout")

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


@features_app.callback(invoke_without_command=True)
def features(context: typer.Context) -> None:
    """Build every feature column of every bar; `list` prints what they are."""
    if context.invoked_subcommand is None:
        _stage("features")(*_here())


@app.command()
def labels() -> None:
    """Compute forward outcomes and the purged walk-forward folds."""
    _stage("labels")(*_here())


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

    config, paths = _here()
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
    root: Annotated[Path, typer.Option(help="Checkout or workspace whose stages have run.")] = Path(),
) -> None:
    """Hand out the outcomes of the held-out days. Once: the opening is logged, and so is every later one."""
    from xrl.stages.holdout import open_holdout

    paths = Paths(root.resolve())
    opened = open_holdout(load_config(paths.params), paths, datetime.now(UTC), reason)
    if earlier := opened.entry.earlier:
        print(f"!!! OPENED BEFORE ({len(earlier)}): these days are no test of the unseen any more !!!")
        for old in earlier:
            print(f"!!!   {_told(old)}")
    print(_told(opened.opening))
    print(f"{opened.opening.bars} bars, with their outcomes: {paths.holdout_labels}")
    print(f"logged as {opened.entry.hash}")


@holdout_app.command("log")
def holdout_log() -> None:
    """Who opened the holdout of this market, when, at which commit and recipe; the chain is checked."""
    from xrl.labels.openings import read

    config, paths = _here()
    openings, newest = read(paths.holdout_log(config.market.name))
    for opening in openings:
        print(_told(opening))
    print(f"{len(openings)} openings, newest hash {newest}" if openings else "never opened")


def _told(opening: "Opening") -> str:
    return (
        f"{opening.opened_at} {opening.market} {opening.start}..{opening.end}, recipe {opening.recipe[:12]}, "
        f"commit {(opening.commit or 'none')[:12]}: {opening.reason}"
    )


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
def baselines(
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of candle files; default: what the stages have written.")
    ] = None,
    symbols: Annotated[
        list[str] | None, typer.Option("--symbols", "--symbol", help="With --data; default: params.yaml's.")
    ] = None,
    start: Annotated[datetime | None, typer.Option(formats=_TIMES, help="With --data; default: all.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=_TIMES, help="With --data; default: all.")] = None,
    test_days: Annotated[
        int | None, typer.Option(help="Length of each fold's test span; default: params.yaml's.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the page, its figures and pictures.")] = Path(
        "var/baselines"
    ),
) -> None:
    """Measure majority, volatility-only, logistic and LightGBM out of sample, with intervals and trading."""
    from tempfile import TemporaryDirectory

    import pandas as pd

    from xrl.stages import from_files

    config, paths = _here()
    if data is None:
        if symbols or more or start or end or test_days:
            raise ConfigError("--symbols, --start, --end and --test-days choose from the files of --data")
        _stage("baselines")(config, paths, out)
    else:
        chosen = config.model_copy(
            update={
                "market": config.market.model_copy(
                    update={"name": data.resolve().name, "symbols": _chosen_symbols(symbols, more)}
                ),
                "labels": config.labels.model_copy(update={"cadence_days": test_days} if test_days else {}),
            }
        )
        span = [None if time is None else pd.Timestamp(time.replace(tzinfo=UTC)) for time in (start, end)]
        with TemporaryDirectory(prefix="xrl-baselines-") as root:
            from_files.run(chosen, data, Paths(Path(root)), *span)
            _stage("baselines")(chosen, Paths(Path(root)), out)
    print((out / "baselines.md").read_text())


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
    venue: Annotated[str | None, typer.Option(help="binance, bybit or okx; default: params.yaml's.")] = None,
) -> None:
    """Open a retraining's own checkout at the current commit and print its folder."""
    from xrl.workspace import Request, open_workspace

    settings = load_settings()
    request = Request(
        run_id=run_id,
        venue=chosen_venue(venue, _here()[0]),
        world=world,
        symbols=tuple(symbol.strip() for symbol in symbols.split(",") if symbol.strip()),
        days=days,
        preset=preset,
        as_of=as_of.replace(tzinfo=UTC),
    )
    print(open_workspace(Path.cwd(), request, keep=settings.keep_workspaces, remote=settings.dvc_remote))


_Symbols = Annotated[
    list[str] | None, typer.Option("--symbols", "--symbol", help="Venue ids, several or one.")
]
_More = Annotated[list[str] | None, typer.Argument(hidden=True)]
_World = Annotated[str | None, typer.Option(help="planted, random_walk, replay, live; default: params.yaml.")]
_Time = Annotated[
    datetime | None, typer.Option(formats=_TIMES, help="UTC; default: params.yaml, `snapshot`.")
]


@app.command()
def sandbox(
    port: Annotated[int | None, typer.Option(help="Default: XRL_SANDBOX_PORT.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the worlds; default: `market.world_seed`.")] = None,
    replay_dir: Annotated[Path | None, typer.Option(help="Folder of candles for the world `replay`.")] = None,
) -> None:
    """Run the sandbox exchange until interrupted."""
    from xrl.sandbox import server
    from xrl.sandbox.api import open_venue

    settings = load_settings()
    venue = open_venue(
        _here()[0].market.world_seed if seed is None else seed, replay_dir or settings.replay_dir
    )
    sock = server.listen(settings.host, port or settings.sandbox_port)
    host, bound = sock.getsockname()[:2]
    print(f"sandbox exchange on http://{host}:{bound}, worlds {', '.join(venue.worlds)}", flush=True)
    server.server(venue).run(sockets=[sock])


@app.command()
def pull(
    more: _More = None, symbols: _Symbols = None, world: _World = None, start: _Time = None, end: _Time = None
) -> None:
    """Fetch from the exchange what the store lacks of an interval, validate it and store it."""
    from xrl.market.exchange import Exchange
    from xrl.market.pull import missing_hours, pull
    from xrl.market.store import Store

    chosen, interval = _chosen_symbols(symbols, more), _chosen_interval(start, end)
    market, behind = _chosen_market(world)
    paths = Paths(Path.cwd())
    store = Store(paths.market(market))
    url = None if behind is None else f"{load_settings().sandbox_url}/{behind}"
    with Exchange(url) as exchange, _progress() as bar:
        exchange.check_symbols(chosen)
        for symbol in chosen:
            task = bar.add_task(f"{market} {symbol}", total=missing_hours(store, symbol, interval))
            advance = partial(bar.advance, task)
            new = pull(exchange, store, paths.quarantine(market), symbol, interval, advance)
            absent = f"; the venue lacks {new.absent} of the hours asked for" if new.absent else ""
            bar.console.print(
                f"{market} {symbol}: {new.candles} candles, {new.funding} funding rates, "
                f"{new.open_interest} open-interest marks are new{absent}"
            )


@app.command()
def validate(more: _More = None, symbols: _Symbols = None, world: _World = None) -> None:
    """Hold the stored history against the expectations that every pull must meet."""
    from xrl.market.expectations import validate
    from xrl.market.store import KINDS, Store

    market, _ = _chosen_market(world)
    paths = Paths(Path.cwd())
    store = Store(paths.market(market))
    for symbol in _chosen_symbols(symbols, more):
        for kind in KINDS:
            rows = store.read(symbol, kind)
            if len(rows):
                validate(kind, rows, symbol, paths.quarantine(market))
            print(f"{market} {symbol} {kind}: {len(rows)} rows are good")


@market_app.command("status")
def market_status(world: _World = None) -> None:
    """Say what the store holds: rows, first and last candle, and gaps of each symbol."""
    from xrl.market.pull import missing_spans
    from xrl.market.store import Store

    market, _ = _chosen_market(world)
    store = Store(Paths(Path.cwd()).market(market))
    for symbol in store.symbols():
        time = store.read(symbol, "1h")["timestamp"]
        gaps = missing_spans(time, time.min(), time.max())
        print(f"{market} {symbol}: {len(time)} candles, {time.min()} to {time.max()}, {len(gaps)} gaps")
    if not store.symbols():
        print(f"{market}: nothing is stored in {store.root}; run `xrl pull`")


def _chosen_market(world: str | None) -> tuple[str, str | None]:
    """Name of the store and the sandbox world behind it (None: the live venue)."""
    if world is None:
        market = _here()[0].market
        return market.name, market.world
    if world not in ("planted", "random_walk", "replay", "live"):
        raise ConfigError(f"`--world` must be planted, random_walk, replay or live; received {world!r}")
    return ("binance_perp", None) if world == "live" else (world, world)


def _chosen_symbols(symbols: list[str] | None, more: list[str] | None) -> tuple[str, ...]:
    """`--symbol A --symbol B`, `--symbols A B` and `--symbols A,B` alike; params.yaml's if none is given."""
    texts = [*(symbols or ()), *(more or ())]
    named = [one for text in texts for one in text.replace(",", " ").split()]
    return tuple(dict.fromkeys(named)) or _here()[0].market.symbols


def _chosen_interval(start: datetime | None, end: datetime | None) -> tuple["pd.Timestamp", "pd.Timestamp"]:
    import pandas as pd

    if start is None or end is None:
        span = _here()[0].snapshot
        end = end or span.as_of
        start = start or end - timedelta(days=span.days)
    first, last = (pd.Timestamp(time.replace(tzinfo=time.tzinfo or UTC)) for time in (start, end))
    if first >= last or (first, last) != (first.floor("h"), last.floor("h")):
        raise ConfigError(f"`--start` must lie before `--end`, both on the hour; received {first} and {last}")
    return first, last


def _progress() -> "rich.progress.Progress":
    from rich import progress

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> str:
            return f"{task.speed or task.finished_speed or 0:,.0f} candles/s"

    return progress.Progress(
        progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(), Rate()
    )


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

    store, bounds = Store(load_settings().tracking_url), _here()[0].gate
    names = _chosen_models(model, pending, store)
    found = waiting(store, names)
    unjudged = []
    for version in found:
        try:
            _show(judge_version(store, version, replay_bundle, bounds))
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
    return store.models() if pending else (model or _here()[0].market.model_name,)


def _show(judgement: "Judgement") -> None:
    from rich.console import Console
    from rich.table import Table

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
    for text in decision.not_judged:
        console.print(f"not judged here: {text}", markup=False)


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
