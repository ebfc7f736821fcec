"""State of the clients between requests: private caches and cursors of next pages. One per arm."""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

import brotli  # type: ignore[import-untyped]  # ships no types
import zstandard

from lab.load.private_cache import MAX_ENTRIES, PrivateCache
from lab.traffic.traffic import Request, Walk

DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "": lambda body: body,
    "identity": lambda body: body,
    "gzip": lambda body: zlib.decompress(body, wbits=zlib.MAX_WBITS | 16),
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}

NEXT_CURSOR: Final = re.compile(rb'"next"\s*:\s*"([^"]+)"\s*\}\s*$')
"""The end of a page; only this part is searched."""
MAX_PAGE_BYTES: Final = 200_000
"""A larger response is a whole list, without a next page."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a response sends its client, within the service."""

    method: str
    path: str
    """The whole path, with the prefix of the service's address."""


class ClientState:
    """Turns requests of the traffic model into HTTP requests, with the state of earlier responses."""

    def __init__(self, *, token: str = "", clock: Callable[[], float] = monotonic) -> None:
        self.token = token
        self._cache = PrivateCache(clock)
        self._cursors: dict[int, tuple[int, str]] = {}
        """By walk: the next page and its cursor."""

    def target(self, request: Request) -> str:
        """Return the path and query, with the cursor of a further page."""
        walk = request.walk
        if walk is None or walk.page == 1:
            return request.target
        return f"{request.target}&cursor={self._cursors[walk.number][1]}" if self._has_cursor(walk) else request.target

    def has_response(self, request: Request, target: str) -> bool:
        """Return whether the client needs no request: its cache has a fresh response, or a list has no further page."""
        walk = request.walk
        if walk is not None and walk.page > 1 and not self._has_cursor(walk):
            return True
        return _is_cacheable(request) and self._cache.is_fresh(request.client.number, target, _accepted(request))

    def headers(self, request: Request, target: str) -> list[tuple[str, str]]:
        headers = [*_accepted(request).items(), ("user-agent", f"flightdeck-client/{request.client.number}")]
        if _is_cacheable(request) and (etag := self._cache.etag(request.client.number, target, dict(headers))):
            headers.append(("if-none-match", etag))
        if request.body:
            headers.append(("content-type", "application/json"))
            headers.append(("authorization", f"Bearer {self.token}"))
        return headers

    def body(self, request: Request) -> bytes:
        return request.body

    def is_expected(self, request: Request, status: int) -> bool:  # noqa: ARG002 this traffic names no statuses
        """Return whether the request should have this status; 0 is a request without a response."""
        return True

    def redirect(self, request: Request, path: str, status: int, location: str) -> Redirect | None:  # noqa: ARG002
        """Return where to go after a response; this traffic has no redirects."""
        return None

    def needs_body(self, request: Request) -> bool:
        """Return whether `update` reads the body: only lists have a next page."""
        return request.walk is not None

    def update(self, request: Request, target: str, *, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Store what a response allows to be cached, and the cursor of the next page; header names are lower case."""
        if status not in {200, 304}:
            return
        if _is_cacheable(request):
            self._cache.store(request.client.number, target, _accepted(request), status=status, received=headers)
        if request.walk is not None and status == 200:
            has_next = None
            if len(body) <= MAX_PAGE_BYTES:
                has_next = NEXT_CURSOR.search(DECODERS[headers.get("content-encoding", "")](body)[-500:])
            if has_next:
                self._cursors[request.walk.number] = (request.walk.page + 1, has_next[1].decode())
            while len(self._cursors) > MAX_ENTRIES:
                self._cursors.pop(next(iter(self._cursors)))

    def _has_cursor(self, walk: Walk) -> bool:
        return self._cursors.get(walk.number, (0, ""))[0] == walk.page


def _is_cacheable(request: Request) -> bool:
    return request.client.has_cache and request.method == "GET"


def _accepted(request: Request) -> dict[str, str]:
    return {"accept-encoding": request.client.accept_encoding} if request.client.accept_encoding else {}
