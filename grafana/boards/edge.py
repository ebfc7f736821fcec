"""HTTP caching: what clients and the edge keep, so that the service need not send or see it."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from grafana import units
from grafana.panels.timeseries import stacked, time_series
from grafana.query import ARM, arm_or_job, query


def edge() -> list[Builder[Panel]]:
    """Return the panels about validators and about Varnish in front of the service."""
    asked = f'http_requests_total{{{ARM}, method="GET", status=~"200|304"}}'
    return [
        time_series(
            "Answered 304: not modified",
            "Share of GET requests whose client already had the current answer: only headers were sent. Arms without "
            "HTTP caching have no validators to ask with.",
            query(
                arm_or_job(
                    f"((sum by (job, arm) (rate(http_requests_total{{{ARM}, method='GET', status='304'}}[$window])) "
                    f"or sum by (job, arm) (rate({asked}[$window])) * 0)\n"
                    f"/\n(sum by (job, arm) (rate({asked}[$window])) > 0))"
                ),
                "{{arm}}",
            ),
            unit=units.SHARE,
        ).span(8),
        stacked(
            time_series(
                "The edge: found and passed on",
                "Requests that Varnish answered itself, against those it asked the service for. The edge stands in the "
                "compose stack only; without it nothing is shown.",
                query("sum(rate(varnish_main_cache_hit[$window]))", "hit"),
                query("sum(rate(varnish_main_cache_miss[$window]))", "miss"),
                unit=units.REQUESTS_PER_SECOND,
            ).no_value("no edge")
        ).span(8),
        time_series(
            "Purges at the edge",
            "Answers per second that the service made the edge forget after a write, and purges that did not reach it: "
            "those are repeated until they do. Good is no error.",
            query(f'sum(rate(cache_invalidations_total{{{ARM}, level="edge"}}[$window]))', "purged"),
            query(f'sum(rate(cache_requests_total{{{ARM}, level="edge", result="error"}}[$window]))', "error"),
            unit=units.EVENTS_PER_SECOND,
        )
        .no_value("no edge")
        .span(8),
    ]
