"""Routes that cost something of a quota, and the headers that tell how much is left."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.authorisation import owner_of
from service.api.rate_limit.limiter import RateLimiter
from service.core.quota import Quota
from service.errors import TooManyRequests

ALLOWANCE: Final = "flightdeck.allowance"
"""Where a request's allowance is in the scope."""


class Spending:
    """A dependency, behind the token, that lets a request pass if its owner's quota allows it."""

    def __init__(self, limiter: RateLimiter, quota: Quota | None) -> None:
        self._limiter = limiter
        self._quota = quota

    async def __call__(self, request: Request) -> None:
        """Raise `TooManyRequests` if the quota is spent; without a quota there is no limit."""
        if self._quota is None:
            return
        allowance = await self._limiter.spend(self._quota, owner_of(request)[:16])
        request.scope[ALLOWANCE] = allowance
        if not allowance.is_granted:
            raise TooManyRequests(self._quota.policy, retry_after_s=allowance.reset_s)


class AllowanceHeaders:
    """Adds `RateLimit` and `RateLimit-Policy` to the answers to requests that cost something, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer through the application."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and ALLOWANCE in scope:
                MutableHeaders(raw=message["headers"]).update(scope[ALLOWANCE].headers)
            await send(message)

        await self.app(scope, receive, with_headers)
