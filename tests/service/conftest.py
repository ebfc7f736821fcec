import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Scope

from observability.saturation.threads import InstrumentedThreadPool, ThreadMetrics
from service.cache.lru import EntryLru
from service.http.cache_model.entry import Entry


class Lookups:
    """A `CacheMeter` that records its calls."""

    def __init__(self) -> None:
        self.results: Counter[tuple[str, str, str]] = Counter()
        self.sizes: dict[tuple[str, str], tuple[int, int]] = {}
        self.invalidations: Counter[tuple[str, str]] = Counter()

    def observe(self, cache: str, *, level: str, result: str, seconds: float) -> None:
        assert seconds >= 0
        self.results[cache, level, result] += 1

    def set_size(self, cache: str, *, level: str, entries: int, size_bytes: int) -> None:
        self.sizes[cache, level] = (entries, size_bytes)

    def count_invalidations(self, cache: str, *, level: str, entries: int = 1) -> None:
        self.invalidations[cache, level] += entries


@dataclass
class Bodies:
    """A `CompressionMeter` that records its calls: encoding, bytes before and after, seconds."""

    seen: list[tuple[str, int, int, float]] = field(default_factory=list)

    def observe(self, *, encoding: str, before_bytes: int, after_bytes: int, seconds: float) -> None:
        self.seen.append((encoding, before_bytes, after_bytes, seconds))


def thread_pool(name: str = "compress", *, threads: int = 2) -> InstrumentedThreadPool:
    """Return a thread pool with a registry of its own."""
    return ThreadMetrics(CollectorRegistry()).thread_pool(name, threads=threads)


class Clock:
    """A clock that a test advances; each reading adds a microsecond."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def entry_with(body: bytes = b"{}", *, tags: tuple[str, ...] = (), cache: str = "board", status: int = 200) -> Entry:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    entry = Entry(status=status, headers=headers, body=body, template="/boards/{name}", tags=tags)
    entry.cache = cache
    return entry


@pytest.fixture
def lookups() -> Lookups:
    return Lookups()


@pytest.fixture
def bodies() -> Bodies:
    return Bodies()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lru(lookups: Lookups) -> Iterator[EntryLru]:
    lru = EntryLru(level="local", max_bytes=100_000, meter=lookups)
    yield lru
    lru.clear()
    assert lru.currsize == 0
    assert all(size == (0, 0) for size in lookups.sizes.values())


@dataclass(frozen=True)
class Got:
    """A response as the client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes


async def get(app: ASGIApp, path: str, headers: Mapping[str, str] = MappingProxyType({}), method: str = "GET") -> Got:
    """Send a request to the application as a server would."""
    path, _, query = path.partition("?")
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    messages: list[Message] = []

    requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        return requests.pop() if requests else await asyncio.Future()

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start, *rest = messages
    return Got(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in rest),
    )
