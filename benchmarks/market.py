"""The market's way into the store: sandbox exchange -> HTTP -> ccxt -> validation -> Parquet, all real.

The sandbox runs as its own process, as it does for users. It computes a world's path and writes its pages
when first asked; that is not the pull's work, so a first pull that does not count warms it up.
"""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import pandas as pd
import requests

from benchmarks.errors import BenchmarkError
from benchmarks.material import ROOT, config, planted_bars
from benchmarks.servers import HOST, answers, free_port, server
from benchmarks.timing import median_seconds, seconds
from xrl import columns as c
from xrl.market import tables
from xrl.market.exchange import Exchange
from xrl.market.pull import Order, Places, pull
from xrl.market.store import Store
from xrl.market.watch import Step, Watch
from xrl.sandbox import worlds

_DAY = pd.Timedelta(days=1)
_STORED_DAYS = 20  # of the month that the new day joins
_ENDINGS = {tables.TAKER_VOLUME: "taker"}  # of a replay file, where it is not the table's name


class _Steps(Watch):
    """Seconds of each step of the pulls it watches."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(get_args(Step), 0.0)

    def spent(self, step: Step, seconds: float) -> None:
        self.seconds[step] += seconds


def measure(
    symbols: Sequence[str] | None = None,
    days: int = 720,
    daily_symbols: int = 50,
    repetitions: int = 3,
    memory_days: tuple[int, int] = (400, 1200),
) -> dict[str, float]:
    """Figures of group `market`.

    Args:
        symbols: pulled for the rate; None: params.yaml's.
        days: of history of each.
        daily_symbols: coins of the daily pull.
        repetitions: of either.
        memory_days: lengths of the two histories whose pulls' peak memory is compared.
    """
    chosen = tuple(symbols or config().market.symbols)
    with tempfile.TemporaryDirectory(prefix="xrl-bench-") as name:
        folder = Path(name)
        coins = _write_replay(folder / "replay", daily_symbols, days=_STORED_DAYS + repetitions)
        port = free_port()
        command = [sys.executable, "-m", "xrl", "sandbox", "--port", str(port), "--replay-dir"]
        url = f"http://{HOST}:{port}"
        ping = partial(answers, f"{url}/planted/fapi/v1/ping")
        with server([*command, str(folder / "replay")], folder / "sandbox.log", ping, {}):
            return {
                **_history(f"{url}/planted", folder, chosen, days, repetitions),
                "market.pull_daily_50_symbols_s": _daily(port, folder, coins, repetitions),
                "market.pull_memory_ratio": _memory(port, folder, memory_days),
            }


def _history(
    url: str, folder: Path, symbols: tuple[str, ...], days: int, repetitions: int
) -> dict[str, float]:
    """Candles a second of a first pull, each repetition into a store of its own; each step's share of it."""
    order = Order(symbols, "1h", worlds.WORLD_START, worlds.WORLD_START + days * _DAY)
    fresh, steps = itertools.count(), _Steps()

    def once() -> None:
        with Exchange("binance", url) as exchange:
            found = pull(
                exchange,
                _places(folder / f"history-{next(fresh)}"),
                order,
                config().pull,
                config().validation,
                steps,
            )
        for symbol, outcome in found.items():
            if outcome.added["1h"] != days * 24:
                raise BenchmarkError(f"{symbol}: pulled {outcome.added['1h']} candles, expected {days * 24}")

    spent = median_seconds(once, repetitions)
    whole = sum(steps.seconds.values())
    return {
        "market.pull_candles_per_s": len(symbols) * days * 24 / spent,
        **{
            f"market.pull_share_{step}": steps.seconds[step] / whole
            for step in ("fetch", "validate", "store")
        },
    }


def _daily(port: int, folder: Path, coins: Sequence[str], repetitions: int) -> float:
    """Seconds of one `xrl pull` over the day after a month that is in the store already."""
    variables = _variables(port, folder)
    first = worlds.WORLD_START
    store = Store(folder / "data" / "market" / "replay")
    for coin, symbol in zip(coins, itertools.cycle(worlds.COINS)):
        for kind, rows in _tables(planted_bars(symbol, _STORED_DAYS * 24)).items():
            store.write(coin, kind, rows)
    spent = []
    for day in range(_STORED_DAYS, _STORED_DAYS + repetitions):
        start = first + day * _DAY
        clock = {"now": f"{start + _DAY + pd.Timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"}
        requests.put(f"http://{HOST}:{port}/_clock", json=clock, timeout=10).raise_for_status()
        arguments = ["--world", "replay", "--symbols", ",".join(coins), *_span(start, start + _DAY)]
        spent.append(seconds(partial(_pull_command, arguments, variables)))
        for kind in ("1h", tables.OPEN_INTEREST, tables.TAKER_VOLUME):
            if store.newest(coins[-1], kind) != start + _DAY - _lag(kind):
                raise BenchmarkError(f"the daily pull of {start:%Y-%m-%d} left {coins[-1]} {kind} incomplete")
    requests.put(f"http://{HOST}:{port}/_clock", json={"now": None}, timeout=10).raise_for_status()
    return statistics.median(spent)


def _memory(port: int, folder: Path, days: tuple[int, int]) -> float:
    """Peak memory of pulling the longer history over that of the shorter one, 15m bars."""
    peaks = []
    for number, length in enumerate(days):
        variables = {**_variables(port, folder), "XRL_DATA_DIR": str(folder / f"memory-{number}")}
        span = _span(worlds.WORLD_START, worlds.WORLD_START + length * _DAY)
        arguments = ["--world", "planted", "--timeframe", "15m", "--symbols", "BTCUSDT,ETHUSDT", *span]
        peaks.append(_pull_command(arguments, variables))
    return peaks[1] / peaks[0]


def _pull_command(arguments: Sequence[str], variables: dict[str, str]) -> int:
    """Run `xrl pull`; its peak memory in kB."""
    command = [sys.executable, "-m", "xrl", "pull", *arguments]
    with tempfile.TemporaryFile("w+") as said:
        running = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **variables}, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            said.seek(0)
            raise BenchmarkError(f"`{' '.join(command[1:])}` failed: {said.read().strip()[-500:]}")
    return usage.ru_maxrss


def _places(folder: Path) -> Places:
    return Places(Store(folder / "store"), folder / "quarantine", folder / "journal")


def _variables(port: int, folder: Path) -> dict[str, str]:
    return {
        "XRL_SANDBOX_PORT": str(port),
        "XRL_DATA_DIR": str(folder / "data"),
        "XRL_REPLAY_DIR": str(folder / "replay"),
    }


def _span(start: pd.Timestamp, end: pd.Timestamp) -> list[str]:
    return ["--start", f"{start:%Y-%m-%d}", "--end", f"{end:%Y-%m-%d}"]


def _lag(kind: tables.Kind) -> pd.Timedelta:
    """How long before the end of a day the last row of `kind` is stamped."""
    return pd.Timedelta(0) if kind == tables.OPEN_INTEREST else worlds.HOUR


def _tables(bars: pd.DataFrame) -> dict[tables.Kind, pd.DataFrame]:
    """Every table of a market whose joined bars are `bars`."""
    hours, taken = bars[c.TIMESTAMP], bars[c.TAKER_BUY_VOLUME]
    marks = {
        c.TIMESTAMP: (hours + worlds.HOUR).astype(c.TIME_DTYPE),
        c.OPEN_INTEREST: bars[c.OPEN_INTEREST],
        c.OPEN_INTEREST_VALUE: bars[c.OPEN_INTEREST] * bars[c.CLOSE],
    }
    takers = {c.TIMESTAMP: hours, c.TAKER_BUY_VOLUME: taken, c.TAKER_SELL_VOLUME: bars[c.VOLUME] - taken}
    return {
        "1h": bars[[*c.CANDLE]],
        tables.FUNDING: bars.loc[bars[c.FUNDING_RATE].notna(), list(c.FUNDING)].reset_index(drop=True),
        tables.OPEN_INTEREST: pd.DataFrame(marks),
        tables.TAKER_VOLUME: pd.DataFrame(takers),
    }


def _write_replay(folder: Path, coins: int, days: int) -> tuple[str, ...]:
    """The planted world's bars under the names of `coins` coins, as files of the world `replay`."""
    folder.mkdir()
    listed, names = itertools.cycle(worlds.COINS), []
    for number, symbol in zip(range(coins), listed):
        name = f"BENCH{number:02d}USDT"
        for kind, rows in _tables(planted_bars(symbol, days * 24)).items():
            rows.to_parquet(folder / f"binance_perp_{name}_{_ENDINGS.get(kind, kind)}.parquet")
        names.append(name)
    return tuple(names)
