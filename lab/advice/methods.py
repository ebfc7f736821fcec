"""How each technique is predicted, and how it is done in an application."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lab.advice import body_size, caching, connections, event_loop
from lab.advice.estimate import Estimate
from lab.advice.window import Sample


@dataclass(frozen=True, kw_only=True)
class Method:
    technique: str
    metric: str
    unit: str
    estimate: Callable[[Sample], Estimate | None] | None = None
    """None: the technique is not observable from outside of the code."""
    basis_unit: str = "requests"
    least: int = 100
    """Observations below which nothing is predicted."""
    after_caching: Callable[[Sample], Estimate | None] | None = None
    """The same behind a cache of responses, which saves part of the work; None where it saves none of it."""
    unknown_after_caching: str = ""
    """Why that is not known, where the cache saves some."""
    needs: str = ""
    """What turns its metrics on, if `whatif` alone does not."""
    how_to: str
    service: str


def _behind_cache(estimate: Callable[[Sample], Estimate | None]) -> Callable[[Sample], Estimate | None]:
    return lambda sample: estimate(caching.without_hits(sample))


_CALLS: Final = "outgoing calls are not counted by request, so what a response cache would leave of them is not known"

METHODS: Final = (
    Method(
        technique="response_cache",
        metric="mean latency",
        unit="s",
        estimate=caching.response_cache,
        how_to="Cache whole responses of these routes with a time to live, in Redis or in the process, with one "
        "computation at a time per key (single flight); invalidate them when their data changes.",
        service="service/cache/",
    ),
    Method(
        technique="local_cache",
        metric="mean latency",
        unit="s",
        estimate=caching.local_cache,
        basis_unit="statements",
        how_to="Keep what hardly changes in a bounded LRU of the process (`cachetools.TTLCache`), filled on first use.",
        service="service/cache/memory.py",
    ),
    Method(
        technique="http_cache",
        metric="bytes per request",
        unit="bytes",
        estimate=caching.http_cache,
        how_to="Send a strong `ETag` and a 304 where `If-None-Match` has it; add `Cache-Control: max-age` where a "
        "client may show an older state.",
        service="service/delivery/conditional_requests.py",
    ),
    Method(
        technique="eager_loading",
        metric="queries per request",
        unit="",
        estimate=connections.eager_loading,
        basis_unit="queries",
        after_caching=_behind_cache(connections.eager_loading),
        how_to="Load the relationships of these routes with `selectinload()` or `joinedload()`; `lazy='raise'` finds "
        "every lazy load.",
        service="service/airports/loading.py",
    ),
    Method(
        technique="deferred_columns",
        metric="CPU per request",
        unit="s",
        how_to="Look for wide columns (JSON, text, blobs) that lists read and do not return: `load_only()` or "
        "`defer()`.",
        service="service/flights/queries.py",
    ),
    Method(
        technique="pagination",
        metric="bytes per request",
        unit="bytes",
        estimate=body_size.pagination,
        basis_unit="bodies",
        least=10,
        how_to="Bound the rows of a response by keyset pages: `WHERE (sort, id) > :last ORDER BY sort, id LIMIT :n`.",
        service="service/flights/pages.py",
    ),
    Method(
        technique="indexes",
        metric="mean latency",
        unit="s",
        estimate=connections.indexes,
        after_caching=_behind_cache(connections.indexes),
        needs="instrument(app, whatif=True, explain=True)",
        how_to="Create an index on the columns that these statements filter and sort by, with those of equality first; "
        "`EXPLAIN (ANALYZE, BUFFERS)` shows whether it is used.",
        service="service/migrations/versions/indexes_0002.py",
    ),
    Method(
        technique="pooling",
        metric="connects per request",
        unit="",
        estimate=connections.pooling,
        basis_unit="checkouts",
        after_caching=_behind_cache(connections.pooling),
        how_to="Create one engine per process with `pool_size`, `max_overflow`, `pool_timeout` and `pool_pre_ping`.",
        service="service/database/pool.py",
    ),
    Method(
        technique="read_replicas",
        metric="queries of the primary per request",
        unit="",
        estimate=connections.read_replicas,
        basis_unit="queries",
        after_caching=_behind_cache(connections.read_replicas),
        how_to="Give handlers that only read a session of the replica's engine, and those that follow a write of the "
        "same client one of the primary.",
        service="service/database/reads.py",
    ),
    Method(
        technique="slim_responses",
        metric="bytes per request",
        unit="bytes",
        estimate=body_size.slim_responses,
        basis_unit="bodies",
        least=10,
        how_to="`response_model_exclude_none=True` on these routes, where clients treat a missing member as null.",
        service="service/api/responses.py",
    ),
    Method(
        technique="compression",
        metric="bytes per request",
        unit="bytes",
        estimate=body_size.compression,
        basis_unit="bodies",
        least=10,
        how_to="Negotiate zstd, br or gzip for bodies above 1 kB; compress large ones in a thread, cached ones once.",
        service="service/compression/",
    ),
    Method(
        technique="connection_reuse",
        metric="upstream connects per request",
        unit="",
        estimate=connections.connection_reuse,
        basis_unit="calls",
        unknown_after_caching=_CALLS,
        how_to="Create one `httpx.AsyncClient` and one Redis client in the lifespan, share them, and close them at "
        "its end.",
        service="service/weather/clients.py",
    ),
    Method(
        technique="timeouts",
        metric="mean latency",
        unit="s",
        estimate=connections.timeouts,
        basis_unit="calls",
        unknown_after_caching=_CALLS,
        how_to="Give every outgoing call a deadline (`httpx.Timeout`, `asyncio.timeout`) and decide what the response "
        "is without its result.",
        service="service/weather/source.py",
    ),
    Method(
        technique="background_tasks",
        metric="p50 latency",
        unit="s",
        how_to="Look for side effects (mail, notifications, audit) that handlers complete before the response: "
        "`BackgroundTasks`.",
        service="service/flights/background.py",
    ),
    Method(
        technique="async_io",
        metric="mean latency of other requests",
        unit="s",
        estimate=event_loop.async_io,
        after_caching=event_loop.async_io_after_caching,
        how_to="Await an asynchronous client in these routes, or declare them with `def`, so that they run in threads.",
        service="service/weather/clients.py",
    ),
    Method(
        technique="offload",
        metric="mean event-loop lag",
        unit="s",
        estimate=event_loop.offload,
        after_caching=event_loop.offload_after_caching,
        how_to="Run the computation in a thread with a limiter of its own, or in a process if it takes seconds.",
        service="service/itineraries/offload.py",
    ),
    Method(
        technique="task_queue",
        metric="mean latency of long writes",
        unit="s",
        estimate=event_loop.task_queue,
        least=5,
        how_to="Respond with 202 and a URL of the result; let a Celery worker do the work.",
        service="service/exports/",
    ),
)
"""One for each technique of the catalogue."""
