"""What telemetry knows about a request in progress."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext
    from opentelemetry.util.types import AttributeValue
    from starlette.types import Scope

    from observability.database.sql import Statement
    from observability.whatif.observation import Observation

METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
RECORD: Final = "observability.request.record"
"""Key of the record in the scope."""


MAX_STATEMENTS: Final = 1000
MAX_CHILDREN: Final = 1000
"""Child spans that an unsampled request keeps, the first ones; further ones are counted."""
MAX_EVENTS: Final = 128
"""As many as a span of the SDK keeps by default."""

SpanEvent = tuple[str, dict[str, "AttributeValue"], int]
"""Name, attributes, and time in nanoseconds since the epoch."""

KeptChild = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function that makes a child span, and its arguments."""


class RouteTemplates(Protocol):
    """The route table of the application that serves the request."""

    def template(self, scope: Scope, *, root_path: str) -> str: ...
    def match(self, scope: Scope, *, root_path: str) -> str: ...


class RequestRecord:
    """The state of one request, in its scope and in a context variable that its tasks and threads inherit.

    Most fields keep their default, so defaults are on the class: creating a record sets few attributes.
    """

    routed: Scope | None = None
    """The scope of the innermost router that was reached; middleware may have copied it. None before routing."""
    route: str | None = None
    """The template, if it was set by `set_route_template()`."""
    timings: dict[str, float] | None = None
    """Seconds by name, for `Server-Timing`."""
    parent_span_context: SpanContext | None = None
    """From the request's headers."""
    trace_id: int = 0
    """Also of an unsampled request; 0 before it has one."""
    span_id: int = 0
    sampled: bool = False
    """Whether the trace is kept, so that exemplars may refer to it."""
    is_logged: bool = False
    """Whether exemplars may refer to a trace that is not kept, because its id is in the log."""
    unsampled_span: Span | None = None
    """The span of an unsampled request, if something was added to it."""
    children: list[KeptChild] | None = None
    """Ended child spans of an unsampled request in progress, in case it turns out slow or failed."""
    export_child: Callable[[Any], None] | None = None
    """Exports a child span of a request that is traced."""
    snapshots: deque[Any] | None = None
    """Of the child spans that have ended since some were queued for export, if the request is traced."""
    further_children: int = 0
    """Their number beyond `MAX_CHILDREN`."""
    span: Span | None = None
    """The server span while it records."""
    client_request_id: str = ""
    """The client's `X-Request-ID`, if it is valid."""
    status: int = 0
    """Of the response; 0 before it starts."""
    received: int = 0
    sent: int = 0
    """Body bytes on the wire."""
    body: bytes = b""
    """The beginning of the request body, as far as it was read: error reports must not contain it."""
    first_byte: float = 0.0
    last_byte: float = 0.0
    """Readings of `perf_counter`; 0 before they happen."""
    labels: dict[str, str] | None = None
    """Of the application's own, by `set_label()`."""
    statements: list[Statement] | None = None
    """The first `MAX_STATEMENTS` SQL statements executed so far; None until the first one."""
    further_statements: int = 0
    """Their number beyond that: a stream or a child task may run for days."""
    events: list[SpanEvent] | None = None
    """The first `MAX_EVENTS` events of the server span, kept for a retroactive one too."""
    whatif: Observation | None = None
    """What is observed for the what-if metrics, if they are on."""
    response_headers: Iterable[tuple[bytes, bytes]] = ()
    """Of the response, where something needs them."""
    disconnected: bool = False
    """Whether the client disconnected before the response was complete."""

    def __init__(self, scope: Scope, routes: RouteTemplates) -> None:
        self.scope = scope
        self.routes = routes
        self.root_path: str = scope.get("root_path", "")
        """As the application's router received it; mounts append to the one in the scope."""
        self.started = perf_counter()
        scope[RECORD] = self
        scope["fastapi.telemetry"] = None  # mounted FastAPI applications then do not trace the request again

    def detach(self) -> None:
        """Remove the record from the scopes: each holds the other, and only the garbage collector could free both."""
        del self.scope[RECORD]
        if self.routed is not None and self.routed is not self.scope:
            self.routed.pop(RECORD, None)
        self.children = self.unsampled_span = None  # they refer to the record too

    def add_child(self, make: Callable[..., Any], *arguments: Any) -> bool:
        """Keep what is needed to make a child span; return False if none are kept (any more)."""
        children = self.children
        if children is None:
            return False
        if len(children) < MAX_CHILDREN:
            children.append((make, arguments))
        else:
            self.further_children += 1
        return True

    def taken_snapshots(self) -> list[Any]:
        """Remove the snapshots and return them; threads that do so at the same time get different ones."""
        taken: list[Any] = []
        snapshots = self.snapshots
        try:
            while snapshots:
                taken.append(snapshots.popleft())
        except IndexError:
            pass  # another thread took the last one
        return taken

    def add_event(self, name: str, attributes: dict[str, AttributeValue]) -> None:
        """Add an event to the server span, from any thread; the attributes may change until the request ends."""
        event = (name, attributes, time_ns())
        if self.events is None:
            self.events = [event]
        elif len(self.events) < MAX_EVENTS:
            self.events.append(event)

    @property
    def body_is_cut(self) -> bool:
        """Whether the request body was longer than the part that was kept."""
        return self.received > len(self.body)

    @property
    def trace_id_hex(self) -> str:
        """The trace id in 32 hexadecimal digits; empty before there is one."""
        return f"{self.trace_id:032x}" if self.trace_id else ""

    @property
    def request_id(self) -> str:
        return self.client_request_id or self.span_id_hex

    @property
    def span_id_hex(self) -> str:
        """The id of the server span in 16 hexadecimal digits; empty before there is one."""
        return f"{self.span_id:016x}" if self.span_id else ""


def request_record(scope: Scope) -> RequestRecord | None:
    """Return the record in the scope, or None without instrumentation."""
    record = scope.get(RECORD)
    return record if isinstance(record, RequestRecord) else None


current_request: Final[ContextVar[RequestRecord | None]] = ContextVar("observability_request", default=None)
