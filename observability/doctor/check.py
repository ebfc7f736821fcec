"""A check: one possible problem of a service's telemetry, how to detect it, and how to fix it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Subject = TypeVar("Subject")
Run = Callable[[Subject], Iterator[str]]
Status = Literal["passed", "failed", "could not look"]


class CouldNotLook(Exception):
    """What the check needs is missing, for the reason in the message."""


@dataclass(frozen=True)
class Result:
    """How a check of a service or application ended."""

    check: str
    status: Status
    messages: Sequence[str]
    """The problems, with names and numbers of this service."""
    reason: str
    """What the check could not look at, and why; empty if it looked at everything."""
    fix: str


@dataclass(frozen=True)
class Check(Generic[Subject]):
    name: str
    description: str
    fix: str
    run: Run[Subject]
    """Yields a message for every instance of the problem; raises `CouldNotLook` where it has no evidence."""

    def result(self, subject: Subject) -> Result:
        messages: list[str] = []
        reason = ""
        try:
            messages.extend(self.run(subject))
        except CouldNotLook as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 third-party objects raise anything, and the other checks go on
            reason = f"the check raised {type(error).__name__}: {error}"
        status: Status = "failed" if messages else "could not look" if reason else "passed"
        return Result(self.name, status, messages, reason, self.fix)


def exit_code(results: Sequence[Result]) -> int:
    """Return 1 if a check failed, else 2 if a check could not look, else 0."""
    statuses = {result.status for result in results}
    return 1 if "failed" in statuses else 2 if "could not look" in statuses else 0


def check(checks: list[Check[Subject]], *, fix: str) -> Callable[[Run[Subject]], Run[Subject]]:
    """Append the decorated function to `checks`; its name and docstring are those of the check."""

    def decorate(run: Run[Subject]) -> Run[Subject]:
        name, description = getattr(run, "__name__", ""), (run.__doc__ or "").rstrip(".")
        checks.append(Check(name.replace("_", "-"), description, fix, run))
        return run

    return decorate
