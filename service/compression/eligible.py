"""Which responses may be compressed, and which are worth it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_TYPES: Final = frozenset(
    {
        "application/graphql",
        "application/javascript",
        "application/json",
        "application/wasm",
        "application/x-ndjson",
        "application/xml",
        "image/svg+xml",
    }
)
_PARTIAL_OR_EMPTY: Final = frozenset({204, 205, 206, 304})
_UNCHANGEABLE: Final = frozenset({b"content-encoding", b"content-range", b"content-digest", b"content-md5"})


@lru_cache(maxsize=256)
def is_compressible(content_type: bytes) -> bool:
    """Return whether bodies of this type get smaller; event streams are not compressed: clients do not buffer them."""
    media = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if media.startswith("text/"):
        return media != "text/event-stream"
    return media in _TYPES or media.endswith(("+json", "+xml"))


def varies(content_type: bytes) -> bool:
    """Return whether the complete response of which this is a part may be compressed for another client."""
    return is_compressible(content_type) or content_type.startswith(b"multipart/byteranges")


@dataclass(frozen=True, slots=True)
class Eligibility:
    """What the start of a response says about compressing it."""

    may_change: bool
    """Whether the body is complete, not encoded yet, and may be transformed."""
    is_compressible: bool
    size_bytes: int | None
    """None without a Content-Length: the body is streamed."""


def eligibility(status: int, headers: Iterable[tuple[bytes, bytes]]) -> Eligibility:
    may_change = status >= 200 and status not in _PARTIAL_OR_EMPTY
    compressible = False
    size_bytes: int | None = None
    for name, value in headers:
        if name == b"content-length":
            size_bytes = int(value) if value.isdigit() else None
        elif name == b"content-type":
            compressible = is_compressible(value)
        elif name in _UNCHANGEABLE or (name == b"cache-control" and b"no-transform" in value.lower()):
            may_change = False
    return Eligibility(may_change, compressible, size_bytes)
