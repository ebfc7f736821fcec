"""HTTP caching by clients and edges: `ETag`, 304, `Cache-Control`, `Surrogate-Key`."""

from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.compression.etag import matching_etag
from service.http.cache_model.entry import Entry, Headers, body_digest, entry_of
from service.http.cache_model.policy import CachePolicy, PolicyTable, application_path
from service.http.cache_model.tags import open_tags, surrogate_key, tags_of
from service.http.negotiation import accept_encoding_of, acceptance

REVALIDATE: Final = b"no-cache"
"""For responses without a policy: clients may store them and must revalidate every time."""

PRIVATE: Final = b"private, no-store"
NO_STORE: Final = b"no-store"

_DESCRIBES_BODY: Final = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"content-language", b"content-range"}
)


@lru_cache(maxsize=64)
def cache_control(policy: CachePolicy) -> bytes:
    """Return the `Cache-Control` of responses with this policy."""
    text = f"public, max-age={policy.browser_s:.0f}, s-maxage={policy.ttl_s:.0f}"
    if policy.stale_s:
        text += f", stale-while-revalidate={policy.stale_s:.0f}"
    return text.encode()


class HttpCacheMiddleware:
    """Adds validators and freshness to responses of GET and HEAD, and sends 304 if the client's copy is current."""

    def __init__(self, app: ASGIApp, *, policies: PolicyTable, max_body_bytes: int = 2_000_000) -> None:
        self.app = app
        self._policies = policies
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            await self.app(scope, receive, send)
            return
        open_tags(scope)
        response = _Response(scope, send, self._policies, self._max_body_bytes)
        await self.app(scope, receive, response.send)


class _Response:
    def __init__(self, scope: Scope, send: Send, policies: PolicyTable, max_body_bytes: int) -> None:
        self._scope = scope
        self._send = send
        self._policies = policies
        self._max_body_bytes = max_body_bytes
        self._held: Message | None = None
        self._is_304 = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send_start(message)
        elif self._is_304:
            return
        elif self._held is None:
            await self._send(message)
        else:
            held, self._held = self._held, None
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                held["headers"].append((b"etag", f'"{body_digest(message.get("body", b""))}"'.encode()))
            await self._send_or_304(held)
            if not self._is_304:
                await self._send(message)

    async def _send_start(self, message: Message) -> None:
        headers: Headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        named = dict(headers)
        message = {**message, "headers": headers}
        entry = entry_of(self._scope)
        if message["status"] != 200:
            if message["status"] >= 400 and b"cache-control" not in named:
                headers.append((b"cache-control", NO_STORE))
        elif b"set-cookie" in named or self._header(b"authorization") is not None:
            if b"cache-control" not in named:
                headers.append((b"cache-control", PRIVATE))
        elif entry is not None and entry.is_invalidated:
            headers.append((b"cache-control", NO_STORE))
        elif b"no-store" not in named.get(b"cache-control", b"").lower():
            self._add_freshness(headers, named, entry)
            if entry is not None and b"etag" not in named:
                headers.append((b"etag", entry.etag))
            elif b"etag" not in named and self._waits_for_body(named):
                self._held = message
                return
            await self._send_or_304(message)
            return
        await self._send(message)

    def _add_freshness(self, headers: Headers, named: dict[bytes, bytes], entry: Entry | None) -> None:
        if b"cache-control" not in named:
            template = self._policies.match(application_path(self._scope)) if entry is None else entry.template
            policy = None if template is None else self._policies.get(template)
            headers.append((b"cache-control", REVALIDATE if policy is None else cache_control(policy)))
        keys = surrogate_key(tags_of(self._scope)) if entry is None else entry.surrogate_key
        if keys:
            headers.append((b"surrogate-key", keys))

    def _waits_for_body(self, named: dict[bytes, bytes]) -> bool:
        """Return whether the body is complete and small enough to compute its digest first."""
        length = named.get(b"content-length", b"")
        return self._scope["method"] == "GET" and length.isdigit() and int(length) <= self._max_body_bytes

    async def _send_or_304(self, message: Message) -> None:
        """Send the start of the response, or a complete 304 if the client's copy is current."""
        headers: Headers = message["headers"]
        if_none_match = self._header(b"if-none-match")
        etag = dict(headers).get(b"etag")
        if if_none_match is not None and etag is not None:
            accepted = acceptance(accept_encoding_of(self._scope["headers"]))
            current = matching_etag(if_none_match, etag, accepted)
            if current is not None:
                self._is_304 = True
                kept = [pair for pair in headers if pair[0] not in _DESCRIBES_BODY and pair[0] != b"etag"]
                await self._send({**message, "status": 304, "headers": [*kept, (b"etag", current)]})
                await self._send({"type": "http.response.body", "body": b""})
                return
        await self._send(message)

    def _header(self, wanted: bytes) -> bytes | None:
        """Return a request header, repeated lines joined, or None."""
        values = [value for name, value in self._scope["headers"] if name == wanted]
        return b",".join(values) if values else None
