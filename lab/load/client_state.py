"""What clients remember between requests: validators and the way to the next page. One state per arm."""

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
"""The end of a page; reading only it costs the generator nothing."""
LARGEST_PAGE_BYTES: Final = 200_000
"""A larger answer is a whole list, which has no next page."""
REMEMBERED: Final = 2000
"""Validators, and cursors, that one state keeps: the newest."""


class ClientState:
    """Turns a request of the traffic model into what goes on the wire, and learns from the answer."""

    def __init__(self, *, token: str = "") -> None:
        self.token = token
        self._etags: dict[tuple[int, str], str] = {}
        self._cursors: dict[int, tuple[int, str]] = {}

    def target(self, request: Request) -> str:
        """Return the path and query; a reader without a next page opens the list again from its start."""
        walk = request.walk
        if walk is None or walk.page == 1:
            return request.target
        page, cursor = self._cursors.get(walk.number, (0, ""))
        return f"{request.target}&cursor={cursor}" if page == walk.page else request.target

    def headers(self, request: Request, target: str) -> list[tuple[str, str]]:
        """Return the headers that this client sends for the target."""
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
        """Return whether the answer's body leads somewhere: only a list has a next page."""
        return request.walk is not None

    def update(self, request: Request, target: str, *, etag: str, encoding: str, body: bytes) -> None:
        """Remember the validator and the cursor of a 200 answer."""
        if etag and request.client.keeps_etags:
            self._etags[request.client.number, target] = etag
        if request.walk is not None and body and len(body) <= LARGEST_PAGE_BYTES:
            found = NEXT_CURSOR.search(DECODERS[encoding](body)[-500:])
            if found:
                self._cursors[request.walk.number] = (request.walk.page + 1, found[1].decode())
        for remembered in (self._etags, self._cursors):
            while len(remembered) > REMEMBERED:
                remembered.pop(next(iter(remembered)))  # type: ignore[call-overload]  # the keys' types differ
