"""A pull: what the store lacks of an interval is fetched, repaired, judged, stored. Safe to repeat or kill.

Enters: a venue, a store, symbols and an interval. Leaves: rows in the store, and for each symbol an Outcome
that says what is new and everything that is not as it should be. Rows alone tell what is missing, so any pull
goes on where another one ended, however it ended.
"""

import importlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import pandas as pd

from xrl.config import PullParams, ValidationParams
from xrl.errors import ConfigError, ExchangeError
from xrl.market import spans
from xrl.market.agenda import Agenda, Order, Places
from xrl.market.exchange import Exchange
from xrl.market.fetch import fetch
from xrl.market.intake import Intake, Tally
from xrl.market.journal import Entry
from xrl.market.outcome import Outcome
from xrl.market.plan import Piece
from xrl.market.tables import FUNDING, TIMEFRAMES, Kind, empty
from xrl.market.watch import Watch, spending
from xrl.market.workers import Task, Workers

__all__ = ["Order", "Outcome", "Places", "Watch", "pull"]

_log = logging.getLogger(__name__)

#: Rules whose severity decides whether rows that the venue lacks make a pull incomplete.
_NONE_MISSING: Final = "one bar every step"
_NO_SETTLEMENT_MISSING: Final = "no settlement is missing"


def pull(
    exchange: Exchange,
    places: Places,
    order: Order,
    params: PullParams,
    rules: ValidationParams,
    watch: Watch | None = None,
    *,
    pause: Callable[[float], object] = time.sleep,
) -> dict[str, Outcome]:
    """Bring the store up to date over the order's interval; what it holds is not asked for again.

    Args:
        exchange: the venue.
        places: where rows, refused rows and the journal lie.
        order: symbols, timeframe, interval. Funding, open interest and taker volume come along.
        params: connections, bounds of memory, how often to ask again.
        rules: bounds and severities of validation.
        watch: told how it comes on.
        pause: waits for some seconds before doubtful rows are asked for again.

    Returns:
        by symbol; the caller fails if one is not `complete`.

    Raises:
        ConfigError: the interval is empty or off the grid, or `rules` name a rule that does not exist.
        ExchangeError: the venue is down, or has none of the symbols. What had arrived is stored.
    """
    _check(order)
    watch = watch or Watch()
    tallies = {symbol: Tally() for symbol in order.symbols}
    agenda = Agenda(exchange, places, order, params.overlap_bars, tallies)
    with spending(watch, "plan"):
        now = exchange.now()
        agenda.open()
        pieces = agenda.pieces(_closed(order, now, params.settle_s))
        watch.planned(_rows(order, pieces))
    intake = Intake(places.store, places.quarantine, rules, tallies, watch)
    work = partial(fetch, exchange, refills=params.refills, arrived=watch.arrived, pause=pause)
    with Workers(params.connections, work, exchange.now) as workers:
        _carry_out(pieces, params.batch_rows, workers, intake)
    with spending(watch, "store"):
        for symbol in agenda.listed:
            agenda.journal.update(symbol, partial(_noted, agenda, symbol, now))
    if workers.outage is not None:
        raise ExchangeError(f"{workers.outage} What had arrived before is stored.") from workers.outage
    return {symbol: _outcome(symbol, tally, rules) for symbol, tally in tallies.items()}


def _check(order: Order) -> None:
    step = TIMEFRAMES.get(order.timeframe)
    if step is None:
        raise ConfigError(f"a timeframe must be one of {', '.join(TIMEFRAMES)}; received {order.timeframe!r}")
    if order.start >= order.end or any(time != time.floor(step) for time in (order.start, order.end)):
        raise ConfigError(
            f"a pull needs a start before its end, both on the grid of {order.timeframe}; received "
            f"{order.start} and {order.end}. Move them onto that grid."
        )


def _closed(order: Order, now: pd.Timestamp, settle_s: float) -> pd.Timestamp:
    """What becomes known after this is not final yet."""
    closed = (now - pd.Timedelta(seconds=settle_s)).floor(TIMEFRAMES[order.timeframe])
    if closed < order.end:
        _log.info("asked for until %s; bars have closed for good until %s", order.end, closed)
    return closed


def _rows(order: Order, pieces: dict[Kind, list[Piece]]) -> dict[str, int]:
    """About how many rows each symbol's pieces have."""
    rows = dict.fromkeys(order.symbols, 0)
    for found in pieces.values():
        for piece in found:
            rows[piece.symbol] += piece.rows
    return rows


def _carry_out(pieces: dict[Kind, list[Piece]], rows: int, workers: Workers, intake: Intake) -> None:
    """Fetch and take in batch after batch, about `rows` rows under way beside the batch that is taken in. An
    outage ends it after what has come."""
    waiting = deque((kind, batch) for kind, found in pieces.items() for batch in _batches(found, rows))
    if any(piece.lacking(empty(piece.kind).iloc[:, 0]) for _, batch in waiting for piece in batch):
        threading.Thread(
            target=importlib.import_module, args=("xrl.market.expectations",), daemon=True
        ).start()  # it takes seconds, while the first rows are on their way
    under_way: deque[tuple[Kind, list[Task]]] = deque()
    while waiting or under_way:
        while waiting and sum(task.piece.rows for _, tasks in under_way for task in tasks) <= rows:
            kind, batch = waiting.popleft()
            under_way.append((kind, workers.fetch(batch)))
        kind, tasks = under_way.popleft()
        with spending(intake.watch, "fetch"):
            fetched = workers.collect(tasks)
        intake.take(kind, fetched)


def _batches(pieces: Sequence[Piece], rows: int) -> Iterator[list[Piece]]:
    """`pieces` in order, in batches of about `rows` rows."""
    total = sum(piece.rows for piece in pieces)
    aim, held = total / max(1, round(total / rows)), 0
    batch: list[Piece] = []
    for piece in pieces:
        batch.append(piece)
        held += piece.rows
        if held >= aim:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _noted(agenda: Agenda, symbol: str, now: pd.Timestamp, entry: Entry) -> Entry:
    """The journal's entry of a symbol after this pull."""
    tally, asked = agenda.tallies[symbol], agenda.entries[symbol].holes
    holes = dict(entry.holes)
    for kind in tally.added:
        unsettled = spans.overlap(asked.get(kind, ()), tally.unsettled.get(kind, ()))
        others = set(entry.holes.get(kind, ())) - set(asked.get(kind, ()))  # another writer's
        holes[kind] = tuple(spans.merge([*tally.lacking.get(kind, ()), *unsettled, *others]))
    return replace(
        entry,
        duplicates=entry.duplicates + tally.duplicates,
        corrected=entry.corrected + tally.corrected,
        holes={kind: found for kind, found in holes.items() if found},
        unavailable=tally.limits,
        last_pull=now,
        last_validation=now if tally.validated else entry.last_validation,
        ends_at=agenda.listed[symbol].ends_at,
    )


def _outcome(symbol: str, tally: Tally, rules: ValidationParams) -> Outcome:
    missing, holes, tolerated = {}, {}, set()
    for kind, found in tally.lacking.items():
        lacking = spans.merge(found)
        missing[kind] = spans.overlap(lacking, tally.due.get(kind, ()))
        holes[kind] = [span for span in lacking if not spans.overlap([span], missing[kind])]
        rule = _NO_SETTLEMENT_MISSING if kind == FUNDING else _NONE_MISSING
        tolerated |= {kind} if rules.severity.get(rule) == "warn" else set()
    return Outcome(
        symbol=symbol,
        added=tally.added,
        corrected=tally.corrected,
        duplicates=tally.duplicates,
        missing={kind: found for kind, found in missing.items() if found},
        tolerated=frozenset(tolerated),
        holes={kind: found for kind, found in holes.items() if found},
        unavailable=tally.unavailable,
        refused=tally.refused,
        warnings=tally.warnings,
        mended=tally.mended,
        failures=tally.failures,
    )
