"""Recorded series by arm: effect and cost of each technique, so that panels read few series."""

from collections.abc import Iterator
from typing import Final

from prometheus.promql import LATENCY
from prometheus.rule import Group, Recording

WINDOW: Final = "5m"
HIT_RATIO_WINDOW: Final = "30m"
"""A cache with few lookups, or one level behind another, has any hit ratio at all within five minutes."""
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

# Name, numerator, denominator, meaning: all per arm.
RATIOS: Final = (
    (
        "cpu_seconds_per_request",
        "process_cpu_seconds_total",
        "http_requests_total",
        "Seconds of CPU per request, including all other work of the process.",
    ),
    (
        "queries_per_request",
        "db_queries_per_request_sum",
        "db_queries_per_request_count",
        "Database statements per request.",
    ),
    (
        "response_bytes_per_request",
        "http_response_size_bytes_sum",
        "http_response_size_bytes_count",
        "Bytes of a response body on the wire.",
    ),
    (
        "connects_per_request",
        "db_client_connection_create_time_seconds_count",
        "http_requests_total",
        "Database connections opened per request.",
    ),
    (
        "cache_hits",
        'cache_requests_total{result=~"hit|stale"}',
        "cache_requests_total",
        "Share of cache lookups that are hits, stale ones included, over all levels.",
    ),
    (
        "compression",
        "compression_before_bytes_total",
        "compression_after_bytes_total",
        "Bytes of bodies before compression, divided by bytes on the wire.",
    ),
    (
        "compression_seconds_per_megabyte",
        "compression_duration_seconds_sum",
        "compression_before_bytes_total / 1e6",
        "Seconds of compression per megabyte of bodies.",
    ),
)

# Ratios of the arm without techniques to each arm; above 1 the arm is better.
EFFECTS: Final = {
    "latency_p50_seconds": f"latency_seconds:p50_rate{WINDOW}",
    "latency_p95_seconds": f"latency_seconds:p95_rate{WINDOW}",
    "cpu_seconds_per_request": f"cpu_seconds_per_request:ratio_rate{WINDOW}",
    "queries_per_request": f"queries_per_request:ratio_rate{WINDOW}",
    "response_bytes_per_request": f"response_bytes_per_request:ratio_rate{WINDOW}",
    "connects_per_request": f"connects_per_request:ratio_rate{WINDOW}",
}
BASELINE: Final = "baseline"

# The same by route, for routes that a technique applies to; a route that needs nothing any more has no ratio.
HANDLER_EFFECTS: Final = ("latency_p50_seconds", "latency_p95_seconds", "response_bytes_per_request")


def effect_rules() -> Group:
    return Group(
        name="effects",
        rules=[*_by_arm(), *_by_handler(), *_by_cache(), *_by_cache_result(), *_effects(), *_handler_effects()],
    )


def _by_arm() -> Iterator[Recording]:
    yield Recording(
        record="arm:requests:rate5m",
        expr=f"sum by (job, arm) (rate(http_requests_total[{WINDOW}]))",
        meaning="Requests per second.",
    )
    yield Recording(
        record="arm:errors:rate5m",
        expr=f'sum by (job, arm) (rate(http_requests_total{{status="5xx"}}[{WINDOW}])) or arm:requests:rate5m * 0',
        meaning="Requests per second that ended in a server error.",
    )
    for name, quantile in QUANTILES.items():
        yield Recording(
            record=f"arm:latency_seconds:{name}_rate5m",
            expr=f"histogram_quantile({quantile:g}, sum by (job, arm, le) (rate({LATENCY}_bucket[{WINDOW}])))",
            meaning=f"Time to the last byte, {name}.",
        )
    for name, numerator, denominator, meaning in RATIOS:
        divisor, _, scale = denominator.partition(" / ")
        below = f"sum by (job, arm) (rate({divisor}[{WINDOW}]))" + (f" / {scale}" if scale else "")
        above = f"sum by (job, arm) (rate({numerator}[{WINDOW}]))"
        none = f"\nor {below} * 0" if "{" in numerator else ""  # a counter without events has no series
        yield Recording(
            record=f"arm:{name}:ratio_rate{WINDOW}", expr=f"({above}{none})\n/\n({below} > 0)", meaning=meaning
        )
    yield Recording(
        record="arm:resident_memory_bytes:max",
        expr="max by (job, arm) (process_resident_memory_bytes)",
        meaning="Memory of the arm's largest process.",
    )


def _by_handler() -> Iterator[Recording]:
    by = "sum by (job, arm, handler)"
    yield Recording(
        record="handler:requests:rate5m",
        expr=f"{by} (rate(http_requests_total[{WINDOW}]))",
        meaning="Requests per second, by route.",
    )
    for name in ("p50", "p95"):
        buckets = f"sum by (job, arm, handler, le) (rate({LATENCY}_bucket[{WINDOW}]))"
        yield Recording(
            record=f"handler:latency_seconds:{name}_rate5m",
            expr=f"histogram_quantile({QUANTILES[name]:g}, {buckets})",
            meaning=f"Time to the last byte, {name}, by route.",
        )
    yield Recording(
        record="handler:connections_held:rate5m",
        expr=(
            "sum by (job, arm, db_client_connection_pool_name, handler) "
            f"(rate(db_client_connection_held_seconds_total[{WINDOW}]))"
        ),
        meaning="Database connections that a route holds on average.",
    )
    for name, metric, meaning in (
        ("queries_per_request", "db_queries_per_request", "Database statements per request, by route."),
        ("response_bytes_per_request", "http_response_size_bytes", "Bytes of a response body, by route."),
    ):
        above, below = (f"{by} (rate({metric}_{part}[{WINDOW}]))" for part in ("sum", "count"))
        yield Recording(record=f"handler:{name}:ratio_rate{WINDOW}", expr=f"{above}\n/\n({below} > 0)", meaning=meaning)


def _by_cache() -> Iterator[Recording]:
    by = "sum by (job, arm, cache, level)"
    hits, lookups = (
        f"{by} (rate(cache_requests_total{matchers}[{HIT_RATIO_WINDOW}]))" for matchers in ('{result=~"hit|stale"}', "")
    )
    yield Recording(
        record="cache:lookups:rate5m",
        expr=f"{by} (rate(cache_requests_total[{WINDOW}]))",
        meaning="Cache lookups per second, by cache and level.",
    )
    yield Recording(
        record=f"cache:hits:ratio_rate{HIT_RATIO_WINDOW}",
        expr=f"({hits} or {lookups} * 0)\n/\n({lookups} > 0)",
        meaning="Share of lookups that are hits, stale ones included, by cache and level.",
    )


def _by_cache_result() -> Iterator[Recording]:
    by = "sum by (job, arm, cache, result)"
    yield Recording(
        record="cache:results:rate5m",
        expr=(
            f'{by} (rate(cache_requests_total{{result!="miss", level!="edge"}}[{WINDOW}]))\n'
            f'or\n{by} (rate(cache_requests_total{{result="miss", level="shared"}}[{WINDOW}]))\n'
            f'or\n{by} (rate(cache_requests_total{{result="miss", level="local"}}[{WINDOW}]))'
        ),
        meaning="Cache lookups per second by result; a local miss that the shared level served is not a miss.",
    )


def _effects() -> Iterator[Recording]:
    for name, recorded in EFFECTS.items():
        series = f"arm:{recorded}"
        yield Recording(
            record=f"effect:{name}:ratio",
            expr=f'max({series}{{arm="{BASELINE}"}})\n/ on () group_right ()\n{series}',
            meaning=f"`{series}` of `{BASELINE}`, divided by that of this arm; above 1 this arm is better.",
        )


def _handler_effects() -> Iterator[Recording]:
    for name in HANDLER_EFFECTS:
        series = f"handler:{EFFECTS[name]}"
        yield Recording(
            record=f"handler_effect:{name}:ratio",
            expr=(f'max by (handler) ({series}{{arm="{BASELINE}"}})\n/ on (handler) group_right ()\n({series} > 0)'),
            meaning=f"`{series}` of `{BASELINE}`, divided by that of this arm, by route; above 1 this arm is better.",
        )
    yield Recording(
        record="arm:queries_avoided:rate5m",
        expr=(
            "sum by (job, arm) (\n"
            f'  (max by (handler) (handler:queries_per_request:ratio_rate5m{{arm="{BASELINE}"}})\n'
            "    - on (handler) group_right () handler:queries_per_request:ratio_rate5m)\n"
            "  * on (job, arm, handler) handler:requests:rate5m\n)"
        ),
        meaning=f"Statements per second that this arm avoids, compared with `{BASELINE}` for the same requests.",
    )
