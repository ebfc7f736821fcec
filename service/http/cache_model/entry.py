"""A finished answer: status, headers, body, what it depends on, and its compressed variants."""

from asyncio import Task
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf

from starlette.types import Scope

from service.http.cache_model.tags import surrogate_key

Headers = list[tuple[bytes, bytes]]

_ENTRY = "service.http.cache_model.entry"

# What a dictionary, the objects and the key take beside the bytes, measured with tracemalloc.
OVERHEAD_BYTES = 1500


def body_digest(body: bytes) -> str:
    """Return 32 hexadecimal digits that are the same for the same body in every process."""
    return sha256(body).hexdigest()[:32]


@dataclass(slots=True)
class Finished:
    """An answer as it was sent to a client, but for what differs from answer to answer."""

    headers: Headers
    body: bytes
    encoding: str
    """What its body was counted as by compression, or nothing."""
    dated: Headers = field(default_factory=list)
    """The headers with what was true of the last answer, and is until `dated_until`, by the clock of the levels."""
    dated_until: float = -inf


class Entry:
    """One answer that may be sent to anyone who asks the same."""

    __slots__ = (
        "body",
        "born",
        "cache",
        "digest",
        "etag",
        "finished",
        "fresh_until",
        "headers",
        "holders",
        "is_dead",
        "made_at",
        "making",
        "stale_until",
        "status",
        "surrogate_key",
        "tags",
        "template",
        "variants",
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
        """The cache in metrics that holds it; empty while none does."""
        self.digest = body_digest(body) if digest is None else digest
        self.etag = f'"{self.digest}"'.encode()
        self.surrogate_key = surrogate_key(self.tags)
        self.variants: dict[str, bytes] = {}
        """Compressed bodies by content coding, each made once."""
        self.finished: dict[bytes, Finished] = {}
        """By the request's `Accept-Encoding`, what came out of all middleware; see `replay`."""
        self.making: dict[str, Task[bytes]] = {}
        """Variants that somebody is making now."""
        self.holders: dict[str, Callable[[Entry, str], None]] = {}
        """By level, who is told of every new variant: to count its bytes or to pass it on."""
        self.born: float = 0.0
        """The store's time when the computation began; what was invalidated at or after it makes the entry dead."""
        self.made_at = 0.0
        """Monotonic seconds when the computation began."""
        self.fresh_until = 0.0
        self.stale_until = 0.0
        self.is_dead = False
        """Whether something it depends on was invalidated while it was computed."""

    @property
    def size_bytes(self) -> int:
        """What the entry takes in memory, with its variants."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        variants = sum(map(len, self.variants.values()))
        return OVERHEAD_BYTES + headers + len(self.body) + variants

    def live(self, *, now: float, age_s: float, fresh_s: float, stale_s: float) -> None:
        """Set the times: `age_s` since the computation began, `fresh_s` and `stale_s` still to come."""
        self.made_at = now - age_s
        self.fresh_until = now + fresh_s
        self.stale_until = now + fresh_s + stale_s

    def keep(self, encoding: str, body: bytes) -> None:
        """Add a compressed variant and tell the holders."""
        self.variants[encoding] = body
        for holder in list(self.holders.values()):
            holder(self, encoding)


def entry_of(scope: Scope) -> Entry | None:
    """Return the entry that answers this request, or None if it is answered some other way."""
    entry = scope.get(_ENTRY)
    return entry if isinstance(entry, Entry) else None


def answer_with(scope: Scope, entry: Entry) -> None:
    """Say that this request is answered with the entry."""
    scope[_ENTRY] = entry
