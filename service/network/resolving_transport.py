"""An HTTP transport that resolves the name of an unreachable server once for concurrent requests."""

import asyncio

import httpx

from service.network.dns import resolve


class ResolvingTransport(httpx.AsyncBaseTransport):
    """Sends through another transport; after a failed connect it first resolves the name of the server.

    Pooled connections need no lookup, so while the server is up there is none.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._is_down = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response; raise `httpx.ConnectError` or `httpx.ConnectTimeout` if the name cannot be resolved."""
        if self._is_down:
            await _resolve(request)
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            self._is_down = True
            raise
        self._is_down = False
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _resolve(request: httpx.Request) -> None:
    url = request.url
    try:
        async with asyncio.timeout(request.extensions.get("timeout", {}).get("connect")):
            await resolve(url.host, url.port or (443 if url.scheme == "https" else 80))
    except TimeoutError as error:
        raise httpx.ConnectTimeout(f"resolving {url.host} timed out", request=request) from error
    except OSError as error:
        raise httpx.ConnectError(str(error), request=request) from error
