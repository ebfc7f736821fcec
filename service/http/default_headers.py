"""Headers of every response."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.shutdown import ShutdownState

ALWAYS: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
CLOSE: Final = (b"connection", b"close")
DOCUMENTATION: Final = (
    b"default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; connect-src 'self'; "
    b"style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; worker-src blob:; "
    b"font-src https://fonts.gstatic.com; img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The policy of pages that set none: FastAPI's documentation, whose scripts come from other hosts."""


class DefaultHeadersMiddleware:
    """Adds security headers, and `Connection: close` while the process is draining.

    Clients then open their next connection to another process, and lose no request when this one stops.
    """

    def __init__(self, app: ASGIApp, *, shutdown: ShutdownState) -> None:
        self.app = app
        self._shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *ALWAYS]
                named = dict(headers)
                is_page = named.get(b"content-type", b"").startswith(b"text/html")
                if is_page and b"content-security-policy" not in named:
                    headers.append((b"content-security-policy", DOCUMENTATION))
                if self._shutdown.is_draining:
                    headers.append(CLOSE)
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, with_headers)
