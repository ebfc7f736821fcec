"""What the faults have in common: the route to which metrics attribute what they do."""

from typing import Final, Protocol

from starlette.types import Scope

from observability.request.record import RequestRecord

PREFIX: Final = "/debug/faults/"
"""Below it each fault has its path on the metrics port."""
EVENT_LOOP: Final = "event-loop"
POOL: Final = "pool"


class Fault(Protocol):
    """A fault that is being injected, and ends by itself."""

    @property
    def is_running(self) -> bool: ...

    def end(self) -> None:
        """End it early, from any thread."""


class _Path:
    """The route table of a request without a router: its path is its template."""

    def template(self, scope: Scope, *, root_path: str) -> str:
        return root_path + str(scope["path"])

    match = template


def record_of(name: str) -> RequestRecord:
    """Return the request of a fault, so that a blocked loop and held connections name its path as their route."""
    return RequestRecord({"type": "http", "method": "POST", "path": PREFIX + name}, _Path())
