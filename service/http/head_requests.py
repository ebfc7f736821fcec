"""HEAD for every GET route: the same headers, no body."""

from typing import Final

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_DEFINED_FOR_HEAD: Final = frozenset({b"range", b"if-range"})
"""RFC 9110, section 14.2: a server ignores `Range` in requests whose method is not GET."""
WITHOUT_BODY: Final = frozenset({204, 304})


class HeadMiddleware:
    """Handles HEAD as GET, and ends the response with its headers.

    The method in the scope is GET for the application inside and HEAD for everything outside: the server needs it to
    frame the response, metrics to count it. An application that streams is cancelled when its response starts: the
    stream could be endless. One that sends its body at once completes, so that a cache can store it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        headers = scope["headers"]

        async def send_as_head(message: Message) -> None:
            scope["method"] = "HEAD"
            try:
                await send(message)
            finally:
                scope["method"] = "GET"

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send_as_head(message)
                await send_as_head({"type": "http.response.body", "body": b"", "more_body": False})
                if _is_stream(message):
                    running.cancel()
            elif message["type"] != "http.response.body":
                await send_as_head(message)
            elif message.get("more_body", False):
                running.cancel()

        scope["method"] = "GET"
        scope["headers"] = [pair for pair in headers if pair[0] not in NOT_DEFINED_FOR_HEAD]
        try:
            with anyio.CancelScope() as running:
                await self.app(scope, receive, without_body)
        finally:
            scope["method"], scope["headers"] = "HEAD", headers


def _is_stream(start: Message) -> bool:
    """Return whether the response has a body of unknown length."""
    return start["status"] not in WITHOUT_BODY and all(
        name.lower() != b"content-length" for name, _ in start.get("headers", ())
    )
