"""HTTP clients of the upstream: blocking or awaited, kept or made per call; each counts the connections it opens."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
from httpx_retries import Retry, RetryTransport

from service.network.resolving_transport import ResolvingTransport
from service.weather.metrics import UpstreamMetrics

# A GET that never reached the upstream, or that it refused to begin, is safe to send again. One that ran into its
# read timeout is not: the upstream is slow, and a second request is more work for it.
RETRIED_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.RemoteProtocolError, httpx.ReadError)
RETRIED_STATUSES = (503,)

# Shorter than the upstream keeps an idle connection, so that it does not close the one that is about to be used.
KEEP_ALIVE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """How a client of the upstream is made; the defaults wait for ever and never retry."""

    base_url: str
    max_connections: int
    timeout: httpx.Timeout = field(default_factory=lambda: httpx.Timeout(None))
    retries: int = 0
    watch: Callable[[httpx.Client | httpx.AsyncClient], None]
    """Makes a client observable, before its first call."""

    @property
    def limits(self) -> httpx.Limits:
        """Return the limits of the client's connection pool."""
        return httpx.Limits(
            max_connections=self.max_connections,
            max_keepalive_connections=self.max_connections,
            keepalive_expiry=KEEP_ALIVE_S,
        )

    @property
    def retry(self) -> Retry:
        """Return what is sent again, and when: twice at most, after 50 and 100 ms, each with full jitter."""
        return Retry(
            total=self.retries,
            allowed_methods=("GET",),
            status_forcelist=RETRIED_STATUSES,
            retry_on_exceptions=RETRIED_ERRORS,
            backoff_factor=0.025,
            max_backoff_wait=0.5,
        )

    def awaited(self) -> httpx.AsyncClient:
        """Return a new client whose calls are awaited."""
        transport = RetryTransport(ResolvingTransport(httpx.AsyncHTTPTransport(limits=self.limits)), self.retry)
        client = httpx.AsyncClient(base_url=self.base_url, timeout=self.timeout, transport=transport)
        self.watch(client)
        return client

    def blocking(self) -> httpx.Client:
        """Return a new client whose calls block the thread."""
        transport = httpx.HTTPTransport(limits=self.limits)
        return httpx.Client(
            base_url=self.base_url, timeout=self.timeout, transport=RetryTransport(transport, self.retry)
        )


class UpstreamClient(Protocol):
    """What asks the upstream; every variant answers the same."""

    async def get(self, url: str, params: dict[str, str]) -> httpx.Response:
        """Return the upstream's response; raise `httpx.HTTPError` when there is none."""
        ...

    async def aclose(self) -> None:
        """Close the kept connections."""
        ...


class AsyncUpstreamClient:
    """One kept client, awaited: connections are reused and the event loop stays free."""

    def __init__(self, options: ClientOptions, metrics: UpstreamMetrics) -> None:
        self._client = options.awaited()
        self._trace = {"trace": _awaited_trace(metrics)}

    async def get(self, url: str, params: dict[str, str]) -> httpx.Response:
        """Return the upstream's response."""
        return await self._client.get(url, params=params, extensions=self._trace)

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._client.aclose()


class AsyncClientPerCall:
    """A new client for every call, awaited."""

    def __init__(self, options: ClientOptions, metrics: UpstreamMetrics) -> None:
        self._options = options
        self._trace = {"trace": _awaited_trace(metrics)}

    async def get(self, url: str, params: dict[str, str]) -> httpx.Response:
        """Return the upstream's response."""
        async with self._options.awaited() as client:
            return await client.get(url, params=params, extensions=self._trace)

    async def aclose(self) -> None:
        """Keep nothing, close nothing."""


class BlockingClient:
    """One kept client that blocks the event loop for as long as the upstream takes."""

    def __init__(self, options: ClientOptions, metrics: UpstreamMetrics) -> None:
        self._client = options.blocking()
        self._trace = {"trace": _blocking_trace(metrics)}

    async def get(self, url: str, params: dict[str, str]) -> httpx.Response:
        """Return the upstream's response."""
        return self._client.get(url, params=params, extensions=self._trace)

    async def aclose(self) -> None:
        """Close the kept connections."""
        self._client.close()


class BlockingClientPerCall:
    """A new client for every call that blocks the event loop for as long as the upstream takes."""

    def __init__(self, options: ClientOptions, metrics: UpstreamMetrics) -> None:
        self._options = options
        self._trace = {"trace": _blocking_trace(metrics)}

    async def get(self, url: str, params: dict[str, str]) -> httpx.Response:
        """Return the upstream's response."""
        with self._options.blocking() as client:
            return client.get(url, params=params, extensions=self._trace)

    async def aclose(self) -> None:
        """Keep nothing, close nothing."""


def _blocking_trace(metrics: UpstreamMetrics) -> Callable[[str, dict[str, Any]], None]:
    """Return the hook that httpcore calls with the steps of a request."""

    def trace(step: str, info: dict[str, Any]) -> None:  # noqa: ARG001 the signature is httpcore's
        if step == "connection.connect_tcp.complete":
            metrics.connected()

    return trace


def _awaited_trace(metrics: UpstreamMetrics) -> Callable[[str, dict[str, Any]], Any]:
    """Return the same hook in the form that an awaited client calls."""
    count = _blocking_trace(metrics)

    async def trace(step: str, info: dict[str, Any]) -> None:
        count(step, info)

    return trace
