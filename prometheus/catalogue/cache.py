"""Alerts for caches: collapsed hit ratio, failing lookups, stampedes."""

from prometheus.effects import HIT_RATIO_WINDOW
from prometheus.promql import increase_with_new_series
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

MIN_USUAL_HITS = 50
"""Within the window of the hit ratio: with fewer, half as many is chance."""

MIN_LOOKUPS = 20
MIN_ERRORS = 5
"""Of one cache, in five minutes."""


def cache_alerts(objectives: Objectives) -> Group:
    jobs, limits = objectives.slo_jobs, objectives.limits
    by = "sum by (job, arm, cache, level)"
    lookups = f"{by} ({increase_with_new_series('cache_requests_total', jobs, '5m')})"

    def with_result(result: str) -> str:
        matchers = f'{jobs}, result="{result}"'
        return f"{by} ({increase_with_new_series('cache_requests_total', matchers, '5m')})"

    # The usual ratio ends where the window of the recent one begins: a collapse must not lower its own threshold.
    recent = f"cache:hits:ratio_rate{HIT_RATIO_WINDOW}{{{jobs}}}"
    usual = f"avg_over_time({recent}[1d] offset {HIT_RATIO_WINDOW})"
    recent_lookups = f"{by} (increase(cache_requests_total{{{jobs}}}[{HIT_RATIO_WINDOW}]))"
    board = "flightdeck-caching?var-arm={{ $labels.arm }}"
    return Group(
        name="cache",
        rules=[
            Alert(
                name="CacheHitRatioCollapsed",
                expr=(
                    f"{recent} < {limits.cache_hit_ratio_drop:g} * {usual}\n"
                    f"and {recent_lookups} * {usual} >= {MIN_USUAL_HITS}"
                ),
                for_="10m",
                summary=(
                    "The hit ratio of the {{ $labels.cache }} cache collapsed on {{ $labels.arm }} "
                    "({{ $labels.level }} level)"
                ),
                description=(
                    f"{{{{ $value | humanizePercentage }}}} of lookups were hits over [{HIT_RATIO_WINDOW}], less than "
                    f"{limits.cache_hit_ratio_drop:.0%} of the mean over the [1d] before."
                ),
                dashboard=board,
                drill="write-flood",
            ),
            Alert(
                name="CacheDown",
                owner="platform",
                expr=(
                    f"{with_result('error')} / ({lookups} > 0) > {limits.cache_error_ratio:g}\n"
                    f"and {with_result('error')} >= {MIN_ERRORS}"
                ),
                for_="2m",
                summary="The {{ $labels.level }} level of the {{ $labels.cache }} cache fails on {{ $labels.arm }}",
                description=(
                    "{{ $value | humanizePercentage }} of lookups failed over [5m]; responses are correct, but "
                    "computed for every request."
                ),
                dashboard=board,
                drill="redis-stopped",
            ),
            Alert(
                name="CacheStampede",
                expr=(
                    f"{with_result('coalesced')} / ({with_result('miss')} > 0) > {limits.stampede_ratio:g}\n"
                    f"and {lookups} >= {MIN_LOOKUPS}"
                ),
                for_="5m",
                summary="Many requests wait for one {{ $labels.cache }} computation on {{ $labels.arm }}",
                description=(
                    '{{ $value | printf "%.1f" }} requests waited for each computation over [5m]; the limit is '
                    f"{limits.stampede_ratio:g}. Popular responses are slow to compute when they expire."
                ),
                dashboard=board,
                drill="stampede",
            ),
        ],
    )
