"""Records the application's response if it may be cached or shared, else passes it on unbuffered."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.cache_model.entry import Entry, Headers
from service.http.cache_model.tags import tags_of

SHARED_STATUSES = frozenset({200, 400, 404, 422, 500, 502, 503, 504})
"""Statuses that do not depend on the client. Followers receive them too; only 200 and 404 are cached."""

UNSHARED_HEADERS = frozenset({b"set-cookie", b"content-range", b"www-authenticate"})
UNSHARED_DIRECTIVES = (b"private", b"no-store", b"no-cache")


class Discarded(Exception):
    """Ends a refresh whose response may not be cached."""

    def __init__(self, template: str) -> None:
        super().__init__(f"the response of {template} may not be cached")


class ResponseRecorder:
    """Runs the application in a task that may outlive the request that started it."""

    def __init__(self, app: ASGIApp, *, template: str, max_bytes: int) -> None:
        self._app = app
        self._template = template
        self._max_bytes = max_bytes

    async def run(
        self,
        scope: Scope,
        receive: Receive,
        send: Send | None,
        deliver: Callable[[Entry | None], Awaitable[None]],
    ) -> None:
        """Deliver the response as an entry, or deliver None and pass it to `send` (None: raise `Discarded`)."""
        start: Message | None = None
        chunks: list[bytes] = []
        passes_on = asyncio.Event()
        has_received = False

        async def pass_on(*messages: Message) -> None:
            if not passes_on.is_set():
                passes_on.set()
                await deliver(None)
            if send is None:
                raise Discarded(self._template)
            for message in messages:
                await send(message)

        async def record(message: Message) -> None:
            nonlocal start
            if passes_on.is_set():
                await pass_on(message)
            elif message["type"] == "http.response.start":
                start = message
                if not self._is_shared(message):
                    await pass_on(message)
            elif start is None:
                await pass_on(message)
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))
                if not message.get("more_body", False):
                    await deliver(self._entry(scope, start, b"".join(chunks)))
            else:
                await pass_on(
                    start, {"type": "http.response.body", "body": b"".join(chunks), "more_body": True}, message
                )

        async def receive_detached() -> Message:
            # The leader's disconnect must not end a computation that has followers, only one that is passed on.
            nonlocal has_received
            if not has_received:
                has_received = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await passes_on.wait()
            return await receive()

        await self._app(scope, receive_detached, record)

    def _is_shared(self, start: Message) -> bool:
        """Return whether the response is the same for every client, complete, and not too large."""
        length = -1
        for name, value in start.get("headers", ()):
            match name.lower():
                case b"content-length":
                    length = int(value) if value.isdigit() else -1
                case b"cache-control" if any(directive in value.lower() for directive in UNSHARED_DIRECTIVES):
                    return False
                case b"vary" if value.strip().lower() != b"accept-encoding":
                    return False
                case unshared if unshared in UNSHARED_HEADERS:
                    return False
        return start["status"] in SHARED_STATUSES and 0 <= length <= self._max_bytes

    def _entry(self, scope: Scope, start: Message, body: bytes) -> Entry:
        headers: Headers = [(name.lower(), value) for name, value in start["headers"]]
        return Entry(status=start["status"], headers=headers, body=body, template=self._template, tags=tags_of(scope))
