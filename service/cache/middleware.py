"""The response cache as ASGI middleware: a hit is answered before any routing."""

from functools import partial
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.request.route import set_route_template
from observability.request.server_timing import add_timing
from service.cache.layered import LayeredCache
from service.cache.response_recorder import Capture
from service.cache.status import BYPASSED, FORWARDED, hit_headers, miss_headers
from service.http.cache_model.entry import Entry, Headers, answer_with
from service.http.cache_model.key import request_key
from service.http.cache_model.policy import PolicyTable, application_path
from service.http.cache_model.tags import fresh_tags, open_tags

PERSONAL_HEADERS = frozenset({b"authorization", b"range", b"content-length", b"transfer-encoding"})
"""Requests with one of these are answered by the application: the answer may be theirs alone."""


class ResponseCacheMiddleware:
    """Answers a GET from the cache where the table has a policy for its path."""

    def __init__(
        self, app: ASGIApp, *, cache: LayeredCache, policies: PolicyTable, max_entry_bytes: int = 2_000_000
    ) -> None:
        self.app = app
        self._cache = cache
        self._levels = cache.levels
        self._policies = policies
        self._max_entry_bytes = max_entry_bytes
        front = self._levels.front
        self._front = self._levels.store.level if front is None else front.level

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, if need be by the application."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        for name, _ in scope["headers"]:
            if name in PERSONAL_HEADERS:
                await self._bypassed(scope, receive, send)
                return
        started = perf_counter()
        key = request_key(scope)
        entry = self._levels.fresh(key)
        if entry is None:
            await self._looked_up(key, scope, receive, send)
            return
        set_route_template(scope, entry.template)
        headers = hit_headers(entry, entry.headers, now=self._levels.clock(), level=self._front)
        seconds = perf_counter() - started
        self._levels.meter.observe(entry.cache, level=self._front, result="hit", seconds=seconds)
        add_timing("cache", seconds)
        await _sent(scope, send, entry, headers)

    async def _bypassed(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._policies.match(application_path(scope)) is not None:
            send = partial(_with_status, send, BYPASSED)
        await self.app(scope, receive, send)

    async def _looked_up(self, key: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        template = self._policies.match(application_path(scope))
        if template is None:
            await self.app(scope, receive, send)
            return
        forward = partial(_with_status, send, FORWARDED)
        open_tags(scope)
        again = dict(scope)
        fresh_tags(again)
        capture = Capture(self.app, template=template, max_bytes=self._max_entry_bytes)
        answer = await self._cache.answer(
            key,
            self._policies[template],
            partial(capture.run, scope, receive, forward),
            partial(capture.run, again, receive, None),
        )
        entry = answer.entry
        if entry is None:
            if answer.flight is None:
                await self.app(scope, receive, forward)
        elif answer.result in {"hit", "stale"}:
            set_route_template(scope, template)
            await _sent(
                scope,
                send,
                entry,
                hit_headers(entry, entry.headers, now=self._levels.clock(), level=self._levels.store.level),
            )
        else:
            if answer.result == "coalesced":
                set_route_template(scope, template)
            await _sent(scope, send, entry, miss_headers(entry, collapsed=answer.result == "coalesced"))
        await self._cache.ended(answer)


async def _sent(scope: Scope, send: Send, entry: Entry, headers: Headers) -> None:
    answer_with(scope, entry)
    await send({"type": "http.response.start", "status": entry.status, "headers": headers})
    await send({"type": "http.response.body", "body": entry.body})


async def _with_status(send: Send, status: tuple[bytes, bytes], message: Message) -> None:
    if message["type"] == "http.response.start":
        message = {**message, "headers": [*message.get("headers", ()), status]}
    await send(message)
