"""A real sandbox exchange on a free port whose clock stands where a test puts it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from xrl.sandbox import server
from xrl.sandbox.venue import Venue

SHARED_MARKET = Path(__file__).parents[2].parent / "shared" / "market"


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@dataclass
class Sandbox:
    """A running server; `now` may be moved between requests."""

    url: str
    now: pd.Timestamp = field(default_factory=lambda: utc("2024-06-01 10:20"))

    def world(self, name: str) -> str:
        return f"{self.url}/{name}"


@contextmanager
def serving(venue: Venue) -> Iterator[Sandbox]:
    """`venue` on a free port until the block ends."""
    sock = server.listen("127.0.0.1", 0)
    sandbox = Sandbox(f"http://127.0.0.1:{sock.getsockname()[1]}")
    running = server.server(venue, clock=lambda: sandbox.now)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not running.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield sandbox
    running.should_exit = True
    thread.join(10)
    sock.close()


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Sandbox]:
    with serving(Venue(7, SHARED_MARKET if SHARED_MARKET.is_dir() else None)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_server: Sandbox) -> Sandbox:
    sandbox_server.now = utc("2024-06-01 10:20")
    return sandbox_server
