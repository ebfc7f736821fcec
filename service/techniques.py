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
    """The metric that decides whether it helps."""
    reason: str
    """Why this metric decides."""
    cost: str


CATALOGUE: Final[tuple[Technique, ...]] = (
    Technique(
        name="async_io",
        title="Asynchronous I/O",
        applies_to="the weather of an airport, from an upstream HTTP API",
        off="a blocking client inside `async def`",
        on="an asynchronous client",
        headline="mean latency of other requests",
        reason="the call itself takes as long either way; what changes is how long everything else waits",
        cost="none measured",
    ),
    Technique(
        name="offload",
        title="Offloading CPU work",
        applies_to="itinerary search",
        off="runs on the event loop",
        on="worker threads with their own limiter",
        headline="mean event-loop lag",
        reason="threads share the interpreter lock with the loop, which gets it every 5 ms: the loop always gains, "
        "other requests only where a search takes far longer than that",
        cost="waiting for a thread",
    ),
    Technique(
        name="response_cache",
        title="Shared response cache",
        applies_to="delay reports and departure boards",
        off="recomputed for every request",
        on="cached with a jittered TTL, tags, single flight and stale-while-revalidate",
        headline="mean latency with a warm cache",
        reason="how many requests hit depends on the traffic and the TTL, and misses stay as slow as without a cache: "
        "the mean is that of a warm cache, and cold misses are stated beside it",
        cost="staleness, memory",
    ),
    Technique(
        name="local_cache",
        title="In-process cache",
        applies_to="reference data and distances",
        off="queried or recomputed",
        on="a bounded LRU in the process, in front of the shared cache",
        headline="mean latency with a warm cache",
        reason="nearly every lookup is a hit and saves the same query, so every request counts the same",
        cost="memory",
    ),
    Technique(
        name="http_cache",
        title="HTTP caching",
        applies_to="every cacheable GET",
        off="no validators, no freshness",
        on="strong `ETag`, `304`, `Cache-Control` and surrogate keys",
        headline="bytes per request",
        reason="what a client has already is not sent again: its request is avoided, or the response has no body",
        cost="staleness",
    ),
    Technique(
        name="eager_loading",
        title="Eager loading",
        applies_to="departure boards",
        off="lazy loads: N+1 queries",
        on="`selectinload` and `joinedload`, whichever fits the relationship",
        headline="queries per request",
        reason="N+1 is a number of queries; what one of them costs depends on the distance to the database",
        cost="none measured",
    ),
    Technique(
        name="deferred_columns",
        title="Deferred columns",
        applies_to="the flight list",
        off="every column, including the wide source record",
        on="`load_only` of the columns in the response",
        headline="CPU per request",
        reason="columns that are not read need no transfer and no decoding, which is CPU time and little else",
        cost="none measured",
    ),
    Technique(
        name="pagination",
        title="Keyset pagination",
        applies_to="the flight list",
        off="all matching rows",
        on="bounded keyset pages",
        headline="bytes per request",
        reason="a page bounds what one response can weigh; the slowest responses follow from it",
        cost="more requests for clients that need every row",
    ),
    Technique(
        name="indexes",
        title="Secondary indexes",
        applies_to="the flight list and departure boards",
        off="a database with primary keys only",
        on="the indexes that the queries need",
        headline="mean latency",
        reason="a scan makes every list slow, not only the slowest ones",
        cost="slower writes, disk",
    ),
    Technique(
        name="pooling",
        title="Connection pooling",
        applies_to="every query",
        off="`NullPool`: a connection per session",
        on="a sized pool with pre-ping, recycling and a timeout",
        headline="connects per request",
        reason="a connect to a local file is cheap and one over TLS is not; the number of them is the same everywhere",
        cost="held connections",
    ),
    Technique(
        name="read_replicas",
        title="Read replicas",
        applies_to="every read, on PostgreSQL",
        off="everything on the primary",
        on="reads on the replica, read-your-writes after a write",
        headline="queries of the primary per request",
        reason="the replica makes no request faster; it takes load off the primary",
        cost="replication lag",
    ),
    Technique(
        name="slim_responses",
        title="Slim responses",
        applies_to="boards and lists",
        off="full objects, nulls included",
        on="`exclude_none`, and sparse fieldsets (`fields=`)",
        headline="bytes per request",
        reason="the same rows in fewer bytes, request by request",
        cost="none measured",
    ),
    Technique(
        name="compression",
        title="Compression",
        applies_to="responses over the minimum size",
        off="identity",
        on="negotiated zstd, br or gzip; cached bodies are compressed once",
        headline="bytes per request",
        reason="the same content in fewer bytes, request by request; the price is CPU",
        cost="CPU",
    ),
    Technique(
        name="connection_reuse",
        title="Upstream connection reuse",
        applies_to="upstream calls",
        off="a new client for every call",
        on="one pooled client with limits and keep-alive",
        headline="upstream connects per request",
        reason="what a connect costs depends on the distance and on TLS; the number of them does not",
        cost="none measured",
    ),
    Technique(
        name="timeouts",
        title="Timeouts",
        applies_to="upstream calls, the pool, statements",
        off="no timeouts",
        on="deadlines, a stale fallback, 503 with `Retry-After`",
        headline="mean latency under a slow dependency",
        reason="a deadline ends the few calls that hang, which are most of the mean",
        cost="some responses are stale, some requests are rejected",
    ),
    Technique(
        name="background_tasks",
        title="Background tasks",
        applies_to="status updates: notifying a flight's subscribers",
        off="done before the response",
        on="done after the response",
        headline="p50 latency of the update",
        reason="every update notifies its subscribers, so the usual one is the measure",
        cost="side effects are delayed",
    ),
    Technique(
        name="task_queue",
        title="Task queue",
        applies_to="the export of a month of flights",
        off="created during the request",
        on="a Celery task: 202, progress, retries, cancel, download",
        headline="p50 latency of the export request",
        reason="every export is created elsewhere, so the usual one is the measure",
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
