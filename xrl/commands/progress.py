"""What a pull shows while it runs: rows, rate and time left of all symbols together."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich import progress
from rich.text import Text

from xrl.market.watch import Watch


class PullProgress(Watch):
    """A bar in the terminal; nothing where output is a file. Use as a context manager."""

    def __init__(self, market: str) -> None:
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"),
            _Rate(),
            progress.TimeRemainingColumn(),
        )
        self._task = self._bar.add_task(market, total=0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def planned(self, rows: Mapping[str, int]) -> None:
        self._bar.update(self._task, total=sum(rows.values()))

    def arrived(self, symbol: str, rows: int) -> None:
        self._bar.advance(self._task, rows)


class _Rate(progress.ProgressColumn):
    def render(self, task: progress.Task) -> Text:
        return Text(f"{task.speed or task.finished_speed or 0:,.0f} rows/s")


class CellProgress:
    """Cells done and time left of a study; nothing where output is a file. Use as a context manager."""

    def __init__(self) -> None:
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn("{task.completed:.0f} of {task.total:.0f} cells"),
            progress.TimeRemainingColumn(),
        )
        self._tasks: dict[str, progress.TaskID] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def told(self, name: str, done: int, wanted: int, seconds: float) -> None:
        """`done` of `wanted` cells of the label `name` are there; this run spent `seconds` of CPU on it."""
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=wanted)
        text = f"{name}, {seconds:,.0f} s of CPU"
        self._bar.update(self._tasks[name], completed=done, description=text)
