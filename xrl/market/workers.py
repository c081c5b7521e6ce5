"""Threads that fetch. Enters: pieces in order. Leaves: what came of each, or the outage that ended all."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from xrl.errors import ExchangeError
from xrl.market.fetch import Fetched
from xrl.market.plan import Piece
from xrl.market.tables import Kind, empty


@dataclass
class Task:
    """A piece and, once it is `ended`, what came of it; None if the thread broke down."""

    piece: Piece
    result: Fetched | None = None
    ended: bool = False


class Workers:
    """Threads that fetch pieces in the order given.

    Use as a context manager: leaving it ends them without waiting for requests under way.

    Args:
        connections: number of threads.
        work: fetches one piece.
        alive: raises ExchangeError if the venue as a whole does not answer; asked when a piece fails.
    """

    def __init__(
        self, connections: int, work: Callable[[Piece], Fetched], alive: Callable[[], object]
    ) -> None:
        self.outage: ExchangeError | None = None
        self._work, self._alive = work, alive
        self._waiting: deque[Task] = deque()
        self._refused: dict[tuple[str, Kind], ExchangeError] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def fetch(self, pieces: Iterable[Piece]) -> list[Task]:
        """Have `pieces` fetched after those that wait already."""
        tasks = [Task(piece) for piece in pieces]
        with self._changed:
            self._waiting.extend(tasks)
            self._changed.notify_all()
        return tasks

    def collect(self, tasks: Sequence[Task]) -> list[Fetched]:
        """What came of `tasks`, waited for; after an outage only what was there before."""
        with self._changed:
            while self.outage is None and not all(task.ended for task in tasks):
                self._changed.wait()
            if any(task.ended and task.result is None for task in tasks):
                raise RuntimeError("a thread that fetched rows broke down; its error is above")
            return [task.result for task in tasks if task.result is not None]

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                task.result = self._fetched(task.piece)
            finally:
                with self._changed:
                    task.ended = True
                    self._changed.notify_all()

    def _next(self) -> Task | None:
        with self._changed:
            while not self._waiting and not self._ended:
                self._changed.wait()
            return None if self._ended else self._waiting.popleft()

    def _fetched(self, piece: Piece) -> Fetched:
        """What came of `piece`; once a venue refuses a symbol's kind, its other pieces are left alone."""
        failure = self._refused.get((piece.symbol, piece.kind))
        if failure is None:
            try:
                return self._work(piece)
            except ExchangeError as error:
                failure = self._refused[piece.symbol, piece.kind] = error
                self._look_for_outage()
        return Fetched(piece, empty(piece.kind), 0, (), failure)

    def _look_for_outage(self) -> None:
        try:
            self._alive()
        except ExchangeError as error:
            with self._changed:
                self.outage = self.outage or error
                self._ended = True
                self._changed.notify_all()
