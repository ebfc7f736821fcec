"""Answers that were sent before, sent again ahead of every other middleware.

What the middleware between here and the response cache make of an entry (the coding, validators, freshness) depends on
nothing but the entry and `Accept-Encoding`. So the first hit takes the whole way, and what came out of it is kept with
the entry for the next client that asks the same way. The entry's end is its end, and a process that was told to stop
answers the whole way, on which clients are sent away.
"""

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.request.route import set_route_template
from observability.request.server_timing import add_timing
from service.api.shutdown import ShutdownState
from service.cache.levels import Levels
from service.cache.middleware import PERSONAL_HEADERS
from service.cache.status import hit_headers, said_until
from service.compression.counted import counted_in
from service.compression.meter import CompressionMeter
from service.http.cache_model.entry import Entry, Finished, Headers, entry_of
from service.http.cache_model.key import request_key

CONDITIONAL_HEADERS = frozenset({b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since"})
WHOLE_WAY_HEADERS = PERSONAL_HEADERS | CONDITIONAL_HEADERS
"""Requests with one of these take the whole way."""

PER_ANSWER_HEADERS = frozenset({b"age", b"cache-status"})
"""What differs from answer to answer, and is made anew for each."""

MOST_SPELLINGS = 8
"""Spellings of `Accept-Encoding` whose answers are kept with an entry; browsers have few."""


class HotResponseMiddleware:
    """Answers a GET at once if the very same answer was sent before and its entry is still fresh."""

    def __init__(self, app: ASGIApp, *, levels: Levels, compression: CompressionMeter, shutdown: ShutdownState) -> None:
        self.app = app
        self._shutdown = shutdown
        self._levels = levels
        self._compression = compression
        self._front = levels.store.level if levels.front is None else levels.front.level

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, if need be the whole way."""
        if scope["type"] != "http" or scope["method"] != "GET" or self._shutdown.is_draining:
            await self.app(scope, receive, send)
            return
        spelling = b""
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                spelling = spelling + b"," + value if spelling else value
            elif name in WHOLE_WAY_HEADERS:
                await self.app(scope, receive, send)
                return
        started = perf_counter()
        entry = self._levels.fresh(request_key(scope))
        if entry is None:
            await self.app(scope, receive, send)
            return
        finished = entry.finished.get(spelling)
        if finished is None:
            await self.app(scope, receive, _Recording(scope, send, entry, spelling).send)
            return
        set_route_template(scope, entry.template)
        now = self._levels.clock()
        if now >= finished.dated_until:
            finished.dated = hit_headers(entry, finished.headers, now=now, level=self._front)
            finished.dated_until = said_until(entry, now=now)
        seconds = perf_counter() - started
        self._levels.meter.observe(entry.cache, level=self._front, result="hit", seconds=seconds)
        if finished.encoding:
            self._compression.observe(
                encoding=finished.encoding,
                before_bytes=len(entry.body),
                after_bytes=len(finished.body),
                seconds=0.0,
            )
        add_timing("cache", seconds)
        await send({"type": "http.response.start", "status": entry.status, "headers": finished.dated.copy()})
        await send({"type": "http.response.body", "body": finished.body})


class _Recording:
    """Keeps what comes out of the whole way, if the next client may get the same."""

    def __init__(self, scope: Scope, send: Send, entry: Entry, spelling: bytes) -> None:
        self._scope = scope
        self._send = send
        self._entry = entry
        self._spelling = spelling
        self._headers: Headers | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        entry = self._entry
        if message["type"] == "http.response.start":
            if entry_of(self._scope) is entry and message["status"] == entry.status:
                self._headers = _repeatable(message["headers"])
        elif (
            self._headers is not None
            and message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and len(entry.finished) < MOST_SPELLINGS
        ):
            entry.finished[self._spelling] = Finished(self._headers, message.get("body", b""), counted_in(self._scope))
        await self._send(message)


def _repeatable(headers: Headers) -> Headers | None:
    """Return the headers that are the same for every answer, or None if some depend on who asks."""
    for name, value in headers:
        if name == b"set-cookie" or (name == b"vary" and value.lower() != b"accept-encoding"):
            return None
    return [pair for pair in headers if pair[0] not in PER_ANSWER_HEADERS]
