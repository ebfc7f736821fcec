"""Read your writes: a client's reads see its last write, whichever process and server handles them.

The response to a write sets a cookie with the position of the primary's log after it. A read with the cookie goes to
the replica only if the replica has replayed the log up to there.
"""

import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.database.reads import Consistency, current_consistency

COOKIE: Final = "flightdeck_position"
MAX_AGE_S: Final = 60
"""The lifetime of the cookie; a replica that lags further behind is not used anyway."""
RETRIED: Final = frozenset({"GET", "HEAD"})


class ReadYourWritesMiddleware:
    """Sets the consistency of each request, and retries a read on the primary if the replica failed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Consistency(after=_position(Headers(scope=scope).get("cookie", "")))
        may_retry = scope["method"] in RETRIED
        will_retry = False

        async def send_unless_retried(message: Message) -> None:
            nonlocal will_retry
            if message["type"] == "http.response.start":
                will_retry = may_retry and request.replica_failed and message["status"] == 503
                if request.wrote:
                    MutableHeaders(scope=message).append("Set-Cookie", _cookie(request.wrote, scope["scheme"]))
            if not will_retry:
                await send(message)

        token = current_consistency.set(request)
        try:
            await self.app(scope, receive, send_unless_retried)
            if will_retry:
                request.on_primary, may_retry = True, False
                await self.app(scope, receive, send_unless_retried)
        finally:
            current_consistency.reset(token)


def _position(cookies: str) -> int:
    """Return the position in the request's cookies; 0, which every replica has, without a valid one."""
    value = cookie_parser(cookies).get(COOKIE, "")
    return int(value) if re.fullmatch(r"[0-9]{1,19}", value) else 0


def _cookie(position: int, scheme: str) -> str:
    secure = "; Secure" if scheme == "https" else ""
    return f"{COOKIE}={position}; Max-Age={MAX_AGE_S}; Path=/; HttpOnly; SameSite=Lax{secure}"
