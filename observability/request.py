"""What telemetry knows about the request that is being answered."""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext
    from starlette.types import Scope

    from observability.queries import RequestQueries
    from observability.route import RouteTable

_RECORD: Final = "observability.request"


class RequestRecord:
    """One request's facts, shared by everything that runs for it: in the scope and in a context variable."""

    __slots__ = (
        "__weakref__", "caller", "disconnected", "first_byte", "last_byte", "queries", "received", "request_id",
        "root_path", "route", "routes", "sampled", "scope", "sent", "span", "span_id", "stages", "started", "status",
        "trace_id",
    )  # fmt: skip

    def __init__(self, scope: Scope, routes: RouteTable) -> None:
        self.scope = scope
        self.routes = routes
        self.root_path: str = scope.get("root_path", "")
        """As the application got it; mounts below it add to the one in the scope."""
        self.route: str | None = None
        """The template, once somebody named it."""
        self.stages: dict[str, float] | None = None
        """Seconds by stage name, for `Server-Timing`."""
        self.caller: SpanContext | None = None
        """The span that the request says it belongs to."""
        self.trace_id = ""
        """32 hexadecimal digits, also of requests that are not sampled."""
        self.span_id = ""
        self.sampled = False
        """Whether somebody keeps the trace, so that exemplars may point at it."""
        self.request_id = ""
        self.status = 0
        """As the response started with; 0 before that."""
        self.received = self.sent = 0
        """Body bytes on the wire."""
        self.started = perf_counter()
        self.first_byte = self.last_byte = 0.0
        """Readings of `perf_counter`; 0 before they happen."""
        self.span: Span | None = None
        """The request's own span while it is open and recording; what blames a request adds its event there."""
        self.queries: RequestQueries | None = None
        """The statements executed so far; None until the first one."""
        self.disconnected = False
        """Whether the client went away before the answer was complete."""
        scope[_RECORD] = self


def record_of(scope: Scope) -> RequestRecord | None:
    """Return the record that the instrumentation put into the scope, or None outside it."""
    record = scope.get(_RECORD)
    return record if isinstance(record, RequestRecord) else None


current_request: Final[ContextVar[RequestRecord | None]] = ContextVar("observability_request", default=None)
