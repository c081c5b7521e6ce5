"""Who looks on while a pull runs. Enters: rows as they come, seconds as they go. Leaves: nothing."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

#: What the main thread does: tells what is missing, waits for rows, waits for the rules' library, judges,
#: reads and writes the store.
Step = Literal["plan", "fetch", "import", "validate", "store"]


class Watch:
    """Told how a pull comes on; override what is of interest. `arrived` is called by several threads."""

    def planned(self, rows: Mapping[str, int]) -> None:
        """About how many rows of all kinds will be asked for, by symbol; 0 where all is stored."""

    def arrived(self, symbol: str, rows: int) -> None:
        """A page of `rows` rows has come."""

    def spent(self, step: Step, seconds: float) -> None:
        """The main thread has spent `seconds` on `step`; the steps add up to nearly all of a pull."""


@contextmanager
def spending(watch: Watch, step: Step) -> Iterator[None]:
    """Tell `watch` how long the block takes."""
    started = time.perf_counter()
    try:
        yield
    finally:
        watch.spent(step, time.perf_counter() - started)
