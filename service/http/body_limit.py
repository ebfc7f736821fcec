"""The limits on request bodies, kept before and while they are read."""

import asyncio

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.errors import BodyTooLarge, BodyTooSlow


class BodyLimitMiddleware:
    """Refuse a body over the limit: at once if its length is declared, else as soon as it passes the limit.

    One that comes too slowly is refused too: it would hold a turn that others wait for.
    """

    def __init__(self, app: ASGIApp, *, limit_bytes: int, limit_s: float) -> None:
        self.app = app
        self.limit_bytes = limit_bytes
        self.limit_s = limit_s

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
        is_complete = False
        deadline = asyncio.get_running_loop().time() + self.limit_s

        async def limited() -> Message:
            nonlocal received_bytes, is_complete
            if is_complete:  # what comes now is that the client goes, which may take as long as it likes
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise BodyTooSlow(limit_s=self.limit_s) from error
            is_complete = not message.get("more_body", False)
            if message["type"] == "http.request":
                received_bytes += len(message.get("body", b""))
                if received_bytes > self.limit_bytes:
                    raise BodyTooLarge(limit_bytes=self.limit_bytes)
            return message

        await self.app(scope, limited, send)
