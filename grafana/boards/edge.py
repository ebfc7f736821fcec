"""HTTP caching by clients and by the edge."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from grafana import units
from grafana.panels.timeseries import stacked, time_series
from grafana.query import ARM, arm_or_job, query


def edge() -> list[Builder[Panel]]:
    requests = f'http_requests_total{{{ARM}, method="GET", status=~"200|304"}}'
    return [
        time_series(
            "304 Not Modified",
            "Share of GET requests whose client already had the current response, so that only headers were sent. "
            "Arms without HTTP caching send no validators; their clients cannot revalidate.",
            query(
                arm_or_job(
                    f"((sum by (job, arm) (rate(http_requests_total{{{ARM}, method='GET', status='304'}}[$window])) "
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
