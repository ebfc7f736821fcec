"""A check: one possible problem of a service's telemetry, how to detect it, and how to fix it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Subject = TypeVar("Subject")
Run = Callable[[Subject], Iterator[str]]


@dataclass(frozen=True)
class Finding:
    check: str
    message: str
    """The problem, with names and numbers of this service."""
    fix: str


@dataclass(frozen=True)
class Check(Generic[Subject]):
    name: str
    description: str
    fix: str
    run: Run[Subject]
    """Yields a message for every instance of the problem."""

    def findings(self, subject: Subject) -> list[Finding]:
        return [Finding(self.name, message, self.fix) for message in self.run(subject)]


def check(checks: list[Check[Subject]], *, fix: str) -> Callable[[Run[Subject]], Run[Subject]]:
    """Append the decorated function to `checks`; its name and docstring are those of the check."""

    def decorate(run: Run[Subject]) -> Run[Subject]:
        name, description = getattr(run, "__name__", ""), (run.__doc__ or "").rstrip(".")
        checks.append(Check(name.replace("_", "-"), description, fix, run))
        return run

    return decorate
