"""A check: one possible problem of a service's telemetry, how to detect it, and how to fix it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Subject = TypeVar("Subject")
Run = Callable[[Subject], Iterator[str]]


@dataclass(frozen=True)
class Finding:
    """A problem of this service."""

    check: str
    message: str
    """The problem, with names and numbers of this service."""
    fix: str


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """One possible problem."""

    name: str
    description: str
    fix: str
    run: Run[Subject]
    """Yields a message for every instance of the problem."""

    def findings(self, subject: Subject) -> list[Finding]:
        """Return the problems of the subject."""
        return [Finding(self.name, message, self.fix) for message in self.run(subject)]


def check(
    checks: list[Check[Subject]], name: str, description: str, fix: str
) -> Callable[[Run[Subject]], Run[Subject]]:
    """Append the decorated function to `checks`."""

    def decorate(run: Run[Subject]) -> Run[Subject]:
        checks.append(Check(name, description, fix, run))
        return run

    return decorate
