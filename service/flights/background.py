"""When side effects of a request run: before the response or after it (technique `background_tasks`)."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Work = Callable[[], Awaitable[object]]


class Timing(Protocol):
    """Chooses when the side effects of a request run."""

    async def respond(self, response: Response, work: Work) -> Response:
        """Return the response to send."""


class BeforeResponse:
    """The client waits for the work."""

    async def respond(self, response: Response, work: Work) -> Response:
        await work()
        return response


class AfterResponse:
    """The work runs after the response is sent."""

    async def respond(self, response: Response, work: Work) -> Response:
        return ResponseThenWork(response, work)


class ResponseThenWork(Response):
    """A response with work to run after it; unlike a Starlette background task, also when sending it failed."""

    def __init__(self, response: Response, work: Work) -> None:
        super().__init__(bytes(response.body), response.status_code)
        self.raw_headers = response.raw_headers
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._work()
