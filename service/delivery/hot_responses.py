"""Complete responses of cache hits, served again outside of every other middleware.

What the middleware between here and the response cache adds to an entry (the coding, validators, freshness) depends on
the entry and the accepted codings only. So the first hit runs through all of it, and the result is stored in the entry
for later requests that negotiate the same coding, however they spell it, as long as the entry is fresh. A draining
process does not use it, so that its responses close connections.
"""

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.request.route import set_route_template
from observability.request.server_timing import add_timing
from service.api.shutdown import ShutdownState
from service.cache.levels import Levels
from service.cache.middleware import PERSONAL_HEADERS
from service.cache.status import hit_headers, hit_headers_valid_until
from service.compression.metrics import CompressionMeter, counted_encoding
from service.http.cache_model.entry import Entry, Headers, WireVariant, entry_of
from service.http.cache_model.key import request_key
from service.http.negotiation import Acceptance, acceptance

CONDITIONAL_HEADERS = frozenset({b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since"})
BYPASS_HEADERS = PERSONAL_HEADERS | CONDITIONAL_HEADERS
"""Requests with one of these are handled by the other middleware."""

TIME_HEADERS = frozenset({b"age", b"cache-status"})
"""Headers that change with time."""


class HotResponseMiddleware:
    """Serves a GET at once if the same response was sent before and its entry is still fresh."""

    def __init__(self, app: ASGIApp, *, levels: Levels, compression: CompressionMeter, shutdown: ShutdownState) -> None:
        self.app = app
        self._shutdown = shutdown
        self._levels = levels
        self._compression = compression

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or self._shutdown.is_draining:
            await self.app(scope, receive, send)
            return
        accept_encoding = b""
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                accept_encoding = accept_encoding + b"," + value if accept_encoding else value
            elif name in BYPASS_HEADERS:
                await self.app(scope, receive, send)
                return
        started = perf_counter()
        entry = self._levels.fresh(request_key(scope))
        if entry is None:
            await self.app(scope, receive, send)
            return
        accepted = acceptance(accept_encoding)
        variant = entry.wire_variants.get((accepted.preferred, accepted.identity))
        if variant is None:
            await self.app(scope, receive, _Recorder(scope, send, entry, accepted).send)
            return
        set_route_template(scope, entry.template)
        now, level = self._levels.clock(), self._levels.first_level
        if now >= variant.dated_until:
            variant.dated = hit_headers(entry, variant.headers, now=now, level=level)
            variant.dated_until = hit_headers_valid_until(entry, now=now)
        seconds = perf_counter() - started
        self._levels.meter.observe(entry.cache, level=level, result="hit", seconds=seconds)
        if variant.encoding:
            self._compression.observe(
                encoding=variant.encoding, before_bytes=len(entry.body), after_bytes=len(variant.body), seconds=0.0
            )
        add_timing("cache", seconds)
        await send({"type": "http.response.start", "status": entry.status, "headers": variant.dated.copy()})
        await send({"type": "http.response.body", "body": variant.body})


class _Recorder:
    """Stores the complete response in its entry, if other clients may get the same."""

    def __init__(self, scope: Scope, send: Send, entry: Entry, accepted: Acceptance) -> None:
        self._scope = scope
        self._send = send
        self._entry = entry
        self._accepted = accepted
        self._headers: Headers | None = None

    async def send(self, message: Message) -> None:
        entry = self._entry
        if message["type"] == "http.response.start":
            if entry_of(self._scope) is entry and message["status"] == entry.status:
                self._headers = _repeatable(message["headers"])
        elif (
            self._headers is not None
            and message["type"] == "http.response.body"
            and not message.get("more_body", False)
        ):
            entry.wire_variants[self._accepted.preferred, self._accepted.identity] = WireVariant(
                self._headers, message.get("body", b""), counted_encoding(self._scope)
            )
        await self._send(message)


def _repeatable(headers: Headers) -> Headers | None:
    """Return the headers without those that change with time, or None if some depend on the client."""
    for name, value in headers:
        if name == b"set-cookie" or (name == b"vary" and value.lower() != b"accept-encoding"):
            return None
    return [pair for pair in headers if pair[0] not in TIME_HEADERS]
