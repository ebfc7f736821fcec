"""A proxy tracer provider, which delegates to the provider that runs at the time.

OpenTelemetry lets a process set its provider once. Telemetry starts with an application's lifespan: after modules with
tracers were imported, again in each worker, and many times in tests. So the global provider is a proxy.
"""

from collections.abc import Iterator, Sequence
from threading import Lock
from time import time_ns
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NoOpTracerProvider, Span, SpanContext, SpanKind, Tracer, TracerProvider
from opentelemetry.util.types import Attributes

from observability.compat.opentelemetry import instrumentation_scope, span_context_manager
from observability.tracing.kept_span import ChildSpan, KeptTracer, RequestSpan
from observability.tracing.sampling import PresetIdGenerator


class ProxyTracerProvider(TracerProvider):
    """Delegates to the provider that was activated last; without one, spans are not recorded."""

    def __init__(self) -> None:
        self._running: list[TracerProvider] = []
        self._lock = Lock()
        self.current: TracerProvider = NoOpTracerProvider()

    def activate(self, provider: TracerProvider) -> None:
        """Delegate to this provider from now on."""
        with self._lock:
            self._running.append(provider)
            self.current = provider

    def deactivate(self, provider: TracerProvider) -> None:
        with self._lock:
            if provider in self._running:
                self._running.remove(provider)
            self.current = self._running[-1] if self._running else NoOpTracerProvider()

    def get_tracer(self, *args: Any, **kwargs: Any) -> KeptTracer:
        return _ProxyTracer(self, args, kwargs)


class _ProxyTracer(KeptTracer):
    def __init__(self, proxy: ProxyTracerProvider, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._proxy = proxy
        self._args = args
        self._kwargs = kwargs
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None
        self._scope = InstrumentationScope("")

    def _current(self) -> Tracer:
        provider, tracer = self._provider, self._tracer
        if tracer is None or provider is not self._proxy.current:
            self._provider = provider = self._proxy.current
            self._tracer = tracer = provider.get_tracer(*self._args, **self._kwargs)
            self._scope = instrumentation_scope(tracer, *self._args, *self._kwargs.values())
        return tracer

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        self._current()
        return self._scope

    def start_span(  # noqa: PLR0913, PLR0917 the signature is OpenTelemetry's
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Start a span of the current provider; in a request, one that its record keeps or exports."""
        parent = trace.get_current_span(context)
        if isinstance(parent, RequestSpan) and parent.has_children:
            started_ns = start_time or time_ns()
            return ChildSpan(parent, self, name, kind=kind, attributes=attributes, start_ns=started_ns, links=links)
        return self._current().start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )

    @span_context_manager
    def start_as_current_span(  # noqa: PLR0913, PLR0917 the signature is OpenTelemetry's
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        span = self.start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            yield span

    def start_again(self, context: SpanContext, base: Context, **span: Any) -> Span | None:
        """Start a recorded span with these ids; None if nothing records any more."""
        tracer = self._current()
        ids = getattr(tracer, "id_generator", None)
        if not isinstance(ids, PresetIdGenerator):
            return None
        ids.preset(trace_id=context.trace_id, span_id=context.span_id)
        return tracer.start_span(context=base, **span)


_proxy: Final = ProxyTracerProvider()


def global_tracer_provider() -> TracerProvider | None:
    """Return the provider that the application set, which is then used; None if it set none."""
    provider = trace.get_tracer_provider()
    return None if provider is _proxy or isinstance(provider, trace.ProxyTracerProvider) else provider


def activate(provider: TracerProvider) -> None:
    """Let tracers from `opentelemetry.trace` use this provider, unless the application set its own."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(_proxy)
    _proxy.activate(provider)


def deactivate(provider: TracerProvider) -> None:
    _proxy.deactivate(provider)
