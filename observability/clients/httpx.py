"""Calls of httpx clients: duration, status, and the connections they open.

The transports of a client are wrapped, because httpx calls no event hook for a call that fails. Spans are those of the
official instrumentation. Connects are events of httpcore's trace extension.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from time import perf_counter
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor, RequestInfo
from opentelemetry.semconv.attributes.url_attributes import URL_FULL
from opentelemetry.trace import Span, TracerProvider
from prometheus_client import CollectorRegistry, Gauge, Histogram

from observability.compat.httpx import NO_METERS, has_transports, wrap_transports
from observability.core.attached import AlreadyAttached
from observability.core.internal_errors import suppress_internal_errors
from observability.core.labels import OTHER
from observability.core.semconv import SERVICE_PEER_NAME, prefer_stable_conventions
from observability.metrics.histogram import exemplar
from observability.request.record import METHODS
from observability.request.server_timing import add_timing
from observability.tracing.propagation import forwards_baggage, without_callers_baggage

DURATION_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
CONNECT_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Client = httpx.Client | httpx.AsyncClient

logger: Final = logging.getLogger("observability")


class HttpClientMetrics:
    """Time the calls of httpx clients and the connections they open, by the client's name."""

    def __init__(self, registry: CollectorRegistry, *, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer_provider = tracer_provider
        self._attached: WeakKeyDictionary[Client, str] = WeakKeyDictionary()
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.duration = histogram(
            "http_client_request_duration_seconds",
            "Time from sending a request to the headers of its response; `code` is its status, `timeout` or `error`.",
            ("client", "method", "code"),
            buckets=DURATION_BUCKETS_S,
        )
        self.inprogress = gauge("http_client_requests_inprogress", "Requests without a response yet.", ("client",))
        self.connect = histogram(
            "http_client_connect_duration_seconds",
            "Time to open a TCP connection; reused connections are not counted.",
            ("client",),
            buckets=CONNECT_BUCKETS_S,
        )

    def attach(self, name: str, client: Client) -> None:
        """Observe the client under this name and propagate the trace context; raise `AlreadyAttached` the second time.

        A client may live as long as its module, while tests instrument many applications: only the latest observes it.
        """
        if client in self._attached:
            raise AlreadyAttached("client", name, self._attached[client])
        if not has_transports(client):
            logger.warning("the httpx client %r is not instrumented: this version of httpx hides its transports", name)
            return
        self._attached[client] = name
        prefer_stable_conventions()
        if client in _observed:
            HTTPXClientInstrumentor.uninstrument_client(client)
            wrap_transports(client, _unwrapped)
        _observed.add(client)
        calls = _ClientMetrics(name, self)
        asynchronous = isinstance(client, httpx.AsyncClient)
        HTTPXClientInstrumentor.instrument_client(
            client,
            tracer_provider=self._tracer_provider,
            **NO_METERS,
            request_hook=_async_span_hook(name) if asynchronous else _span_hook(name),
        )
        wrapper: Any = _AsyncTransport if asynchronous else _Transport
        wrap_transports(client, lambda transport: wrapper(transport, calls))


_observed: Final[WeakSet[Client]] = WeakSet()


def _unwrapped(transport: Any) -> Any:
    return transport.inner if isinstance(transport, _Transport | _AsyncTransport) else transport


def _span_hook(name: str) -> Callable[[Span, RequestInfo], None]:
    """Return a hook that names the called service, and removes the values of the query from the span.

    Service graphs name a service without spans of its own by `service.peer.name`, and otherwise by its address. The
    official instrumentation redacts few names of the query.
    """

    def hook(span: Span, request: RequestInfo) -> None:
        with suppress_internal_errors("http_clients"):
            span.set_attribute(SERVICE_PEER_NAME, name)
            url = request.url
            if not isinstance(url, httpx.URL):
                scheme, host, port, raw_path = url
                url = httpx.URL(scheme=scheme.decode(), host=host.decode(), port=port, raw_path=raw_path)
            span.set_attribute(URL_FULL, str(url.copy_with(query=None, userinfo=b"")))

    return hook


def _async_span_hook(name: str) -> Callable[[Span, RequestInfo], Awaitable[None]]:
    hook = _span_hook(name)

    async def async_hook(span: Span, request: RequestInfo) -> None:
        hook(span, request)

    return async_hook


class _ClientMetrics:
    def __init__(self, name: str, metrics: HttpClientMetrics) -> None:
        self._name = name
        self._duration = metrics.duration
        self._connect = metrics.connect.labels(name)
        self._inprogress = metrics.inprogress.labels(name)
        self.context = nullcontext if forwards_baggage() else without_callers_baggage
        """The context of a call; clients of a service may not know the servers that it calls."""

    @contextmanager
    def timed(self, request: httpx.Request) -> Iterator[Callable[[httpx.Response], None]]:
        """Time one call; the block passes its response to the function it gets."""
        status = "error"

        def set_response(response: httpx.Response) -> None:
            nonlocal status
            status = str(response.status_code)

        self._inprogress.inc()
        started = perf_counter()
        try:
            yield set_response
        except httpx.TimeoutException:
            status = "timeout"
            raise
        finally:
            seconds = perf_counter() - started
            self._inprogress.dec()
            with suppress_internal_errors("http_clients"):
                method = request.method if request.method in METHODS else OTHER
                self._duration.labels(self._name, method, status).observe(seconds, exemplar())
                add_timing("upstream", seconds)

    def connects(self) -> Callable[[str, dict[str, Any]], None]:
        """Return a listener for httpcore's trace events of one call."""
        started = 0.0

        def on_trace_event(event: str, _: dict[str, Any]) -> None:
            nonlocal started
            if event == "connection.connect_tcp.started":
                started = perf_counter()
            elif event == "connection.connect_tcp.complete":
                with suppress_internal_errors("http_clients"):
                    self._connect.observe(perf_counter() - started, exemplar())

        return on_trace_event


class _Transport(httpx.BaseTransport):
    def __init__(self, inner: httpx.BaseTransport, calls: _ClientMetrics) -> None:
        self.inner = inner
        self._calls = calls

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        on_trace_event, before = self._calls.connects(), request.extensions.get("trace")

        def trace(event: str, info: dict[str, Any]) -> None:
            on_trace_event(event, info)
            if before is not None:
                before(event, info)

        request.extensions = {**request.extensions, "trace": trace}
        with self._calls.timed(request) as set_response, self._calls.context():
            response = self.inner.handle_request(request)
            set_response(response)
        return response

    def close(self) -> None:
        self.inner.close()


class _AsyncTransport(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport, calls: _ClientMetrics) -> None:
        self.inner = inner
        self._calls = calls

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        on_trace_event, before = self._calls.connects(), request.extensions.get("trace")

        async def trace(event: str, info: dict[str, Any]) -> None:
            on_trace_event(event, info)
            if before is not None:
                await before(event, info)

        request.extensions = {**request.extensions, "trace": trace}
        with self._calls.timed(request) as set_response, self._calls.context():
            response = await self.inner.handle_async_request(request)
            set_response(response)
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()
