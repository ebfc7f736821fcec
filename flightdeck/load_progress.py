"""Progress of loading data: bars on a terminal, lines elsewhere."""

from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """A progress bar per step, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:>10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """Print above the bars."""
        self._progress.console.print(line, highlight=False, markup=False)

    def step(self, title: str, total: int) -> None:
        self._task = self._progress.add_task(title, total=total)

    def advance(self, rows: int) -> None:
        if self._task is not None:
            self._progress.advance(self._task, rows)


class Lines:
    """A line per step, and one per `EVERY_ROWS` of a long step."""

    EVERY_ROWS = 100_000

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._title = ""
        self._total = 0
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def say(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def step(self, title: str, total: int) -> None:
        self._title, self._total, self._done = title, total, 0

    def advance(self, rows: int) -> None:
        before, self._done = self._done, self._done + rows
        if self._done >= self._total or before // self.EVERY_ROWS < self._done // self.EVERY_ROWS:
            self.say(f"{self._title}: {self._done:,} of {self._total:,}")


def shown_on(stream: TextIO) -> Bars | Lines:
    return Bars(Console(file=stream)) if stream.isatty() else Lines(stream)
