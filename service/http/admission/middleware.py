"""Admission control: a request needs a slot of the concurrency limiter."""

from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.errors import Overloaded
from service.http.admission.concurrency_limiter import ConcurrencyLimiter
from service.http.cache_model.policy import application_path

ALWAYS_ADMITTED: Final = frozenset({"/livez", "/readyz"})
"""Probes are never queued: an overloaded process must not be restarted because of its load."""


class AdmissionMiddleware:
    """Rejects requests with 503 when the concurrency limiter is overloaded.

    The slot is released when the response starts: slow readers, event streams and background tasks hold none.
    """

    def __init__(self, app: ASGIApp, *, limiter: ConcurrencyLimiter) -> None:
        self.app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or application_path(scope) in ALWAYS_ADMITTED:
            await self.app(scope, receive, send)
            return
        try:
            await self._limiter.acquire()
        except Overloaded as error:
            await problem_response(Request(scope), error)(scope, receive, send)
            return
        holds_slot = True

        async def release_at_start(message: Message) -> None:
            nonlocal holds_slot
            if holds_slot and message["type"] == "http.response.start":
                holds_slot = False
                self._limiter.release()
            await send(message)

        try:
            await self.app(scope, receive, release_at_start)
        finally:
            if holds_slot:
                self._limiter.release()
