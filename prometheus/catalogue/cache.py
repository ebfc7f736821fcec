"""Alerts for caches: they find nothing any more, they are away, too many wait for one answer."""

from prometheus.effects import HIT_RATIO_WINDOW
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

MIN_USUAL_HITS = 50
"""Usual within the window of the hit ratio: half of so many is not seen by chance."""

MIN_LOOKUPS = 20
"""Of one cache, in five minutes."""

MIN_ERRORS = 5


def cache_alerts(objectives: Objectives) -> Group:
    """Return the alerts on hit ratio, failing lookups and stampedes."""
    jobs, limits = objectives.slo_jobs, objectives.limits
    by = "sum by (job, arm, cache, level)"
    lookups = f"{by} (increase(cache_requests_total{{{jobs}}}[5m]))"

    def with_result(result: str) -> str:
        return f'{by} (increase(cache_requests_total{{result="{result}", {jobs}}}[5m]))'

    # What is usual ends before the window of what is recent begins: a collapse does not soon become usual.
    recent = f"cache:hit_ratio:{HIT_RATIO_WINDOW}{{{jobs}}}"
    usual = f"avg_over_time({recent}[1d] offset {HIT_RATIO_WINDOW})"
    recent_lookups = f"{by} (increase(cache_requests_total{{{jobs}}}[{HIT_RATIO_WINDOW}]))"
    board = "flightdeck-caching?var-arm={{ $labels.arm }}"
    return Group(
        name="cache",
        rules=[
            Alert(
                name="CacheHitRatioCollapsed",
                severity="ticket",
                owner="service",
                expr=(
                    f"{recent} < {limits.cache_hit_ratio_drop:g} * {usual}\n"
                    f"and {recent_lookups} * {usual} >= {MIN_USUAL_HITS}"
                ),
                for_="10m",
                summary="The {{ $labels.cache }} cache of {{ $labels.arm }} has few hits ({{ $labels.level }} level)",
                description=(
                    f"{{{{ $value | humanizePercentage }}}} of lookups are hits over [{HIT_RATIO_WINDOW}], less than "
                    f"{limits.cache_hit_ratio_drop:.0%} of the mean over [1d] before."
                ),
                dashboard=board,
                drill="write-flood",
            ),
            Alert(
                name="CacheDown",
                severity="ticket",
                owner="platform",
                expr=(
                    f"{with_result('error')} / ({lookups} > 0) > {limits.cache_error_ratio:g}\n"
                    f"and {with_result('error')} >= {MIN_ERRORS}"
                ),
                for_="2m",
                summary="The {{ $labels.level }} level of the {{ $labels.cache }} cache fails on {{ $labels.arm }}",
                description=(
                    "{{ $value | humanizePercentage }} of lookups failed over [5m]; "
                    "answers stay correct and are computed every time."
                ),
                dashboard=board,
                drill="redis-stopped",
            ),
            Alert(
                name="CacheStampede",
                severity="ticket",
                owner="service",
                expr=(
                    f"{with_result('coalesced')} / ({with_result('miss')} > 0) > {limits.stampede_ratio:g}\n"
                    f"and {lookups} >= {MIN_LOOKUPS}"
                ),
                for_="5m",
                summary="Many requests wait for one {{ $labels.cache }} answer on {{ $labels.arm }}",
                description=(
                    'For every answer computed, {{ $value | printf "%.1f" }} requests waited over [5m]; '
                    f"more than {limits.stampede_ratio:g} means that popular answers are slow to make when they expire."
                ),
                dashboard=board,
                drill="stampede",
            ),
        ],
    )
