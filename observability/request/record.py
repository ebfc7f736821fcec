"""What telemetry knows about the request that is being answered."""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext
    from opentelemetry.util.types import AttributeValue
    from starlette.types import Scope

    from observability.database.queries import RequestQueries
    from observability.request.route_table import RouteTable

METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
RECORD: Final = "observability.request.record"
"""Where the record is in the scope."""


SpanEvent = tuple[str, dict[str, "AttributeValue"], int]
"""Name, attributes and time in nanoseconds since 1970 of an event."""


class RequestRecord:
    """One request's facts, shared by everything that runs for it: in the scope and in a context variable.

    Every request makes one, and most facts keep their default; those are on the class.
    """

    route: str | None = None
    """The template, once somebody named it."""
    timings: dict[str, float] | None = None
    """Seconds by timing name, for `Server-Timing`."""
    parent_span_context: SpanContext | None = None
    """The span that the request says it belongs to."""
    trace_id: int = 0
    """The trace id of this request, sampled or not; 0 before it has one."""
    span_id: int = 0
    sampled: bool = False
    """Whether somebody keeps the trace, so that exemplars may point at it."""
    span: Span | None = None
    """The request's own span while it is open and recording."""
    client_request_id: str = ""
    """The request id that the caller chose, if it is one."""
    status: int = 0
    """As the response started with; 0 before that."""
    received: int = 0
    sent: int = 0
    """Body bytes on the wire."""
    body: bytes = b""
    """The beginning of the request's body as it was read, so that reports can leave out what is in it."""
    first_byte: float = 0.0
    last_byte: float = 0.0
    """Readings of `perf_counter`; 0 before they happen."""
    queries: RequestQueries | None = None
    """The statements executed so far; None until the first one."""
    events: list[SpanEvent] | None = None
    """Events for the request's span; those of a request that is traced after the fact are kept too."""
    disconnected: bool = False
    """Whether the client went away before the answer was complete."""

    def __init__(self, scope: Scope, routes: RouteTable) -> None:
        self.scope = scope
        self.routes = routes
        self.root_path: str = scope.get("root_path", "")
        """As the application got it; mounts below it add to the one in the scope."""
        self.started = perf_counter()
        scope[RECORD] = self
        scope["fastapi.telemetry"] = None  # so mounted FastAPI applications do not trace the request again

    def add_event(self, name: str, attributes: dict[str, AttributeValue]) -> None:
        """Keep an event for the request's span; from any thread, and the attributes may still change."""
        note = (name, attributes, time_ns())
        if self.events is None:
            self.events = [note]
        else:
            self.events.append(note)

    @property
    def body_is_cut(self) -> bool:
        """Whether the body was longer than what was kept of it."""
        return self.received > len(self.body)

    @property
    def trace_id_hex(self) -> str:
        """The trace id in 32 hexadecimal digits, also of requests that are not sampled; empty before there is one."""
        return f"{self.trace_id:032x}" if self.trace_id else ""

    @property
    def request_id(self) -> str:
        """What this one request is called in logs: as the caller called it, else by its span."""
        return self.client_request_id or self.span_id_hex

    @property
    def span_id_hex(self) -> str:
        """The id of the request's span in 16 hexadecimal digits; empty before there is one."""
        return f"{self.span_id:016x}" if self.span_id else ""


def request_record(scope: Scope) -> RequestRecord | None:
    """Return the record that the instrumentation put into the scope, or None outside it."""
    record = scope.get(RECORD)
    return record if isinstance(record, RequestRecord) else None


current_request: Final[ContextVar[RequestRecord | None]] = ContextVar("observability_request", default=None)
