"""The application's answer, captured whole if it may be kept or shared, else passed on as it comes."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.cache_model.entry import Entry, Headers
from service.http.cache_model.tags import tags_of

SHARED_STATUSES = frozenset({200, 400, 404, 422, 500, 502, 503, 504})
"""What does not depend on who asks: these are given to all who wait; of them only 200 and 404 are kept."""

UNSHARED_HEADERS = frozenset({b"set-cookie", b"content-range", b"www-authenticate"})
UNSHARED_DIRECTIVES = (b"private", b"no-store", b"no-cache")


class Discarded(Exception):
    """A refresh ended at once: its answer may be neither kept nor sent to anybody."""

    def __init__(self, template: str) -> None:
        super().__init__(f"the answer of {template} is not one that may be kept")


class Capture:
    """One run of the application, by a task that may outlive the request that started it."""

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
        """Run the application; deliver its answer, or None and pass it to `send` (None: discard it)."""
        start: Message | None = None
        chunks: list[bytes] = []
        passed = asyncio.Event()
        asked = False

        async def pass_on(*messages: Message) -> None:
            if not passed.is_set():
                passed.set()
                await deliver(None)
            if send is None:
                raise Discarded(self._template)
            for message in messages:
                await send(message)

        async def collect(message: Message) -> None:
            nonlocal start
            if passed.is_set():
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
            # The answer is for all who wait: the first asker's disconnect counts only once it is for nobody else.
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await passed.wait()
            return await receive()

        await self._app(scope, receive_detached, collect)

    def _is_shared(self, start: Message) -> bool:
        """Return whether the answer is the same for everyone, complete, and not too large."""
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
