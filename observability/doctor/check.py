"""A check: one thing that can be wrong with a service's telemetry, how to see it, and how to put it right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong."""

    check: str
    """The name of the check."""
    message: str
    """What was seen, with the names and numbers of this service."""
    fix: str
    """What to do about it."""


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """One thing that can be wrong."""

    name: str
    description: str
    """What it finds, for the list of checks."""
    fix: str
    run: Callable[[Subject], Iterator[str]]
    """Yields a sentence for every case of it in the subject."""

    def findings(self, subject: Subject) -> list[Finding]:
        """Return what is wrong with the subject."""
        return [Finding(self.name, message, self.fix) for message in self.run(subject)]
