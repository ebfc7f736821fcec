"""A cached response: status, headers, body, tags and compressed variants."""

from asyncio import Task
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf

from starlette.types import Scope

from service.http.cache_model.tags import surrogate_key

Headers = list[tuple[bytes, bytes]]

_ENTRY = "service.http.cache_model.entry"

# Memory of the dictionary, the objects and the key beside the bytes, measured with tracemalloc.
OVERHEAD_BYTES = 1500


def body_digest(body: bytes) -> str:
    """Return 32 hexadecimal digits that are the same for the same body in every process."""
    return sha256(body).hexdigest()[:32]


@dataclass(slots=True)
class WireVariant:
    """A complete response as sent for one `Accept-Encoding`, without the headers that change with time."""

    headers: Headers
    body: bytes
    encoding: str
    """The encoding that compression counted the body under; empty if it was not counted."""
    dated: Headers = field(default_factory=list)
    """The headers with `Age` and `Cache-Status`, valid until `dated_until` on the clock of the levels."""
    dated_until: float = -inf


class Entry:
    """One response that is the same for every client that sends the same request."""

    __slots__ = (
        "body",
        "cache",
        "created_at",
        "digest",
        "etag",
        "fresh_until",
        "headers",
        "is_invalidated",
        "on_variant",
        "pending_variants",
        "stale_until",
        "started_at",
        "status",
        "surrogate_key",
        "tags",
        "template",
        "variants",
        "wire_variants",
    )

    def __init__(
        self,
        *,
        status: int,
        headers: Headers,
        body: bytes,
        template: str,
        tags: Iterable[str] = (),
        digest: str | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.template = template
        self.tags = frozenset(tags)
        self.cache = ""
        """The name of its cache in metrics; empty while it is in none."""
        self.digest = body_digest(body) if digest is None else digest
        self.etag = f'"{self.digest}"'.encode()
        self.surrogate_key = surrogate_key(self.tags)
        self.variants: dict[str, bytes] = {}
        """Compressed bodies by content coding, each made once."""
        self.wire_variants: dict[tuple[str, bool], WireVariant] = {}
        """Complete responses by preferred coding and acceptability of identity; see `delivery.hot_responses`."""
        self.pending_variants: dict[str, Task[bytes]] = {}
        """Compressions in progress, by content coding."""
        self.on_variant: dict[str, Callable[[Entry, str], None]] = {}
        """By level, a callback for every new variant: counts its bytes or stores it."""
        self.created_at: float = 0.0
        """The store's time when the computation began; an invalidation at or after it invalidates the entry."""
        self.started_at = 0.0
        """Monotonic seconds when the computation began."""
        self.fresh_until = 0.0
        self.stale_until = 0.0
        self.is_invalidated = False
        """Whether one of its tags was invalidated while it was computed."""

    @property
    def size_bytes(self) -> int:
        """Memory of the entry with its variants."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        variants = sum(map(len, self.variants.values()))
        return OVERHEAD_BYTES + headers + len(self.body) + variants

    def set_lifetime(self, *, now: float, age_s: float, fresh_s: float, stale_s: float) -> None:
        """Set the times from the age and the remaining fresh and stale seconds."""
        self.started_at = now - age_s
        self.fresh_until = now + fresh_s
        self.stale_until = now + fresh_s + stale_s

    def add_variant(self, encoding: str, body: bytes) -> None:
        self.variants[encoding] = body
        for callback in list(self.on_variant.values()):
            callback(self, encoding)


def entry_of(scope: Scope) -> Entry | None:
    """Return the entry that this request is served from, if any."""
    entry = scope.get(_ENTRY)
    return entry if isinstance(entry, Entry) else None


def set_entry(scope: Scope, entry: Entry) -> None:
    """Record that this request is served from the entry."""
    scope[_ENTRY] = entry
