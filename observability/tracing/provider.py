"""A proxy tracer provider, which delegates to the provider that runs at the time.

OpenTelemetry lets a process set its provider once. Telemetry starts with an application's lifespan: after modules with
tracers were imported, again in each worker, and many times in tests. So the global provider is a proxy.
"""

from collections.abc import Iterator
from threading import Lock
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider, Span, Tracer, TracerProvider

from observability.compat.opentelemetry import span_context_manager


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

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        return _ProxyTracer(self, args, kwargs)


class _ProxyTracer(Tracer):
    def __init__(self, proxy: ProxyTracerProvider, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._proxy = proxy
        self._args = args
        self._kwargs = kwargs
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def _current(self) -> Tracer:
        provider, tracer = self._provider, self._tracer
        if tracer is None or provider is not self._proxy.current:
            self._provider = provider = self._proxy.current
            self._tracer = tracer = provider.get_tracer(*self._args, **self._kwargs)
        return tracer

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        return self._current().start_span(*args, **kwargs)

    @span_context_manager
    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Iterator[Span]:
        with self._current().start_as_current_span(*args, **kwargs) as span:
            yield span


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
