"""What the commands on the market are told: options in, stores, venues and intervals out."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from xrl.commands.root import here
from xrl.config import Venue, chosen_venue, load_settings, market_name
from xrl.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from xrl.market.exchange import Exchange
    from xrl.market.pull import Places

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]
WORLDS = ("planted", "random_walk", "replay", "live")

SymbolsOption = Annotated[
    list[str] | None, typer.Option("--symbols", "--symbol", help="Such as BTCUSDT, several or one.")
]
MoreOption = Annotated[list[str] | None, typer.Argument(hidden=True)]
VenueOption = Annotated[str | None, typer.Option(help="binance, bybit or okx; default: `market.venue`.")]
WorldOption = Annotated[str | None, typer.Option(help="planted, random_walk, replay, live; default: params.")]
TimeOption = Annotated[datetime | None, typer.Option(formats=TIMES, help="UTC; default: `snapshot`.")]
TimeframeOption = Annotated[str | None, typer.Option(help="1m to 1d; default: `market.timeframe`.")]


class Market(NamedTuple):
    """Which store, and what fills it; `url` is None for the live venue."""

    name: str
    venue: Venue
    url: str | None


def chosen_market(venue: str | None, world: str | None) -> Market:
    """The store and its source: params.yaml's, or those of the sandbox world or live venue that is named."""
    config = here()[0]
    chosen = chosen_venue(venue, config)
    if world is not None and world not in WORLDS:
        raise ConfigError(f"`--world` must be one of {', '.join(WORLDS)}; received {world!r}")
    behind = config.market.world if world is None else None if world == "live" else world
    url = None if behind is None else f"{load_settings().sandbox_url}/{behind}"
    ours = venue is None and world is None
    return Market(config.market.name if ours else market_name(chosen, behind), chosen, url)


def chosen_symbols(symbols: list[str] | None, more: list[str] | None) -> tuple[str, ...]:
    """`--symbol A --symbol B`, `--symbols A B` and `--symbols A,B` alike; params.yaml's if none is given."""
    texts = [*(symbols or ()), *(more or ())]
    named = [one for text in texts for one in text.replace(",", " ").split()]
    return tuple(dict.fromkeys(named)) or here()[0].market.symbols


def interval(start: datetime | None, end: datetime | None) -> tuple["pd.Timestamp", "pd.Timestamp"]:
    """The interval asked for; without a start the `snapshot.days` before the end."""
    if start is None or end is None:
        span = here()[0].snapshot
        end = end or span.as_of
        start = start or end - timedelta(days=span.days)
    first, last = utc(start), utc(end)
    if first >= last:
        raise ConfigError(f"`--start` must lie before `--end`; received {first} and {last}")
    return first, last


def utc(time: datetime) -> "pd.Timestamp":
    """A moment; without a zone it is UTC."""
    import pandas as pd

    return pd.Timestamp(time if time.tzinfo else time.replace(tzinfo=UTC)).tz_convert("UTC")


def exchange(market: Market) -> "Exchange":
    from xrl.market.exchange import Exchange

    settings = load_settings()
    key, secret = (None if it is None else it.get_secret_value() for it in settings.credentials)
    return Exchange(market.venue, market.url, key=key, secret=secret)


def places(name: str) -> "Places":
    from xrl.market.pull import Places
    from xrl.market.store import Store

    paths = here()[1]
    return Places(Store(paths.market(name)), paths.quarantine(name), paths.journal(name))
