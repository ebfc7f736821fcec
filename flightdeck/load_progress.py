"""How a load shows its progress: a bar on a terminal, lines elsewhere."""

from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """A bar per step, drawn on a terminal."""

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
        """Print the sentence above the bars."""
        self._progress.console.print(line, highlight=False, markup=False)

    def step(self, title: str, total: int) -> None:
        """Draw the bar of a new step."""
        self._task = self._progress.add_task(title, total=total)

    def advance(self, rows: int) -> None:
        """Move the bar of the current step."""
        if self._task is not None:
            self._progress.advance(self._task, rows)


class Lines:
    """A line per step, and one for every so many rows of a long step."""

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
        """Print the sentence."""
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def step(self, title: str, total: int) -> None:
        """Begin to count a new step."""
        self._title, self._total, self._done = title, total, 0

    def advance(self, rows: int) -> None:
        """Print how far the step is, when it is complete or another part of it is."""
        before, self._done = self._done, self._done + rows
        if self._done >= self._total or before // self.EVERY_ROWS < self._done // self.EVERY_ROWS:
            self.say(f"{self._title}: {self._done:,} of {self._total:,}")


def shown_on(stream: TextIO) -> Bars | Lines:
    """Return bars if the stream is a terminal, else lines."""
    return Bars(Console(file=stream)) if stream.isatty() else Lines(stream)
