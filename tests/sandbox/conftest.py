"""A running sandbox exchange with the synthetic worlds and a small replay, and questions to it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests

from tests.market.conftest import Sandbox, serving, utc
from xrl import columns as c
from xrl.sandbox.venue import Venue

HOUR_MS = 3_600_000
NOW = "2024-06-01 10:20"
#: First bar of every coin of the replay but NEW.
FIRST = "2024-05-20"
#: The hour that OLD lacks.
HOLE = "2024-05-21 07:00"


def ms(text: str) -> int:
    return int(utc(text).timestamp() * 1000)


def hourly(first: str, last: str, seed: int) -> pd.DataFrame:
    """Hours with `first <= timestamp < last`, prices and volumes alone."""
    times = pd.date_range(first, last, freq="h", tz="UTC", inclusive="left").astype(c.TIME_DTYPE)
    rng = np.random.default_rng(seed)
    path = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(times) + 1))), 2)
    open_, close = path[:-1], path[1:]
    values = {
        c.OPEN: open_,
        c.HIGH: np.maximum(open_, close) + 0.5,
        c.LOW: np.minimum(open_, close) - 0.5,
        c.CLOSE: close,
        c.VOLUME: np.round(rng.lognormal(5, 1, len(times)), 3),
    }
    return pd.DataFrame({c.TIMESTAMP: times, **values})


@pytest.fixture(scope="session")
def replay_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OLD has everything, and a hole; BARE has prices and volumes alone; NEW was listed two days ago, GONE
    has been delisted, HALT is halted."""
    folder = tmp_path_factory.mktemp("replay")
    firsts = {"OLD": FIRST, "BARE": FIRST, "GONE": FIRST, "HALT": FIRST, "NEW": "2024-05-30 05:00"}
    for seed, (coin, first) in enumerate(firsts.items()):
        hours = hourly(first, "2024-06-03", seed)
        if coin == "OLD":
            hours = hours[hours[c.TIMESTAMP] != utc(HOLE)]
        hours.to_parquet(folder / f"binance_perp_{coin}USDT_1h.parquet")
    times = pd.to_datetime(
        ["2024-05-20 08:00", "2024-05-20 16:00", "2024-05-20 18:00", "2024-05-20 20:00"], utc=True
    )
    rates = pd.DataFrame({c.TIMESTAMP: times, c.FUNDING_RATE: [0.0001, -0.00002173, 0.00001, 0.0]})
    rates.to_parquet(folder / "binance_perp_OLDUSDT_funding.parquet")
    marks = pd.date_range("2024-05-25", "2024-06-03", freq="h", tz="UTC").astype(c.TIME_DTYPE)
    steps = np.arange(len(marks), dtype=float)
    pd.DataFrame(
        {c.TIMESTAMP: marks, c.OPEN_INTEREST: 1000 + steps, c.OPEN_INTEREST_VALUE: 1e5 + steps / 4}
    ).to_parquet(folder / "binance_perp_OLDUSDT_open_interest.parquet")
    pd.DataFrame(
        {c.TIMESTAMP: marks, c.TAKER_BUY_VOLUME: 10 + steps, c.TAKER_SELL_VOLUME: 20 + steps / 8}
    ).to_parquet(folder / "binance_perp_OLDUSDT_taker.parquet")
    told = {"GONEUSDT": {"ends_at": "2024-05-28T06:00:00Z"}, "HALTUSDT": {"state": "halted"}}
    (folder / "listings.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="session")
def running(replay_dir: Path) -> Iterator[Sandbox]:
    with serving(Venue(7, replay_dir)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """The server at 10:20 on 2024-06-01; a test may move `sandbox.now`."""
    running.now = utc(NOW)
    return running


def ask(sandbox: Sandbox, path: str, world: str = "planted", **query: Any) -> tuple[int, Any]:
    """Status and JSON of one answer."""
    with requests.get(f"{sandbox.url}/{world}{path}", params=query, timeout=10) as answer:
        return answer.status_code, answer.json()
