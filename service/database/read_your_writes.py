"""Read your writes: a client's write is in what it reads next, whichever process and server answers.

The answer to a write carries the position of the primary's log after it, in a cookie; a read that carries it goes to
the replica only if the replica has replayed the log up to there.
"""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.database.consistency import Consistency, current_consistency

COOKIE: Final = "flightdeck_position"
MAX_AGE_S: Final = 60
"""How long a client's reads may ask for its last write; a replica that is further behind is not used anyway."""
RETRIED: Final = frozenset({"GET", "HEAD"})


class ReadYourWrites:
    """Gives every request its place in the primary's log, and repeats on the primary what failed on the replica."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, a second time on the primary if the replica fails during the first."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Consistency(after=_position(Headers(scope=scope).get("cookie", "")))
        may_retry = scope["method"] in RETRIED
        withheld = False

        async def send_unless_retried(message: Message) -> None:
            nonlocal withheld
            if message["type"] == "http.response.start":
                withheld = may_retry and request.replica_failed and message["status"] == 503
                if request.wrote:
                    MutableHeaders(scope=message).append("Set-Cookie", _cookie(request.wrote, scope["scheme"]))
            if not withheld:
                await send(message)

        token = current_consistency.set(request)
        try:
            await self.app(scope, receive, send_unless_retried)
            if withheld:
                request.on_primary, may_retry = True, False
                await self.app(scope, receive, send_unless_retried)
        finally:
            current_consistency.reset(token)


def _position(cookies: str) -> int:
    """Return the position that a request's cookies ask for; without a valid one zero, which every replica has."""
    value = cookie_parser(cookies).get(COOKIE, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else 0


def _cookie(position: int, scheme: str) -> str:
    secure = "; Secure" if scheme == "https" else ""
    return f"{COOKIE}={position}; Max-Age={MAX_AGE_S}; Path=/; HttpOnly; SameSite=Lax{secure}"
