"""HTTP requests to a server that may be gone with its name: while it is away, they look for it one at a time."""

import asyncio

import httpx

from service.network.dns import resolve


class ResolvingTransport(httpx.AsyncBaseTransport):
    """Sends through another transport; after a connect that failed, only once the server's name is found.

    A connection that is kept needs no name, so as long as the server is there nothing is looked up for it.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._is_away = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response; raise `httpx.ConnectError` or `httpx.ConnectTimeout` if the server is not found."""
        if self._is_away:
            await _find(request)
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            self._is_away = True
            raise
        self._is_away = False
        return response

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._inner.aclose()


async def _find(request: httpx.Request) -> None:
    url = request.url
    try:
        async with asyncio.timeout(request.extensions.get("timeout", {}).get("connect")):
            await resolve(url.host, url.port or (443 if url.scheme == "https" else 80))
    except TimeoutError as error:
        raise httpx.ConnectTimeout(f"no address of {url.host} was found in time", request=request) from error
    except OSError as error:
        raise httpx.ConnectError(str(error), request=request) from error
