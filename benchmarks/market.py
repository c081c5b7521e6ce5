"""The market's way into the store: sandbox exchange -> HTTP -> ccxt -> validation -> Parquet, all real.

The sandbox runs as its own process, as it does for users. It computes a world's path when first asked; that
is not the pull's work, so a first pull that does not count warms it up.
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

import pandas as pd

from benchmarks.errors import BenchmarkError
from benchmarks.material import ROOT, config, planted_bars
from benchmarks.servers import HOST, answers, free_port, server
from benchmarks.timing import median_seconds, seconds
from xrl import columns as c
from xrl.market.exchange import Exchange
from xrl.market.pull import pull
from xrl.market.store import Store
from xrl.sandbox import worlds

_DAY = pd.Timedelta(days=1)
_STORED_DAYS = 20  # of the month that the new day joins


def measure(
    symbols: Sequence[str] | None = None, days: int = 720, daily_symbols: int = 50, repetitions: int = 2
) -> dict[str, float]:
    """Figures of group `market`: `days` of history of `symbols`, and one new day of `daily_symbols` coins."""
    chosen = tuple(symbols or config().market.symbols)
    with tempfile.TemporaryDirectory(prefix="xrl-bench-") as name:
        folder = Path(name)
        coins = _write_replay(folder / "replay", daily_symbols, days=_STORED_DAYS + repetitions)
        port = free_port()
        command = [sys.executable, "-m", "xrl", "sandbox", "--port", str(port), "--replay-dir"]
        url = f"http://{HOST}:{port}"
        with server(
            [*command, str(folder / "replay")],
            folder / "sandbox.log",
            lambda: answers(f"{url}/planted/fapi/v1/ping"),
            {},
        ):
            return {
                "market.pull_candles_per_s": _history(f"{url}/planted", folder, chosen, days, repetitions),
                "market.pull_daily_50_symbols_s": _daily(port, folder, coins, repetitions),
            }


def _history(url: str, folder: Path, symbols: Sequence[str], days: int, repetitions: int) -> float:
    """Candles a second of a first pull; each repetition fills a store of its own."""
    interval = (worlds.WORLD_START, worlds.WORLD_START + days * _DAY)
    fresh = itertools.count()

    def once() -> None:
        place = folder / f"history-{next(fresh)}"
        with Exchange(url) as exchange:
            exchange.check_symbols(tuple(symbols))
            for symbol in symbols:
                new = pull(exchange, Store(place / "store"), place / "quarantine", symbol, interval)
                if new.candles != days * 24:
                    raise BenchmarkError(f"{symbol}: pulled {new.candles} candles, expected {days * 24}")

    return len(symbols) * days * 24 / median_seconds(once, repetitions)


def _daily(port: int, folder: Path, coins: Sequence[str], repetitions: int) -> float:
    """Seconds of one `xrl pull` over the day after a month that is in the store already."""
    variables = {
        "XRL_SANDBOX_PORT": str(port),
        "XRL_DATA_DIR": str(folder / "data"),
        "XRL_REPLAY_DIR": str(folder / "replay"),
    }
    first = worlds.WORLD_START
    store = Store(folder / "data" / "market" / "replay")
    for coin, symbol in zip(coins, itertools.cycle(worlds.COINS)):
        month = planted_bars(symbol, _STORED_DAYS * 24)
        store.write(coin, "1h", month[[*c.CANDLE]])
        store.write(coin, "funding", month.loc[month[c.FUNDING_RATE].notna(), list(c.FUNDING)])
    spent = []
    for day in range(_STORED_DAYS, _STORED_DAYS + repetitions):
        start = first + day * _DAY
        spent.append(seconds(partial(_pull_command, coins, start, start + _DAY, variables)))
        if store.read(coins[-1], "1h")[c.TIMESTAMP].max() != start + _DAY - worlds.HOUR:
            raise BenchmarkError(f"the daily pull of {start:%Y-%m-%d} left {coins[-1]} incomplete")
    return statistics.median(spent)


def _pull_command(
    coins: Sequence[str], start: pd.Timestamp, end: pd.Timestamp, variables: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "xrl", "pull", "--world", "replay", "--symbols", ",".join(coins)]
    span = ["--start", f"{start:%Y-%m-%d}", "--end", f"{end:%Y-%m-%d}"]
    done = subprocess.run(
        [*command, *span],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"`{' '.join([*command[1:4], *span])}` failed: {done.stderr.strip()[-500:]}")


def _write_replay(folder: Path, coins: int, days: int) -> tuple[str, ...]:
    """The planted world's bars under the names of `coins` coins, as files of the world `replay`."""
    folder.mkdir()
    listed, names = itertools.cycle(worlds.COINS), []
    for number, symbol in zip(range(coins), listed):
        name = f"BENCH{number:02d}USDT"
        bars = planted_bars(symbol, days * 24)
        bars[[*c.CANDLE]].to_parquet(folder / f"binance_perp_{name}_1h.parquet")
        settled = bars.loc[bars[c.FUNDING_RATE].notna(), list(c.FUNDING)]
        settled.to_parquet(folder / f"binance_perp_{name}_funding.parquet")
        names.append(name)
    return tuple(names)
