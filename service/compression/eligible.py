"""Which responses are worth compressing, and may be."""

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
_PART_OR_NONE: Final = frozenset({204, 205, 206, 304})
_AS_THEY_ARE: Final = frozenset({b"content-encoding", b"content-range", b"content-digest", b"content-md5"})


@lru_cache(maxsize=256)
def is_compressible(content_type: bytes) -> bool:
    """Return whether bodies of this type get smaller; event streams are left alone, their readers buffer nothing."""
    media = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if media.startswith("text/"):
        return media != "text/event-stream"
    return media in _TYPES or media.endswith(("+json", "+xml"))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a response's start says that decides whether and how it is compressed."""

    may_change: bool
    """Whether there is a whole body in no coding that intermediaries may transform."""
    is_compressible: bool
    size_bytes: int | None
    """None while the length is unknown: the body comes as it is made."""


def facts_of(status: int, headers: Iterable[tuple[bytes, bytes]]) -> Facts:
    """Return what a response's start says."""
    may_change = status >= 200 and status not in _PART_OR_NONE
    compressible = False
    size_bytes: int | None = None
    for name, value in headers:
        if name == b"content-length":
            size_bytes = int(value) if value.isdigit() else None
        elif name == b"content-type":
            compressible = is_compressible(value)
        elif name in _AS_THEY_ARE or (name == b"cache-control" and b"no-transform" in value.lower()):
            may_change = False
    return Facts(may_change, compressible, size_bytes)
