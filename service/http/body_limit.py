"""Limits on the size and the duration of request bodies.

Starlette's `RequestBodyLimitMiddleware` does not replace the size limit: it calls the application before it checks a
declared length, so an oversized write would reach the route, and its 413 is plain text without a limit.
"""

import asyncio

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.errors import BodyTooLarge, BodyTooSlow


class BodyLimitMiddleware:
    """Rejects a body over the limit: before it is read if its length is declared, else as soon as it passes the limit.

    A body that is too slow is rejected too: its request holds a slot of the concurrency limiter.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, timeout_s: float) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isascii() and declared.isdecimal() and (len(declared) > 18 or int(declared) > self.max_bytes):
            response = problem_response(Request(scope), BodyTooLarge(limit_bytes=self.max_bytes))
            await response(scope, receive, send)
            return
        received_bytes = 0
        is_complete = False
        deadline = asyncio.get_running_loop().time() + self.timeout_s

        async def receive_limited() -> Message:
            nonlocal received_bytes, is_complete
            if is_complete:  # the next message is the disconnect, which has no deadline
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise BodyTooSlow(limit_s=self.timeout_s) from error
            is_complete = not message.get("more_body", False)
            if message["type"] == "http.request":
                received_bytes += len(message.get("body", b""))
                if received_bytes > self.max_bytes:
                    raise BodyTooLarge(limit_bytes=self.max_bytes)
            return message

        await self.app(scope, receive_limited, send)
