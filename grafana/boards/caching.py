"""Caching: hit ratio, savings and costs."""

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana import units
from grafana.board import Board, Section
from grafana.boards.cache_costs import costs
from grafana.panels.bars import bars
from grafana.panels.colour import coloured
from grafana.panels.heatmap import heatmap
from grafana.panels.stat import stat
from grafana.panels.timeseries import logarithmic, stacked, time_series
from grafana.query import ARM, arm_or_job, heatmap_query, instant, query
from prometheus.slo import Objectives

CACHED: Final = 'handler=~"/reports/.*|/airports/[{]faa[}]/departures"'
"""What the shared cache applies to: reports and boards."""
HITS: Final = f'cache_requests_total{{{ARM}, result=~"hit|stale"}}'
LOOKUPS: Final = f"cache_requests_total{{{ARM}}}"


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-caching",
        title="Caching",
        question="How high are the hit ratios, what do hits save, and what do the caches cost?",
        sections=[
            Section(title="", panels=_overview()),
            Section(title="Hit ratio", panels=_hit_ratio()),
            Section(title="Savings", panels=_saved()),
            Section(title="Costs", panels=costs(objectives.limits)),
            Section(title="HTTP caching: edge and clients", panels=_http_caching()),
        ],
        variables=("datasource", "arm", "window"),
    ).build(objectives)


def _overview() -> list[Builder[Panel]]:
    return [
        logarithmic(
            "Reports and boards: time to the last byte, p50",
            "The same requests on every arm, on a logarithmic axis. The gap between baseline and caching is what a "
            "hit saves. The lines of arms without a cache coincide.",
            query(
                "histogram_quantile(0.5, sum by (arm, le) "
                f"(rate(http_response_last_byte_seconds_bucket{{{ARM}, {CACHED}}}[$window])))",
                "{{arm}}",
            ),
            unit=units.SECONDS,
        )
        .span(12)
        .height(9),
        bars(
            "Queries per request",
            "Database statements of the average request over all routes. Arms with caches run a fraction of them.",
            instant(arm_or_job(f"max by (job, arm) (arm:queries_per_request:ratio_rate5m{{{ARM}}})"), "{{arm}}"),
            unit=units.COUNT,
        )
        .decimals(1)
        .span(6)
        .height(9),
        coloured(
            stat(
                "Hit ratio by level",
                "Share of lookups that are hits. The local level, in the memory of the process, comes first; the "
                "shared level only after a local miss. Above 50% is good for reports; misses are first requests and "
                "entries that writes invalidated.",
                instant(
                    f"sum by (level) (rate({HITS}[$window])) / (sum by (level) (rate({LOOKUPS}[$window])) > 0)",
                    "{{level}}",
                ),
                unit=units.SHARE,
            )
            .decimals(0)
            .span(3)
            .height(9)
        ),
        coloured(
            stat(
                "Queries avoided",
                "Statements per second that an arm with caches avoids: those that baseline runs for the same "
                "requests, minus its own.",
                instant(
                    f"max by (arm) (arm:queries_avoided:rate5m{{{ARM}}}) "
                    f"and on (arm) arm:cache_hits:ratio_rate5m{{{ARM}}}",
                    "{{arm}}",
                ),
                unit=units.EVENTS_PER_SECOND,
            )
            .decimals(0)
            .span(3)
            .height(9)
        ),
    ]


def _hit_ratio() -> list[Builder[Panel]]:
    return [
        stacked(
            time_series(
                "Cache lookups by result",
                "Cool colours avoided a computation: hit; stale, while a fresh entry is computed; coalesced, which "
                "waited for the computation of another request. Warm colours did not. Good is mostly blue, no red.",
                query(f"sum by (result) (cache:results:rate5m{{{ARM}}})", "{{result}}"),
                unit=units.EVENTS_PER_SECOND,
            )
        ).span(8),
        time_series(
            "Hit ratio by cache",
            "Share of hits over all levels, by cache. A ratio that falls and stays low means that writes invalidate "
            "too much, or that the cache is too small.",
            query(
                f'topk(12, sum by (cache) (cache:results:rate5m{{{ARM}, result=~"hit|stale"}})\n/\n'
                f"sum by (cache) (cache:results:rate5m{{{ARM}}}))",
                "{{cache}}",
            ),
            unit=units.SHARE,
        )
        .max(1)
        .span(8),
        time_series(
            "Hit ratio by arm",
            "Share of lookups that are hits, over all caches and levels. Arms without caches have no line.",
            query(f"max by (arm) (arm:cache_hits:ratio_rate5m{{{ARM}}})", "{{arm}}"),
            unit=units.SHARE,
        )
        .max(1)
        .span(8),
    ]


def _saved() -> list[Builder[Panel]]:
    return [
        heatmap(
            "Hits and misses: reports and boards of the chosen arms",
            "Two bands: hits in the lower one, misses in the upper one. Choose one arm above to compare: baseline "
            "has only the upper band. Dots are single requests; click one to open its trace.",
            heatmap_query(
                f"sum by (le) (increase(http_response_last_byte_seconds_bucket{{{ARM}, {CACHED}}}[$__rate_interval]))"
            ),
            unit=units.SECONDS,
        ),
        logarithmic(
            "Lookup time, p95",
            "Duration of a lookup, without the computation after a miss. A hit takes microseconds in memory and "
            "about a millisecond in Redis; coalesced lookups wait as long as the computation takes.",
            query(
                "histogram_quantile(0.95, sum by (result, le) "
                f"(rate(cache_request_duration_seconds_bucket{{{ARM}, level!='edge'}}[$window])))",
                "{{result}}",
            ),
            unit=units.SECONDS,
        ).height(9),
    ]


def _http_caching() -> list[Builder[Panel]]:
    requests = f'http_requests_total{{{ARM}, method="GET", code=~"200|304"}}'
    return [
        time_series(
            "304 Not Modified",
            "Share of GET requests whose client already had the current response, so that only headers were sent. "
            "Arms without HTTP caching send no validators; their clients cannot revalidate.",
            query(
                arm_or_job(
                    f"((sum by (job, arm) (rate(http_requests_total{{{ARM}, method='GET', code='304'}}[$window])) "
                    f"or sum by (job, arm) (rate({requests}[$window])) * 0)\n"
                    f"/\n(sum by (job, arm) (rate({requests}[$window])) > 0))"
                ),
                "{{arm}}",
            ),
            unit=units.SHARE,
        ).span(8),
        stacked(
            time_series(
                "Edge: hits and misses",
                "Requests that Varnish served from its cache, and requests that it passed to the service. Varnish is "
                "part of the compose stack only; without it nothing is shown.",
                query("sum(rate(varnish_main_cache_hit[$window]))", "hit"),
                query("sum(rate(varnish_main_cache_miss[$window]))", "miss"),
                unit=units.REQUESTS_PER_SECOND,
            ).no_value("no edge")
        ).span(8),
        time_series(
            "Purges at the edge",
            "Responses per second that the service purged from the edge after a write, and purges that failed: those "
            "are repeated until they succeed. Good is no error.",
            query(f'sum(rate(cache_invalidations_total{{{ARM}, level="edge"}}[$window]))', "purged"),
            query(f'sum(rate(cache_requests_total{{{ARM}, level="edge", result="error"}}[$window]))', "error"),
            unit=units.EVENTS_PER_SECOND,
        )
        .no_value("no edge")
        .span(8),
    ]
