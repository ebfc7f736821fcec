"""The what-if metrics, made from the counts at a scrape."""

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from observability.core.collector import DescribedCollector
from observability.whatif.body_trials import TrialCounts
from observability.whatif.redis import RedisCounts
from observability.whatif.route_counts import RouteCounts
from observability.whatif.shadow_cache import ShadowCache
from observability.whatif.transactions import TransactionCounts

if TYPE_CHECKING:
    from observability.whatif.plans import Plans

_AMOUNTS: Final = {
    "seconds": "Seconds",
    "queries": "Queries",
    "bytes": "Bytes",
    "blocking_seconds": "Blocking seconds",
    "blocking_square_seconds": "Squares of the blocking seconds",
}
"""By place; the last two are of responses only."""

Samples = Iterable[tuple[tuple[str, ...], float]]


class Observed(Protocol):
    """What has been counted so far."""

    transactions: TransactionCounts
    plans: "Plans | None"

    @property
    def redis(self) -> Mapping[str, RedisCounts]: ...

    @property
    def routes(self) -> Mapping[str, RouteCounts]: ...

    @property
    def trials(self) -> Mapping[str, TrialCounts]: ...

    @property
    def caches(self) -> Mapping[str, ShadowCache]: ...

    def live_bytes(self) -> Mapping[str, list[float]]: ...


class WhatIfMetrics(DescribedCollector):
    def __init__(self, registry: CollectorRegistry, observed: Observed) -> None:
        self._observed = observed
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        observed = self._observed
        routes = dict(sorted(dict(observed.routes).items()))
        yield from _route_families(routes)
        yield from self._cache_families(routes)
        yield from _trial_families(dict(sorted(dict(observed.trials).items())))
        yield _counter(
            "whatif_transaction_queries",
            "Statements by what their transaction does: a replica could execute those that only `read`.",
            ("db_client_connection_pool_name", "access"),
            sorted(dict(observed.transactions.statements).items()),
        )
        explained = () if observed.plans is None else (((), observed.plans.explained),)
        yield _counter("whatif_explained_queries", "Slow statements that were explained.", (), explained)
        yield from _scan_families(routes)
        clients = sorted(dict(observed.redis).items())
        for name, text, field in _REDIS_COUNTERS:
            yield _counter(name, text, ("server",), (((one,), getattr(counts, field)) for one, counts in clients))

    def _cache_families(self, routes: Mapping[str, RouteCounts]) -> Iterator[Metric]:
        caches = self._observed.caches
        every = [
            (name, handler, caches[name], counts)
            for handler, route in routes.items()
            for name, counts in route.caches.items()
            if route.lookups(name).number
        ]
        yield _counter(
            "whatif_cache_lookups",
            "Requests or statements that the cache could have had.",
            ("cache", "handler"),
            (((name, handler), routes[handler].lookups(name).number) for name, handler, _, _ in every),
        )
        for at, (amount, title) in enumerate(_AMOUNTS.items()):
            yield _counter(
                f"whatif_cache_lookup_{amount}",
                f"{title} of what the cache could have had.",
                ("cache", "handler"),
                (
                    ((name, handler), routes[handler].lookups(name).sums[at])
                    for name, handler, _, counts in every
                    if at < len(counts.sums)
                ),
            )
        yield _counter(
            "whatif_cache_sampled_lookups",
            "Lookups of sampled keys, scaled up; the hit ratio is 1 minus misses divided by these.",
            ("cache", "handler"),
            (((name, handler), counts.lookups) for name, handler, _, counts in every),
        )
        for at, (amount, title) in enumerate(_AMOUNTS.items()):
            yield _counter(
                f"whatif_cache_sampled_{amount}",
                f"{title} of the lookups of sampled keys, scaled up.",
                ("cache", "handler"),
                (((name, handler), counts.sums[at]) for name, handler, _, counts in every if at < len(counts.sums)),
            )
        by_ttl = [
            (name, handler, _seconds(ttl_s), counts, at)
            for name, handler, cache, counts in every
            for at, ttl_s in enumerate(cache.ttls_s)
        ]
        labels = ("cache", "handler", "ttl")
        yield _counter(
            "whatif_cache_misses",
            "Lookups that would have been misses, estimated from the sampled keys.",
            labels,
            (((name, handler, ttl), counts.misses[at]) for name, handler, ttl, counts, at in by_ttl),
        )
        for place, (amount, title) in enumerate(_AMOUNTS.items()):
            yield _counter(
                f"whatif_cache_miss_{amount}",
                f"{title} of the misses; those of the other lookups would have been saved.",
                labels,
                (
                    ((name, handler, ttl), counts.miss_sums[at][place])
                    for name, handler, ttl, counts, at in by_ttl
                    if place < len(counts.sums)
                ),
            )
        yield _counter(
            "whatif_cache_stale_hits",
            "Hits with an older response than the application sent.",
            labels,
            (((name, handler, ttl), counts.stale[at]) for name, handler, ttl, counts, at in by_ttl),
        )
        yield _counter(
            "whatif_cache_bounded_misses",
            "Misses with a time to live of 60 s in a cache of this many entries, the least recently used evicted.",
            ("cache", "handler", "entries"),
            (
                ((name, handler, str(size)), misses)
                for name, handler, cache, counts in every
                for size, misses in zip(cache.sizes, counts.bounded_misses, strict=True)
            ),
        )
        yield _gauge(
            "whatif_cache_stored_bytes",
            "Bodies that the cache would hold now.",
            ("cache", "ttl"),
            (
                ((name, _seconds(ttl_s)), size_bytes)
                for name, sizes in self._observed.live_bytes().items()
                for ttl_s, size_bytes in zip(caches[name].ttls_s, sizes, strict=True)
            ),
        )
        yield _gauge(
            "whatif_cache_sampled_ratio",
            "Share of the keys that are sampled.",
            ("cache",),
            (((name,), cache.rate) for name, cache in caches.items()),
        )


def _route_families(routes: Mapping[str, RouteCounts]) -> Iterator[Metric]:
    for name, text, field in _ROUTE_COUNTERS:
        yield _counter(
            name, text, ("handler",), (((route,), getattr(counts, field)) for route, counts in routes.items())
        )
    yield _counter(
        "whatif_compressible_bytes",
        "Uncompressed bodies of compressible types above 1 kB, by the best coding that the client accepts.",
        ("handler", "encoding"),
        (
            ((route, coding), size_bytes)
            for route, counts in routes.items()
            for coding, size_bytes in sorted(dict(counts.compressible_bytes).items())
        ),
    )


def _scan_families(routes: Mapping[str, RouteCounts]) -> Iterator[Metric]:
    for name, text, field in _SCAN_COUNTERS:
        yield _counter(
            name,
            text,
            ("handler", "table"),
            (
                ((route, table), getattr(scans, field))
                for route, counts in routes.items()
                for table, scans in sorted(dict(counts.scans).items())
            ),
        )


_SCAN_COUNTERS: Final = (
    ("whatif_full_scan_queries", "Statements whose plan scans the whole table for few of its rows.", "queries"),
    ("whatif_full_scan_seconds", "Time of these statements.", "seconds"),
    ("whatif_full_scan_saved_seconds", "Part of it that an index would save, by the planner's costs.", "saved_s"),
    ("whatif_full_scan_read_rows", "Rows that these scans read.", "read_rows"),
    ("whatif_full_scan_returned_rows", "Rows that they return, by the planner.", "returned_rows"),
)

_ROUTE_COUNTERS: Final = (
    ("whatif_requests", "Requests that were observed.", "requests"),
    ("whatif_request_seconds", "Time from requests to the last byte of their responses.", "seconds"),
    ("whatif_query_seconds", "Time of the statements of requests.", "statement_s"),
    ("whatif_repeated_queries", "Statements that their request had executed before, values aside.", "repeated"),
    ("whatif_repeated_query_seconds", "Time of these statements.", "repeated_s"),
    ("whatif_blocking_seconds", "Time for which steps of 5 ms or more kept the event loop.", "blocking_s"),
    (
        "whatif_blocking_square_seconds",
        "Sum of the squares of these times: half of it per second is the mean wait of other requests.",
        "blocking_square_s",
    ),
    ("whatif_blocking_measured_seconds", "Part of these times whose CPU time was measured.", "blocking_measured_s"),
    ("whatif_blocking_cpu_seconds", "CPU time of that part; the rest of it was waiting.", "blocking_cpu_s"),
)


def _trial_families(trials: Mapping[str, TrialCounts]) -> Iterator[Metric]:
    for name, text, field in _TRIAL_COUNTERS:
        yield _counter(name, text, ("handler",), (((route,), getattr(one, field)) for route, one in trials.items()))
    for name, text, label, field in _TRIAL_COUNTERS_BY:
        yield _counter(
            name,
            text,
            ("handler", label),
            (
                ((route, str(key)), value)
                for route, one in trials.items()
                for key, value in sorted(dict(getattr(one, field)).items())
            ),
        )


_REDIS_COUNTERS: Final = (
    ("whatif_redis_connects", "Connections that redis-py clients opened.", "connects"),
    ("whatif_redis_connect_seconds", "Time to open them, with the handshake.", "connect_s"),
    ("whatif_redis_commands", "Commands of these clients, those of pipelines too.", "commands"),
    ("whatif_redis_command_seconds", "Time from sending a command to its response.", "command_s"),
)

_TRIAL_COUNTERS: Final = (
    ("whatif_trial_bodies", "Bodies that were tried.", "bodies"),
    ("whatif_trial_bytes", "Bytes of these bodies.", "size_bytes"),
    ("whatif_trial_json_bodies", "JSON documents that were tried.", "json_bodies"),
    ("whatif_trial_json_bytes", "Bytes of these documents.", "json_bytes"),
    ("whatif_trial_without_nulls_bytes", "Bytes of these documents without their null members.", "without_nulls_bytes"),
    ("whatif_trial_rows", "Items in the outermost lists of these documents.", "rows"),
)
_TRIAL_COUNTERS_BY: Final = (
    ("whatif_trial_compressed_bytes", "Bytes of the tried bodies in each coding.", "encoding", "compressed_bytes"),
    ("whatif_trial_compression_seconds", "CPU time of compressing them.", "encoding", "compression_s"),
    (
        "whatif_trial_page_bytes",
        "Bytes of the tried documents with no more than this many rows.",
        "rows",
        "page_bytes",
    ),
)


def _counter(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _seconds(ttl_s: float) -> str:
    return "unlimited" if ttl_s == inf else f"{ttl_s:g}"
