"""The limit on request bodies, kept before and while they are read."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLarge
from service.problems import problem_response


class BodyLimit:
    """Refuse a body over the limit: at once if its length is declared, else as soon as it passes the limit."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self.app = app
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer through the application, which reads no more than the limit."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > self.limit_bytes):
            response = problem_response(Request(scope), BodyTooLarge(limit_bytes=self.limit_bytes))
            await response(scope, receive, send)
            return
        received_bytes = 0

        async def limited() -> Message:
            nonlocal received_bytes
            message = await receive()
            if message["type"] == "http.request":
                received_bytes += len(message.get("body", b""))
                if received_bytes > self.limit_bytes:
                    raise BodyTooLarge(limit_bytes=self.limit_bytes)
            return message

        await self.app(scope, limited, send)
