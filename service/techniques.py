"""The catalogue of techniques: plain data for the application factory, the lab, the dashboards and the docs."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Technique:
    """One optimisation that can be switched off."""

    name: str
    title: str
    applies_to: str
    off: str
    on: str
    headline: str
    cost: str


CATALOGUE: Final[tuple[Technique, ...]] = (
    Technique(
        name="async_io",
        title="Asynchronous I/O",
        applies_to="the weather of an airport, from an upstream HTTP API",
        off="a blocking client inside `async def`",
        on="an asynchronous client",
        headline="latency of other requests, event-loop lag",
        cost="none measured",
    ),
    Technique(
        name="offload",
        title="Offloading CPU work",
        applies_to="itinerary search",
        off="runs on the event loop",
        on="worker threads with their own limiter",
        headline="event-loop lag",
        cost="waiting for a thread",
    ),
    Technique(
        name="response_cache",
        title="Shared response cache",
        applies_to="delay reports and departure boards",
        off="recomputed for every request",
        on="cached with a jittered TTL, tags, single flight and stale-while-revalidate",
        headline="p95, queries per request",
        cost="staleness, memory",
    ),
    Technique(
        name="local_cache",
        title="In-process cache",
        applies_to="reference data and distances",
        off="queried or recomputed",
        on="a bounded LRU in the process, in front of the shared cache",
        headline="p95",
        cost="memory",
    ),
    Technique(
        name="http_cache",
        title="HTTP caching",
        applies_to="every cacheable GET",
        off="no validators, no freshness",
        on="strong `ETag`, `304`, `Cache-Control` and surrogate keys",
        headline="bytes, requests that reach the service",
        cost="staleness",
    ),
    Technique(
        name="eager_loading",
        title="Eager loading",
        applies_to="departure boards",
        off="lazy loads: N+1 queries",
        on="`selectinload` and `joinedload`, whichever fits the relationship",
        headline="queries per request",
        cost="none measured",
    ),
    Technique(
        name="deferred_columns",
        title="Deferred columns",
        applies_to="the flight list",
        off="every column, including the wide source record",
        on="`load_only` of the columns in the response",
        headline="bytes from the database",
        cost="none measured",
    ),
    Technique(
        name="pagination",
        title="Keyset pagination",
        applies_to="the flight list",
        off="all matching rows",
        on="bounded keyset pages",
        headline="bytes, p95, memory",
        cost="more requests for clients that need every row",
    ),
    Technique(
        name="indexes",
        title="Secondary indexes",
        applies_to="the flight list and departure boards",
        off="a database with primary keys only",
        on="the indexes that the queries need",
        headline="p95, rows read",
        cost="slower writes, disk",
    ),
    Technique(
        name="pooling",
        title="Connection pooling",
        applies_to="every query",
        off="`NullPool`: a connection per session",
        on="a sized pool with pre-ping, recycling and a timeout",
        headline="connects per request, p95",
        cost="held connections",
    ),
    Technique(
        name="read_replicas",
        title="Read replicas",
        applies_to="every read, on PostgreSQL",
        off="everything on the primary",
        on="reads on the replica, read-your-writes after a write",
        headline="load of the primary",
        cost="replication lag",
    ),
    Technique(
        name="slim_responses",
        title="Slim responses",
        applies_to="boards and lists",
        off="full objects, nulls included",
        on="`exclude_none`, and sparse fieldsets (`fields=`)",
        headline="bytes",
        cost="none measured",
    ),
    Technique(
        name="compression",
        title="Compression",
        applies_to="responses over the minimum size",
        off="identity",
        on="negotiated zstd, br or gzip; cached bodies are compressed once",
        headline="bytes on the wire",
        cost="CPU",
    ),
    Technique(
        name="connection_reuse",
        title="Upstream connection reuse",
        applies_to="upstream calls",
        off="a new client for every call",
        on="one pooled client with limits and keep-alive",
        headline="upstream connects, p95",
        cost="none measured",
    ),
    Technique(
        name="timeouts",
        title="Timeouts",
        applies_to="upstream calls, the pool, statements",
        off="no timeouts",
        on="deadlines, a stale fallback, 503 with `Retry-After`",
        headline="p99 under a slow dependency",
        cost="some responses are stale, some requests are rejected",
    ),
    Technique(
        name="background_tasks",
        title="Background tasks",
        applies_to="status updates: notifying a flight's subscribers",
        off="done before the response",
        on="done after the response",
        headline="time to the response",
        cost="side effects are delayed",
    ),
    Technique(
        name="task_queue",
        title="Task queue",
        applies_to="the export of a month of flights",
        off="created during the request",
        on="a Celery task: 202, progress, retries, cancel, download",
        headline="time to the response, other requests",
        cost="delay until the result",
    ),
)

NAMES: Final[tuple[str, ...]] = tuple(technique.name for technique in CATALOGUE)

# The long-running arms, from no technique to all of them.
ARMS: Final[dict[str, frozenset[str]]] = {
    "baseline": frozenset(),
    "caching": frozenset({"response_cache", "local_cache", "http_cache"}),
    "pooling": frozenset({"pooling"}),
    "compression": frozenset({"compression"}),
    "optimized": frozenset(NAMES),
}

ARM_COLOURS: Final[dict[str, str]] = {
    "baseline": "#9397a1",
    "caching": "#3494f4",
    "pooling": "#c08f05",
    "compression": "#a153ad",
    "optimized": "#168b62",
}
"""The colours of the arms on dashboards and in reports. Any two are distinguishable with every form of colour
blindness, and each has enough contrast on dark and on light backgrounds."""


class UnknownTechnique(ValueError):
    """`TECHNIQUES` has a name that is not in the catalogue."""

    def __init__(self, unknown: Collection[str]) -> None:
        super().__init__(
            f"unknown technique {', '.join(sorted(unknown))}; allowed: all, none, or a comma list of {', '.join(NAMES)}"
        )


def parse(text: str) -> frozenset[str]:
    """Return the techniques that `all`, `none` or a comma list names; raise `UnknownTechnique` otherwise."""
    words = {word.strip() for word in text.split(",") if word.strip()}
    if words == {"all"}:
        return frozenset(NAMES)
    if words == {"none"}:
        return frozenset()
    if not words:
        raise UnknownTechnique({"''"})
    unknown = words - set(NAMES)
    if unknown:
        raise UnknownTechnique(unknown)
    return frozenset(words)


def arm_name(techniques: frozenset[str]) -> str:
    """Return the name of the long-running arm with exactly these techniques, or the techniques joined by `+`."""
    for name, members in ARMS.items():
        if members == techniques:
            return name
    return "+".join(sorted(techniques))
