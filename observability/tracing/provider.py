"""The process's tracer provider: it follows the telemetry that runs, so that it can start late and start again.

OpenTelemetry lets a process set its provider once. Telemetry starts with an application's lifespan, after the modules
that hold tracers were imported, in each worker anew, and in tests many times. So the provider set here is a switch.
"""

from collections.abc import Iterator
from threading import Lock
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider, Span, Tracer, TracerProvider
from opentelemetry.util._decorator import _agnosticcontextmanager  # what the API's own tracers use: decorators too
from opentelemetry.util.types import Attributes


class ProxyTracerProvider(TracerProvider):
    """Gives tracers that use the provider which started last and still runs; without one they record nothing."""

    def __init__(self) -> None:
        self._running: list[TracerProvider] = []
        self._lock = Lock()
        self.current: TracerProvider = NoOpTracerProvider()

    def activate(self, provider: TracerProvider) -> None:
        """Let tracers use this provider from now on."""
        with self._lock:
            self._running.append(provider)
            self.current = provider

    def deactivate(self, provider: TracerProvider) -> None:
        """Go back to the provider that started before this one."""
        with self._lock:
            if provider in self._running:
                self._running.remove(provider)
            self.current = self._running[-1] if self._running else NoOpTracerProvider()

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes | None = None,
    ) -> Tracer:
        """Return a tracer that follows the switch."""
        return _ProxyTracer(self, (instrumenting_module_name, instrumenting_library_version, schema_url, attributes))


class _ProxyTracer(Tracer):
    def __init__(self, switch: ProxyTracerProvider, name: tuple[Any, ...]) -> None:
        self._proxy = switch
        self._name = name
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def _current(self) -> Tracer:
        provider, tracer = self._provider, self._tracer
        if tracer is None or provider is not self._proxy.current:
            self._provider = provider = self._proxy.current
            self._tracer = tracer = provider.get_tracer(*self._name)
        return tracer

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        """Start a span with the running provider."""
        return self._current().start_span(*args, **kwargs)

    @_agnosticcontextmanager
    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Iterator[Span]:
        """Start a span with the running provider and make it current for the block."""
        with self._current().start_as_current_span(*args, **kwargs) as span:
            yield span


_proxy: Final = ProxyTracerProvider()


def global_tracer_provider() -> TracerProvider | None:
    """Return the provider that the process set by itself, which then is to be used; None if it set none."""
    provider = trace.get_tracer_provider()
    return None if provider is _proxy or isinstance(provider, trace.ProxyTracerProvider) else provider


def activate(provider: TracerProvider) -> None:
    """Let tracers from `opentelemetry.trace` use this provider, unless the process set its own."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(_proxy)
    _proxy.activate(provider)


def deactivate(provider: TracerProvider) -> None:
    """Let them go back to the one that ran before."""
    _proxy.deactivate(provider)
