"""Advice: what each technique would buy in an instrumented application, from its what-if metrics."""

from typing import Final

from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana import units
from grafana.board import Board, Section
from grafana.panels.table import Column, table
from grafana.panels.timeseries import time_series
from grafana.query import JOB_AND_HANDLER, query, rows, top_expr
from prometheus.slo import Objectives

ABSENT: Final = "no what-if metrics: instrument(app, whatif=True)"
RESPONSE: Final = ', cache="response"'
SHORT: Final = f'{RESPONSE}, ttl="60"'
TTLS: Final = {"10": "10 s", "60": "1 min", "300": "5 min", "3600": "1 h"}


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-advice",
        title="Advice",
        question="What would each technique buy in this service, and on which routes?",
        sections=[
            Section(title="", panels=[_routes()]),
            Section(title="Caching", panels=[_hit_ratio(), _saved_seconds(), _stale()]),
            Section(title="Queries and bytes", panels=_work()),
            Section(title="Event loop", panels=[_waits(), _blocking()]),
        ],
        variables=("datasource", "job with what-if metrics", "arm of job", "handler of job", "window"),
    ).build(objectives)


def _rate(name: str, *, by: str = "handler", matching: str = "") -> str:
    return f"sum by ({by}) (rate(whatif_{name}_total{{{JOB_AND_HANDLER}{matching}}}[$window]))"


def _hits(amount: str, *, cache: str, ttl: str, by: str = "handler") -> str:
    """Return the share of hits: of lookups, seconds, queries or bytes."""
    missed = "cache_misses" if amount == "lookups" else f"cache_miss_{amount}"
    of = _rate(f"cache_sampled_{amount}", by=by, matching=f', cache="{cache}"')
    misses = _rate(missed, by=by, matching=f', cache="{cache}", ttl="{ttl}"')
    return f"1 - {misses}\n/\n({of} > 0)"


def _routes() -> Table:
    requests = f"({_rate('requests')} > 0)"
    queries = (
        f"sum by (handler) (rate(db_queries_per_request_sum{{{JOB_AND_HANDLER}}}[$window])\n"
        "and on (job, instance) rate(whatif_requests_total[$window]))"
    )
    compressed = _rate("trial_compressed_bytes", matching=', encoding="gzip"')
    return (
        table(
            "What each technique would save, by route",
            "Shares of the route's own traffic: seconds in hits of a response cache with a time to live of one minute, "
            "bodies that the client already had, queries that their request had executed before, seconds in full scans "
            "for few rows (with explain=True), bytes without null members and with gzip. The last column is the time "
            "for which other requests waited for this one. "
            "flightdeck advise turns these into predictions with intervals.",
            Column(title="Requests", query=rows(requests), unit=units.REQUESTS_PER_SECOND),
            Column(
                title="Response cache",
                query=rows(_hits("seconds", cache="response", ttl="60")),
                unit=units.SHARE,
            ),
            Column(title="HTTP cache", query=rows(_hits("bytes", cache="client", ttl="unlimited")), unit=units.SHARE),
            Column(
                title="Eager loading",
                query=rows(f"{_rate('repeated_queries')}\n/\n({queries} > 0)"),
                unit=units.SHARE,
            ),
            Column(
                title="Indexes",
                query=rows(f"{_rate('full_scan_saved_seconds')}\n/\n({_rate('request_seconds')} > 0)"),
                unit=units.SHARE,
            ),
            Column(
                title="Slim responses",
                query=rows(f"1 - {_rate('trial_without_nulls_bytes')}\n/\n({_rate('trial_json_bytes')} > 0)"),
                unit=units.SHARE,
            ),
            Column(
                title="Compression",
                query=rows(f"1 - {compressed}\n/\n({_rate('trial_bytes')} > 0)"),
                unit=units.SHARE,
            ),
            Column(title="Blocks others", query=rows(f"{_rate('blocking_square_seconds')} / 2"), unit=units.SECONDS),
            key={"handler": "Route"},
        )
        .no_value(ABSENT)
        .height(12)
    )


def _hit_ratio() -> Builder[Panel]:
    return time_series(
        "Hit ratio of a response cache by time to live",
        "Share of cacheable requests that a cache could serve, over the chosen routes. Where the lines meet, a short "
        "time to live is enough.",
        *(query(_hits("lookups", cache="response", ttl=ttl, by="job"), title) for ttl, title in TTLS.items()),
        unit=units.SHARE,
    ).span(8)


def _saved_seconds() -> Builder[Panel]:
    return time_series(
        "Seconds in hits by route",
        "Share of the time of cacheable requests that hits of a cache with a time to live of one minute would save, "
        "for the twelve routes with the largest share.",
        query(top_expr(_hits("seconds", cache="response", ttl="60")), "{{handler}}"),
        unit=units.SHARE,
    ).span(8)


def _stale() -> Builder[Panel]:
    return time_series(
        "Stale hits by route",
        "Share of lookups with a hit whose body was older than the application's, for a time to live of one minute. "
        "Good is near zero; invalidation removes the rest.",
        query(
            top_expr(
                f"{_rate('cache_stale_hits', matching=SHORT)}\n/\n"
                f"({_rate('cache_sampled_lookups', matching=RESPONSE)} > 0)"
            ),
            "{{handler}}",
        ),
        unit=units.SHARE,
    ).span(8)


def _work() -> list[Builder[Panel]]:
    return [
        time_series(
            "Repeated queries per request",
            "Statements that a request had executed before with other values, for the twelve routes with the most. "
            "Eager loading needs one instead.",
            query(top_expr(f"{_rate('repeated_queries')}\n/\n({_rate('requests')} > 0)"), "{{handler}}"),
            unit=units.PER_REQUEST,
        ).span(8),
        time_series(
            "Statements that a cache in the process would save",
            "Share of read statements with the same parameters within five minutes, for the twelve routes with the "
            "largest share.",
            query(top_expr(_hits("queries", cache="statement", ttl="300")), "{{handler}}"),
            unit=units.SHARE,
        ).span(8),
        time_series(
            "Rows per response",
            "Items of the outermost list of a JSON response, for the twelve routes with the most. Pages bound them.",
            query(top_expr(f"{_rate('trial_rows')}\n/\n({_rate('trial_json_bodies')} > 0)"), "{{handler}}"),
            unit=units.COUNT,
        ).span(8),
    ]


def _waits() -> Builder[Panel]:
    return time_series(
        "How long other requests wait, by blocking route",
        "Mean wait of a request that arrives at a random moment, because a step of this route keeps the event loop: "
        "half of the squares of these steps per second. Good is below a millisecond.",
        query(top_expr(f"{_rate('blocking_square_seconds')} / 2"), "{{handler}}"),
        unit=units.SECONDS,
    ).span(12)


def _blocking() -> Builder[Panel]:
    return time_series(
        "CPU share of blocking steps",
        "Share of the time of blocking steps in which the thread computed. Near 0 it waits, and asynchronous I/O "
        "helps; near 1 it computes, and a thread or a process helps.",
        query(
            top_expr(f"{_rate('blocking_cpu_seconds')}\n/\n({_rate('blocking_measured_seconds')} > 0)"), "{{handler}}"
        ),
        unit=units.SHARE,
    ).span(12)
