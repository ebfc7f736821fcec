"""State of the clients between requests: validators and cursors of next pages. One per arm."""

import re
import zlib
from collections.abc import Callable
from typing import Final

import brotli  # type: ignore[import-untyped]  # ships no types
import zstandard

from lab.traffic.traffic import Request

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
MAX_ENTRIES: Final = 2000
"""Of validators and of cursors; the oldest are dropped."""


class ClientState:
    """Turns requests of the traffic model into HTTP requests, with the state of earlier responses."""

    def __init__(self, *, token: str = "") -> None:
        self.token = token
        self._etags: dict[tuple[int, str], str] = {}
        self._cursors: dict[int, tuple[int, str]] = {}

    def target(self, request: Request) -> str:
        """Return the path and query; without a cursor it is the first page again."""
        walk = request.walk
        if walk is None or walk.page == 1:
            return request.target
        page, cursor = self._cursors.get(walk.number, (0, ""))
        return f"{request.target}&cursor={cursor}" if page == walk.page else request.target

    def headers(self, request: Request, target: str) -> list[tuple[str, str]]:
        headers = []
        if request.client.accept_encoding:
            headers.append(("accept-encoding", request.client.accept_encoding))
        if request.client.keeps_etags and (etag := self._etags.get((request.client.number, target))):
            headers.append(("if-none-match", etag))
        if request.body:
            headers.append(("content-type", "application/json"))
            headers.append(("authorization", f"Bearer {self.token}"))
        return headers

    def needs_body(self, request: Request) -> bool:
        """Return whether `update` reads the body: only lists have a next page."""
        return request.walk is not None

    def update(self, request: Request, target: str, *, etag: str, encoding: str, body: bytes) -> None:
        """Store the validator and the cursor of a response with status 200."""
        if etag and request.client.keeps_etags:
            self._etags[request.client.number, target] = etag
        if request.walk is not None and body and len(body) <= MAX_PAGE_BYTES:
            match = NEXT_CURSOR.search(DECODERS[encoding](body)[-500:])
            if match:
                self._cursors[request.walk.number] = (request.walk.page + 1, match[1].decode())
        for entries in (self._etags, self._cursors):
            while len(entries) > MAX_ENTRIES:
                entries.pop(next(iter(entries)))  # type: ignore[call-overload]  # the keys' types differ
