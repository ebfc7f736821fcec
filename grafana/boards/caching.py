"""Caching: how much is found, what that saves, and what it costs."""

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana import units
from grafana.board import Board, Section
from grafana.boards.cache_costs import costs
from grafana.boards.edge import edge
from grafana.panels.bars import bars
from grafana.panels.colour import coloured
from grafana.panels.heatmap import heatmap
from grafana.panels.stat import stat
from grafana.panels.timeseries import logarithmic, stacked, time_series
from grafana.query import ARM, arm_or_job, heatmap_query, instant, query

CACHED: Final = 'handler=~"/reports/.*|/airports/[{]faa[}]/departures"'
"""What the shared cache applies to: reports and boards."""
FOUND: Final = f'cache_requests_total{{{ARM}, result=~"hit|stale"}}'
LOOKUPS: Final = f"cache_requests_total{{{ARM}}}"


def dashboard() -> Dashboard:
    """Return the board about caches."""
    return Board(
        uid="flightdeck-caching",
        title="Caching",
        question="How much do the caches find, what does that save, and what does it cost?",
        sections=[
            Section(title="", panels=_overview()),
            Section(title="What is found", panels=_found()),
            Section(title="What that saves", panels=_saved()),
            Section(title="What it costs", panels=costs()),
            Section(title="The edge, and clients that keep what they got", panels=edge()),
        ],
        variables=("datasource", "arm", "window"),
    ).build()


def _overview() -> list[Builder[Panel]]:
    return [
        logarithmic(
            "Reports and boards: time to the last byte, p50",
            "The same requests on every arm; the axis is logarithmic. The gap between baseline and caching is what a "
            "found answer saves. Arms without a cache lie on top of each other.",
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
            "Statements that an average request of any route sends to the database. Arms with caches need a fraction.",
            instant(arm_or_job(f"max by (job, arm) (arm:queries_per_request:5m{{{ARM}}})"), "{{arm}}"),
            unit=units.COUNT,
        )
        .decimals(1)
        .span(6)
        .height(9),
        coloured(
            stat(
                "Found, by level",
                "Share of lookups that found an answer: the process's own memory is asked first, the shared level only "
                "when "
                "that has nothing. Above half is good for reports; the rest are first requests and answers that were "
                "invalidated by writes.",
                instant(
                    f"sum by (level) (rate({FOUND}[$window])) / (sum by (level) (rate({LOOKUPS}[$window])) > 0)",
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
                "Queries spared",
                "Statements per second that an arm with caches does without: what baseline runs for the same requests, "
                "less its own.",
                instant(
                    f"max by (arm) (arm:queries_avoided:rate5m{{{ARM}}}) and on (arm) arm:cache_hit_ratio:5m{{{ARM}}}",
                    "{{arm}}",
                ),
                unit=units.EVENTS_PER_SECOND,
            )
            .decimals(0)
            .span(3)
            .height(9)
        ),
    ]


def _found() -> list[Builder[Panel]]:
    return [
        stacked(
            time_series(
                "How answers came about",
                "Cool colours were answered without computing: hit; stale, while a fresh one is made; coalesced, which "
                "waited for somebody else's computation. Warm ones were computed. Good is mostly blue, no red.",
                query(f"sum by (result) (cache:results:rate5m{{{ARM}}})", "{{result}}"),
                unit=units.EVENTS_PER_SECOND,
            )
        ).span(8),
        time_series(
            "Hit ratio by cache",
            "Share of answers that were found at any level, for each kind of answer. A ratio that falls and stays low "
            "means that "
            "writes invalidate too much, or that the cache is too small.",
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
            "Share of lookups that found an answer, over all caches and levels. Arms without caches have no line.",
            query(f"max by (arm) (arm:cache_hit_ratio:5m{{{ARM}}})", "{{arm}}"),
            unit=units.SHARE,
        )
        .max(1)
        .span(8),
    ]


def _saved() -> list[Builder[Panel]]:
    return [
        heatmap(
            "Hit against miss: reports and boards of the chosen arms",
            "Two bands: found answers in the lower one, computed ones in the upper. Choose one arm above to compare: "
            "baseline has only the upper band. Dots are single requests; click one to see its trace.",
            heatmap_query(
                f"sum by (le) (increase(http_response_last_byte_seconds_bucket{{{ARM}, {CACHED}}}[$__rate_interval]))"
            ),
            unit=units.SECONDS,
        ),
        logarithmic(
            "Time of a lookup, p95",
            "What asking the cache takes, without computing what it lacks. A hit is answered in microseconds from "
            "memory and about a millisecond from Redis; coalesced lookups wait as long as the computation takes.",
            query(
                "histogram_quantile(0.95, sum by (result, le) "
                f"(rate(cache_request_duration_seconds_bucket{{{ARM}, level!='edge'}}[$window])))",
                "{{result}}",
            ),
            unit=units.SECONDS,
        ).height(9),
    ]
