"""What a training shows while it runs: epoch, losses, F1 by class, what is called how often, time left."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich import progress

from xrl.columns import CLASSES


class TrainingProgress:
    """A bar in the terminal, one network after another; nothing where output is a file. A context manager."""

    def __init__(self, name: str) -> None:
        self._name, self._networks = name, 0
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=20),
            progress.TimeRemainingColumn(),
        )
        self._task: progress.TaskID | None = None

    def __enter__(self) -> Self:
        if self._bar.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar.console.is_terminal:
            self._bar.stop()

    def __call__(self, record: Mapping[str, float], epochs: int) -> None:
        """Show one epoch; another network begins where the epochs begin anew."""
        if self._task is None or record["epoch"] <= self._bar.tasks[-1].completed:
            self._networks += 1
            self._task = self._bar.add_task(self._name, total=epochs)
        text = f"{self._name} network {self._networks} {epoch_line(record, epochs)}"
        self._bar.update(self._task, completed=record["epoch"], description=text)


def epoch_line(record: Mapping[str, float], epochs: int) -> str:
    """One epoch in words: `epoch 2/3 loss 1.05, held out 1.09, F1 .39 (.40 .35 .41), calls 33 30 37 %`."""
    parts = [f"epoch {record['epoch']:.0f}/{epochs} loss {record['train_loss']:.3f}"]
    if "validation_loss" in record:
        own = " ".join(f"{record[f'validation_f1_{name}']:.2f}" for name in CLASSES)
        parts.append(f"held out {record['validation_loss']:.3f}, F1 {record['validation_f1']:.3f} ({own})")
    shares = " ".join(f"{100 * record[f'predicted_{name}']:.0f}" for name in CLASSES)
    collapsed = " COLLAPSED" if record["collapsed"] else ""
    return ", ".join(parts) + f", calls {shares} %{collapsed}"
