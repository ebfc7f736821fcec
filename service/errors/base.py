"""The base of every error that a client sees, and what can be wrong with a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One thing that is wrong with a request: where, what, and what is allowed there."""

    location: str
    """`query`, `path`, `header` or `body`."""
    name: str
    """The parameter or the dotted path in the body; empty for the whole of the location."""
    message: str
    allowed: str | None = None


class ServiceError(Exception):
    """The base of every error that a client sees as a problem document."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    meaning: ClassVar[str] = "The service failed; the trace id finds the cause."

    def __init__(
        self,
        detail: str,
        *,
        hint: str | None = None,
        violations: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.violations = tuple(violations)
        self.headers = dict(headers or {})
