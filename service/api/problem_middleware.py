"""Problem details for error responses that do not come from an exception handler, such as those of file responses."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import MEDIA_TYPE, plain_problem

BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "etag", "last-modified"})


class ProblemMiddleware:
    """Replaces the body of an error response that is no problem document, and keeps its other headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_replaced = False

        async def send_problem(message: Message) -> None:
            nonlocal is_replaced
            if message["type"] == "http.response.start" and message["status"] >= 400:
                headers = Headers(raw=message.get("headers", []))
                if headers.get("content-type", "").partition(";")[0] != MEDIA_TYPE:
                    is_replaced = True
                    kept = {name: value for name, value in headers.items() if name not in BODY_HEADERS}
                    await plain_problem(Request(scope), message["status"], headers=kept)(scope, receive, send)
            if not is_replaced:
                await send(message)

        await self.app(scope, receive, send_problem)
