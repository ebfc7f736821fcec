"""What caches cost: staleness, invalidations, memory."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from grafana import units
from grafana.panels.timeseries import stacked, time_series, with_threshold_line
from grafana.query import ARM, arm_or_job, query
from grafana.thresholds import above_is_bad
from prometheus.slo import Limits


def costs(limits: Limits) -> list[Builder[Panel]]:
    def lookups(result: str) -> str:
        every = f"sum by (job, arm) (rate(cache_requests_total{{{ARM}}}[$window]))"
        return f'(sum by (job, arm) (rate(cache_requests_total{{{ARM}, result="{result}"}}[$window])) or {every} * 0)'

    return [
        time_series(
            "Stale hits",
            "Share of lookups that returned a stale entry while a fresh one was computed. Entries are at most as "
            "stale as their policy allows, and never older than a write to their data: writes invalidate at once.",
            query(
                arm_or_job(
                    f"({lookups('stale')}\n/\nsum by (job, arm) (rate(cache_requests_total{{{ARM}}}[$window])))"
                ),
                "{{arm}}",
            ),
            unit=units.SHARE,
        ).span(8),
        with_threshold_line(
            time_series(
                "Coalesced lookups per computation",
                "Requests that waited for each computation instead of repeating it; without single flight, each "
                "would have run the same queries. Above the dashed line the alert CacheStampede fires: popular "
                "responses are slow to compute.",
                query(arm_or_job(f"({lookups('coalesced')}\n/\n({lookups('miss')} > 0))"), "{{arm}}"),
                unit=units.COUNT,
            ),
            above_is_bad(limits.stampede_ratio),
        )
        .axis_soft_max(1.2 * limits.stampede_ratio)
        .span(8),
        time_series(
            "Invalidations",
            "Entries per second that a write invalidated; the next lookup of each is a miss. It should follow the "
            "rate of writes.",
            query(f"sum by (arm) (rate(cache_invalidations_total{{{ARM}}}[$window]))", "{{arm}}"),
            unit=units.EVENTS_PER_SECOND,
        ).span(8),
        stacked(
            time_series(
                "Cache memory",
                "Bytes of cached entries by level, summed over the chosen arms. It levels out at the bound of each "
                "cache, which evicts the least recently used entries.",
                query(f"sum by (level) (cache_size_bytes{{{ARM}}})", "{{level}}"),
                unit=units.BYTES,
            )
        ).span(8),
        time_series(
            "Cache entries",
            "Entries on all levels of the chosen arms, by cache. Many entries and few hits mean keys that are "
            "requested only once.",
            query(f"topk(12, sum by (cache) (cache_entries{{{ARM}}}))", "{{cache}}"),
            unit=units.COUNT,
        ).span(8),
        with_threshold_line(
            time_series(
                "Failed lookups",
                "Share of lookups that failed because a cache level was unreachable: responses are then computed, "
                "slower but correct. The dashed line is the threshold of the alert CacheDown.",
                query(
                    f"{lookups('error')}\n/\nsum by (arm) (rate(cache_requests_total{{{ARM}}}[$window]))\n"
                    f"or sum by (arm) (rate(cache_requests_total{{{ARM}}}[$window])) * 0",
                    "{{arm}}",
                ),
                unit=units.SHARE,
            ),
            above_is_bad(limits.cache_error_ratio),
        )
        .axis_soft_max(0.1)
        .span(8),
    ]
