"""What caches cost: answers that are a little old, work to invalidate them, memory."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from grafana import units
from grafana.panels.timeseries import stacked, time_series, with_threshold_line
from grafana.query import ARM, arm_or_job, query
from grafana.thresholds import above_is_bad
from prometheus.slo import load


def costs() -> list[Builder[Panel]]:
    """Return the panels of what is paid for a hit."""
    limits = load().limits

    def lookups(result: str) -> str:
        every = f"sum by (job, arm) (rate(cache_requests_total{{{ARM}}}[$window]))"
        return f'(sum by (job, arm) (rate(cache_requests_total{{{ARM}, result="{result}"}}[$window])) or {every} * 0)'

    return [
        time_series(
            "Stale answers",
            "Share of lookups that were answered with an older answer while a fresh one was made. They are as old as "
            "the policy allows, never older than a write that changed them: writes invalidate at once.",
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
                "Stampedes: lookups that waited for one computation",
                "For every answer that was computed, how many requests waited for it instead of computing it too. "
                "Without "
                "that each of them would have run the same queries. Above the dashed line an alert asks why popular "
                "answers are slow to make.",
                query(arm_or_job(f"({lookups('coalesced')}\n/\n({lookups('miss')} > 0))"), "{{arm}}"),
                unit=units.COUNT,
            ),
            above_is_bad(limits.stampede_ratio),
        )
        .axis_soft_max(1.2 * limits.stampede_ratio)
        .span(8),
        time_series(
            "Invalidations",
            "Entries per second that were dropped because a write changed what they depend on. Each will be a miss. It "
            "should follow the rate of writes.",
            query(f"sum by (arm) (rate(cache_invalidations_total{{{ARM}}}[$window]))", "{{arm}}"),
            unit=units.EVENTS_PER_SECOND,
        ).span(8),
        stacked(
            time_series(
                "Memory of entries",
                "Bytes that cached answers take, by level and summed over the chosen arms. It levels out at the bound "
                "of each cache; what is used least goes first.",
                query(f"sum by (level) (cache_size_bytes{{{ARM}}})", "{{level}}"),
                unit=units.BYTES,
            )
        ).span(8),
        time_series(
            "Entries",
            "Answers that are kept, on all levels of the chosen arms. Many entries and few hits mean keys that nobody "
            "asks for twice.",
            query(f"topk(12, sum by (cache) (cache_entries{{{ARM}}}))", "{{cache}}"),
            unit=units.COUNT,
        ).span(8),
        with_threshold_line(
            time_series(
                "Failed lookups",
                "Share of lookups at which the cache did not answer: then answers are computed, slower but correct. "
                "The dashed line is the limit of the alert CacheDown.",
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
