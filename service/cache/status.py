"""`Age` and `Cache-Status` (RFC 9211) of a response."""

from math import floor
from typing import Final

from service.http.cache_model.entry import Entry, Headers

NAME: Final = b"flightdeck"

BYPASSED: Final = (b"cache-status", NAME + b"; fwd=bypass")
FORWARDED: Final = (b"cache-status", NAME + b"; fwd=uri-miss")
STORED: Final = (b"cache-status", NAME + b"; fwd=uri-miss; stored")
COLLAPSED: Final = (b"cache-status", NAME + b"; fwd=uri-miss; collapsed")


def hit_headers(entry: Entry, headers: Headers, *, now: float, level: str) -> Headers:
    """Return the headers with the entry's age and remaining time to live, which is negative for a stale entry."""
    return [
        *headers,
        (b"age", b"%d" % max(0, now - entry.started_at)),
        (b"cache-status", b"%b; hit; ttl=%d; detail=%b" % (NAME, floor(entry.fresh_until - now), level.encode())),
    ]


def hit_headers_valid_until(entry: Entry, *, now: float) -> float:
    """Return until when `hit_headers` gives the same whole seconds."""
    return min(
        entry.started_at + max(0, floor(now - entry.started_at)) + 1, entry.fresh_until - floor(entry.fresh_until - now)
    )


def miss_headers(entry: Entry, *, collapsed: bool) -> Headers:
    if collapsed:
        return [*entry.headers, COLLAPSED]
    return [*entry.headers, STORED if entry.cache and not entry.is_invalidated else FORWARDED]
