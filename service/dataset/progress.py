"""Where a load says how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Told by a load what it does; draws a bar, prints lines, or nothing."""

    def say(self, line: str) -> None:
        """Take a sentence about the load as a whole."""

    def step(self, title: str, total: int) -> None:
        """Begin a step of so many rows."""

    def advance(self, rows: int) -> None:
        """Count rows of the current step as done."""


class Silence:
    """A progress that nobody watches."""

    def say(self, line: str) -> None:
        """Drop the sentence."""

    def step(self, title: str, total: int) -> None:
        """Drop the step."""

    def advance(self, rows: int) -> None:
        """Drop the count."""
