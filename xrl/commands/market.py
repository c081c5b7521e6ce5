"""The commands that meet the exchange: sandbox, pull, validate, market status, market resample.

Enters: options. Leaves: text, rows in the store. A pull goes on with the other symbols when one fails; what
failed is told at the end, with exit code 1.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrl.commands.choices import (
    TIMES,
    MoreOption,
    SymbolsOption,
    TimeframeOption,
    TimeOption,
    VenueOption,
    WorldOption,
    chosen_market,
    chosen_symbols,
    exchange,
    interval,
    places,
    utc,
)
from xrl.commands.root import here
from xrl.config import load_settings
from xrl.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from xrl.market.pull import Outcome

market_app = typer.Typer(no_args_is_help=True, help="What the market store holds.")


def sandbox(
    port: Annotated[int | None, typer.Option(help="Default: XRL_SANDBOX_PORT.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the worlds; default: `market.world_seed`.")] = None,
    replay_dir: Annotated[Path | None, typer.Option(help="Folder of candles for the world `replay`.")] = None,
    faults: Annotated[Path | None, typer.Option(help="Script of faults, JSON (docs/market.md).")] = None,
) -> None:
    """Run the sandbox exchange until interrupted."""
    from xrl.sandbox import server
    from xrl.sandbox.faults import read_script
    from xrl.sandbox.venue import open_venue

    settings = load_settings()
    if faults is not None and not faults.is_file():
        raise ConfigError(f"no fault script at {faults}; expected a JSON file (docs/market.md)")
    script = None if faults is None else read_script(faults.read_bytes())
    venue = open_venue(
        here()[0].market.world_seed if seed is None else seed, replay_dir or settings.replay_dir
    )
    sock = server.listen(settings.host, port or settings.sandbox_port)
    host, bound = sock.getsockname()[:2]
    print(f"sandbox exchange on http://{host}:{bound}, worlds {', '.join(venue.worlds)}", flush=True)
    server.server(venue, faults=script).run(sockets=[sock])


def pull(
    more: MoreOption = None,
    symbols: SymbolsOption = None,
    venue: VenueOption = None,
    world: WorldOption = None,
    timeframe: TimeframeOption = None,
    start: TimeOption = None,
    end: TimeOption = None,
) -> None:
    """Fetch from the exchange what the store lacks of an interval, validate it and store it."""
    from xrl.commands.progress import PullProgress
    from xrl.market.pull import Order, pull

    config, market = here()[0], chosen_market(venue, world)
    order = Order(chosen_symbols(symbols, more), timeframe or config.market.timeframe, *interval(start, end))
    with exchange(market) as client, PullProgress(market.name) as watch:
        outcomes = pull(client, places(market.name), order, config.pull, config.validation, watch)
    _tell(market.name, outcomes)


def validate(
    more: MoreOption = None,
    symbols: SymbolsOption = None,
    venue: VenueOption = None,
    world: WorldOption = None,
    against: Annotated[str | None, typer.Option(help="Another venue's store, e.g. bybit_perp.")] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=TIMES, help="What the newest rows should reach; default: `snapshot.as_of`."),
    ] = None,
) -> None:
    """Hold the stored history against every pull's rules, its own length and freshness, another venue."""
    from xrl.market.derived import Batch
    from xrl.market.expectations import validate
    from xrl.market.tables import empty, is_candles

    config, market = here()[0], chosen_market(venue, world)
    kept, chosen = places(market.name), chosen_symbols(symbols, more)
    kinds = {kind for symbol in chosen for kind in kept.store.kinds(symbol)} | {config.market.timeframe}
    bad = []
    for kind in sorted(kinds):
        rows = {symbol: kept.store.read(symbol, kind) for symbol in chosen}
        others = _others(against, kind, rows) if against and is_candles(kind) else None
        verdicts = validate(
            kind,
            [Batch(symbol, own, empty(kind)) for symbol, own in rows.items()],
            config.validation,
            kept.quarantine,
            references=others,
            venue=against or "the other venue",
            fresh_until=utc(until or config.snapshot.as_of),
            whole_history=is_candles(kind),
        )
        for symbol, verdict in verdicts.items():
            said = verdict.message(symbol, kind) if verdict.failures else f"{len(rows[symbol])} rows are good"
            print(f"{market.name} {symbol} {kind}: {said}")
        bad += [f"{symbol} {kind}" for symbol, verdict in verdicts.items() if not verdict.accepted]
    if bad:
        raise DataError(f"{market.name}: {', '.join(bad)} did not pass; the rules and samples stand above")


@market_app.command("status")
def market_status(venue: VenueOption = None, world: WorldOption = None) -> None:
    """Say what the store holds and lacks: rows, gaps, what was removed, when it was validated and is due."""
    import pandas as pd

    from xrl.commands.status import report
    from xrl.market.journal import Journal
    from xrl.market.status import status

    market = chosen_market(venue, world)
    kept = places(market.name)
    found = status(kept.store, Journal(kept.journal), pd.Timestamp.now("UTC"))
    if found:
        report(market.name, found)
    else:
        print(f"{market.name}: nothing is stored in {kept.store.root}; run `xrl pull`")


@market_app.command("resample")
def market_resample(
    to: Annotated[str, typer.Option(help="Timeframe to make, e.g. 4h.")],
    from_: Annotated[str, typer.Option("--from", help="Stored timeframe to make it of, e.g. 1h.")],
    more: MoreOption = None,
    symbols: SymbolsOption = None,
    venue: VenueOption = None,
    world: WorldOption = None,
) -> None:
    """Make longer candles of stored ones, exactly; made again, they follow the venue's corrections."""
    from xrl.market.resample import resample

    market = chosen_market(venue, world)
    store = places(market.name).store
    for symbol in chosen_symbols(symbols, more):
        finer = store.read(symbol, from_)
        if finer.empty:
            raise DataError(
                f"{market.name} holds no {from_} candles of {symbol}; expected those to make {to} of. "
                f"Run `xrl pull --timeframe {from_} --symbols {symbol}` first"
            )
        # What the venue sent itself is the same to the bit, unless it corrected the finer bars since.
        new = store.write(symbol, to, resample(finer, to, from_))
        print(
            f"{market.name} {symbol}: {new.added} candles of {to} made of {from_} are new, "
            f"{new.corrected} were corrected"
        )


def _others(name: str, kind: str, rows: "Mapping[str, pd.DataFrame]") -> "dict[str, pd.DataFrame]":
    """Candles of another market's store, to be compared with `rows`; says how many bars both have.

    Raises:
        DataError: it has none of a symbol's bars.
    """
    found = {symbol: places(name).store.read(symbol, kind) for symbol in rows}
    for symbol, own in rows.items():
        both = int(own["timestamp"].isin(found[symbol]["timestamp"]).sum())
        if not both:
            raise DataError(
                f"the store {name} has none of the {len(own)} {kind} candles of {symbol} to compare with; "
                "pull the same interval into it first"
            )
        print(f"{symbol} {kind}: {both} of {len(own)} bars are compared with {name}")
    return found


def _tell(name: str, outcomes: "Mapping[str, Outcome]") -> None:
    """What was done for each symbol, then what the venue does not have, each such limit once.

    Raises:
        DataError: a symbol is not complete.
    """
    limits: dict[str, list[str]] = {}
    for symbol, outcome in outcomes.items():
        apart = set(outcome.unavailable.values())
        own = [sentence for sentence in outcome.sentences() if sentence not in apart]
        print(f"{name} " + "\n    ".join(own), flush=True)
        for limit in sorted(apart):
            limits.setdefault(limit.removeprefix(symbol).lstrip(": "), []).append(symbol)
    for limit, symbols in limits.items():
        print(f"{name} {', '.join(symbols)}: {limit}", flush=True)
    bad = [symbol for symbol, outcome in outcomes.items() if not outcome.complete]
    if bad:
        raise DataError(
            f"{name}: {', '.join(bad)} could not be brought up to date; why stands above. What was good is "
            "stored, history is untouched; run the same pull again."
        )
