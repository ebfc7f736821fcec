"""Requests ask for a turn before they are worked on."""

from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.errors import Overloaded
from service.http.admission.concurrency_limiter import Turnstile
from service.http.cache_model.policy import application_path

ALWAYS_ADMITTED: Final = frozenset({"/livez", "/readyz"})
"""What asks whether the process lives must not be told that it is busy: it would be restarted for it."""


class AdmissionMiddleware:
    """Answers 503 to requests for which no turn comes in time.

    A turn ends when the answer begins: a slow reader, an event stream and work after the response hold none.
    """

    def __init__(self, app: ASGIApp, *, turnstile: Turnstile) -> None:
        self.app = app
        self._turnstile = turnstile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer through the application when it is the request's turn."""
        if scope["type"] != "http" or application_path(scope) in ALWAYS_ADMITTED:
            await self.app(scope, receive, send)
            return
        try:
            await self._turnstile.enter()
        except Overloaded as error:
            await problem_response(Request(scope), error)(scope, receive, send)
            return
        is_inside = True

        async def leaving(message: Message) -> None:
            nonlocal is_inside
            if is_inside and message["type"] == "http.response.start":
                is_inside = False
                self._turnstile.leave()
            await send(message)

        try:
            await self.app(scope, receive, leaving)
        finally:
            if is_inside:
                self._turnstile.leave()
