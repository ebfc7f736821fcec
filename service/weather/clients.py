"""HTTP clients of the upstream: async or blocking, one for the process or one per call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import httpx
from httpx_retries import Retry, RetryTransport

from service.network.resolving_transport import ResolvingTransport
from service.weather.metrics import UpstreamMetrics

# A GET that did not reach the upstream, or got a 503, is safe to repeat. After a read timeout the upstream is slow, and
# a second request would make it slower.
RETRIED_ERRORS: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.RemoteProtocolError, httpx.ReadError)
RETRIED_STATUSES: Final = (503,)

KEEP_ALIVE_S: Final = 20.0
"""Less than the upstream's own keep-alive timeout, so that it never closes a connection in use."""


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """How to create a client of the upstream; by default without timeouts and retries."""

    base_url: str
    max_connections: int
    timeout: httpx.Timeout = field(default_factory=lambda: httpx.Timeout(None))
    retries: int = 0
    instrument: Callable[[httpx.Client | httpx.AsyncClient], None]
    """Is called with every new client."""

    @property
    def limits(self) -> httpx.Limits:
        """The limits of the connection pool."""
        return httpx.Limits(
            max_connections=self.max_connections,
            max_keepalive_connections=self.max_connections,
            keepalive_expiry=KEEP_ALIVE_S,
        )

    @property
    def retry(self) -> Retry:
        """What is retried, and when: two retries are after up to 50 and 100 ms, with full jitter."""
        return Retry(
            total=self.retries,
            allowed_methods=("GET",),
            status_forcelist=RETRIED_STATUSES,
            retry_on_exceptions=RETRIED_ERRORS,
            backoff_factor=0.025,
            max_backoff_wait=0.5,
        )

    def async_client(self) -> httpx.AsyncClient:
        """Return a new async client."""
        transport = RetryTransport(ResolvingTransport(httpx.AsyncHTTPTransport(limits=self.limits)), self.retry)
        client = httpx.AsyncClient(base_url=self.base_url, timeout=self.timeout, transport=transport)
        self.instrument(client)
        return client

    def blocking_client(self) -> httpx.Client:
        """Return a new blocking client."""
        transport = RetryTransport(httpx.HTTPTransport(limits=self.limits), self.retry)
        client = httpx.Client(base_url=self.base_url, timeout=self.timeout, transport=transport)
        self.instrument(client)
        return client


class UpstreamClient(Protocol):
    """Sends requests to the upstream."""

    async def get(self, url: str, params: dict[str, str]) -> httpx.Response:
        """Return the upstream's response; raise `httpx.HTTPError` if there is none."""

    async def aclose(self) -> None:
        """Close the connections."""


class AsyncUpstreamClient:
    """An async client; the event loop serves other requests during a call."""

    def __init__(self, options: ClientOptions, metrics: UpstreamMetrics) -> None:
        self._client = options.async_client()

        async def trace(step: str, info: dict[str, Any]) -> None:  # noqa: ARG001 the signature is httpcore's
            metrics.count_connect(step)

        self._extensions = {"trace": trace}

    async def get(self, url: str, params: dict[str, str]) -> httpx.Response:
        return await self._client.get(url, params=params, extensions=self._extensions)

    async def aclose(self) -> None:
        await self._client.aclose()


class BlockingUpstreamClient:
    """A blocking client; the event loop stands still during a call."""

    def __init__(self, options: ClientOptions, metrics: UpstreamMetrics) -> None:
        self._client = options.blocking_client()
        self._extensions = {"trace": lambda step, _info: metrics.count_connect(step)}

    async def get(self, url: str, params: dict[str, str]) -> httpx.Response:
        return self._client.get(url, params=params, extensions=self._extensions)

    async def aclose(self) -> None:
        self._client.close()


class ClientPerCall:
    """A new client, and so a new connection, for every call."""

    def __init__(self, create: Callable[[], UpstreamClient]) -> None:
        self._create = create

    async def get(self, url: str, params: dict[str, str]) -> httpx.Response:
        client = self._create()
        try:
            return await client.get(url, params)
        finally:
            await client.aclose()

    async def aclose(self) -> None:
        """No client is open between calls."""
