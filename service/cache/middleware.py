"""The response cache as ASGI middleware: a hit is served before routing."""

from functools import partial
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.request.route import set_route_template
from observability.request.server_timing import add_timing
from service.cache.layered import LayeredCache
from service.cache.response_recorder import ResponseRecorder
from service.cache.status import BYPASSED, FORWARDED, hit_headers, miss_headers
from service.http.cache_model.entry import Entry, Headers, set_entry
from service.http.cache_model.key import request_key
from service.http.cache_model.policy import PolicyTable, application_path
from service.http.cache_model.tags import fresh_tags, open_tags

PERSONAL_HEADERS = frozenset({b"authorization", b"range", b"content-length", b"transfer-encoding"})
"""Requests with one of these bypass the cache: their response may be specific to them."""


class ResponseCacheMiddleware:
    """Serves GET requests from the cache if there is a policy for their path."""

    def __init__(
        self, app: ASGIApp, *, cache: LayeredCache, policies: PolicyTable, max_entry_bytes: int = 2_000_000
    ) -> None:
        self.app = app
        self._cache = cache
        self._levels = cache.levels
        self._policies = policies
        self._max_entry_bytes = max_entry_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        for name, _ in scope["headers"]:
            if name in PERSONAL_HEADERS:
                await self._bypass(scope, receive, send)
                return
        started = perf_counter()
        key = request_key(scope)
        entry = self._levels.fresh(key)
        if entry is None:
            await self._look_up(key, scope, receive, send)
            return
        set_route_template(scope, entry.template)
        level = self._levels.first_level
        headers = hit_headers(entry, entry.headers, now=self._levels.clock(), level=level)
        seconds = perf_counter() - started
        self._levels.meter.observe(entry.cache, level=level, result="hit", seconds=seconds)
        add_timing("cache", seconds)
        await _send_entry(scope, send, entry, headers)

    async def _bypass(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._policies.match(application_path(scope)) is not None:
            send = partial(_send_with_status, send, BYPASSED)
        await self.app(scope, receive, send)

    async def _look_up(self, key: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        template = self._policies.match(application_path(scope))
        if template is None:
            await self.app(scope, receive, send)
            return
        forward = partial(_send_with_status, send, FORWARDED)
        open_tags(scope)
        refresh_scope = dict(scope)
        fresh_tags(refresh_scope)
        recorder = ResponseRecorder(self.app, template=template, max_bytes=self._max_entry_bytes)
        result = await self._cache.get(
            key,
            self._policies[template],
            partial(recorder.run, scope, receive, forward),
            partial(recorder.run, refresh_scope, receive, None),
        )
        entry = result.entry
        if entry is None:
            if result.call is None:
                await self.app(scope, receive, forward)
        else:
            if result.result != "miss":  # then the application has not routed this request
                set_route_template(scope, template)
            if result.result in {"hit", "stale"}:
                level = self._levels.store.level
                headers = hit_headers(entry, entry.headers, now=self._levels.clock(), level=level)
            else:
                headers = miss_headers(entry, collapsed=result.result == "coalesced")
            await _send_entry(scope, send, entry, headers)
        await self._cache.wait_done(result)


async def _send_entry(scope: Scope, send: Send, entry: Entry, headers: Headers) -> None:
    set_entry(scope, entry)
    await send({"type": "http.response.start", "status": entry.status, "headers": headers})
    await send({"type": "http.response.body", "body": entry.body})


async def _send_with_status(send: Send, status: tuple[bytes, bytes], message: Message) -> None:
    if message["type"] == "http.response.start":
        message = {**message, "headers": [*message.get("headers", ()), status]}
    await send(message)
