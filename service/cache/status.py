"""What a response says about the cache: `Age` and `Cache-Status` (RFC 9211)."""

from math import floor
from typing import Final

from service.http.cache_model.entry import Entry, Headers

NAME: Final = b"flightdeck"

BYPASSED: Final = (b"cache-status", NAME + b"; fwd=bypass")
FORWARDED: Final = (b"cache-status", NAME + b"; fwd=uri-miss")
STORED: Final = (b"cache-status", NAME + b"; fwd=uri-miss; stored")
COLLAPSED: Final = (b"cache-status", NAME + b"; fwd=uri-miss; collapsed")


def hit_headers(entry: Entry, headers: Headers, *, now: float, level: str) -> Headers:
    """Return the headers with the entry's age, and how long it stays fresh; a negative `ttl` says that it is stale."""
    return [
        *headers,
        (b"age", b"%d" % max(0, now - entry.made_at)),
        (b"cache-status", b"%b; hit; ttl=%d; detail=%b" % (NAME, floor(entry.fresh_until - now), level.encode())),
    ]


def said_until(entry: Entry, *, now: float) -> float:
    """Return until when `hit_headers` says the same: it counts whole seconds."""
    return min(
        entry.made_at + max(0, floor(now - entry.made_at)) + 1, entry.fresh_until - floor(entry.fresh_until - now)
    )


def miss_headers(entry: Entry, *, collapsed: bool) -> Headers:
    """Return the entry's headers and whether it was kept, or computed for another request."""
    if collapsed:
        return [*entry.headers, COLLAPSED]
    return [*entry.headers, STORED if entry.cache and not entry.is_dead else FORWARDED]
