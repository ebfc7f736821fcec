"""Spans of the steps in which FastAPI handles a request: dependencies, endpoint, serialization, background tasks."""

from contextvars import Token
from time import time_ns
from types import TracebackType
from typing import Any, Self

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.util.types import AttributeValue

from observability.tracing.context import CURRENT_CONTEXT, CURRENT_SPAN
from observability.tracing.kept_span import ChildSpan, KeptTracer, RequestSpan


class OperationSpan(ChildSpan):
    """A child span that is its own context manager: the generators of the API's take longer than the span."""

    _kind = SpanKind.INTERNAL
    _token: Token[Context] | None = None

    def __init__(
        self, parent: RequestSpan, tracer: KeptTracer, name: str, attributes: dict[str, AttributeValue]
    ) -> None:
        self.record = parent.record
        self._parent = parent
        self._tracer = tracer
        self._name = name
        self._attributes = attributes
        self._start_ns = time_ns()

    def __enter__(self) -> Self:
        self._token = CURRENT_CONTEXT.set(Context({**CURRENT_CONTEXT.get(), CURRENT_SPAN: self}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        token, self._token = self._token, None
        self.end()
        if token is not None:
            try:  # noqa: SIM105 `suppress()` is slow
                CURRENT_CONTEXT.reset(token)
            except ValueError:
                pass  # the garbage collector closes an abandoned coroutine, in another context


class OperationTracer(Tracer):
    """Starts such spans in requests that export child spans, and those of another tracer elsewhere."""

    def __init__(self, tracer: KeptTracer) -> None:
        self._tracer = tracer

    def start_span(self, *arguments: Any, **keywords: Any) -> Span:
        return self._tracer.start_span(*arguments, **keywords)

    def start_as_current_span(  # type: ignore[override]  # without what FastAPI does not use
        self, name: str, *, attributes: dict[str, AttributeValue], **keywords: Any
    ) -> Any:
        """Return a context manager with a span that has a name and attributes, which it keeps."""
        parent = CURRENT_CONTEXT.get().get(CURRENT_SPAN)
        if isinstance(parent, RequestSpan) and parent.has_children:
            return OperationSpan(parent, self._tracer, name, attributes)
        return self._tracer.start_as_current_span(name, attributes=attributes, **keywords)
