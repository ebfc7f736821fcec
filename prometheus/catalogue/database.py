"""Alerts for the database from the service's side: pool, statements per request, replica."""

from typing import Final

from prometheus.promql import increase_with_new_series
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

POOL: Final = "db_client_connection_pool_name"

_HELD: Final = f"handler:connections_held:rate5m{{job=%q, arm=%q, {POOL}=%q}}"
_LABELS: Final = f"$labels.job $labels.arm $labels.{POOL}"
HELD_MOST: Final = (
    f"{{{{ with printf `topk(3, {_HELD} / scalar(sum({_HELD})))` {_LABELS} {_LABELS} | query }}}}"
    " The connections are held most by"
    "{{ range $i, $held := . }}{{ if $i }},{{ end }} {{ $held.Labels.handler }}"
    " ({{ $held.Value | humanizePercentage }}){{ end }}.{{ end }}"
)
"""The three routes that hold most connections, as a sentence."""


def database_alerts(objectives: Objectives) -> Group:
    return Group(name="database", rules=[*_pool(objectives), _n_plus_one(objectives), *_replica(objectives)])


def _pool(objectives: Objectives) -> list[Alert]:
    jobs, limits = objectives.slo_jobs, objectives.limits
    by = f"sum by (job, arm, {POOL}"
    pool = f"{{{{ $labels.{POOL} }}}}"
    timeouts = increase_with_new_series("db_client_connection_timeouts_total", jobs, "5m")
    wait = "db_client_connection_wait_time_seconds_bucket"
    board = "flightdeck-pooling?var-arm={{ $labels.arm }}"
    return [
        Alert(
            name="PoolWaitHigh",
            expr=(f"histogram_quantile(0.95, {by}, le) (rate({wait}{{{jobs}}}[5m]))) > {limits.pool_wait_s:g}"),
            for_="5m",
            summary=f"Requests wait for a {pool} connection on {{{{ $labels.arm }}}}",
            description=(
                f"The p95 wait for a connection of the {pool} pool was {{{{ $value | humanizeDuration }}}} "
                f"over [5m]; the limit is {limits.pool_wait_s:g} s."
            ),
            dashboard=board,
            drill="pool-wait",
        ),
        Alert(
            name="PoolExhausted",
            expr=f"{by}) ({timeouts}) > 0",
            for_="1m",
            summary=f"Checkouts of the {pool} pool time out on {{{{ $labels.arm }}}}",
            description=(
                '{{ $value | printf "%.0f" }} checkouts timed out over [5m]; their requests got 503.' + HELD_MOST
            ),
            dashboard=board,
            drill="pool-exhausted",
        ),
    ]


def _n_plus_one(objectives: Objectives) -> Alert:
    limit = objectives.limits.queries_per_request
    suspected = increase_with_new_series("db_n_plus_one_suspected_total", objectives.slo_jobs, "5m")
    return Alert(
        name="NPlusOneQueries",
        expr=(
            f"handler:queries_per_request:ratio_rate5m{{{objectives.slo_jobs}}} > {limit:g}\n"
            f"and sum by (job, arm, handler) ({suspected}) > 0"
        ),
        for_="5m",
        summary="{{ $labels.handler }} repeats a statement for every row on {{ $labels.arm }}",
        description=(
            'A request to {{ $labels.handler }} runs {{ $value | printf "%.0f" }} statements on average and repeats '
            f"one of them; the limit is {limit:g}."
        ),
        dashboard="flightdeck-database?var-arm={{ $labels.arm }}&var-handler={{ $labels.handler }}",
        drill="n-plus-one",
    )


def _replica(objectives: Objectives) -> list[Alert]:
    limit_s = objectives.limits.replica_lag_s
    return [
        Alert(
            name="ReplicaDown",
            owner="platform",
            expr=f"min by (job, arm) (db_replica_up{{{objectives.slo_jobs}}}) == 0",
            for_="2m",
            summary="{{ $labels.arm }} cannot reach its replica",
            description="The replica does not respond (up is {{ $value }}); every read goes to the primary.",
            dashboard="flightdeck-database?var-arm={{ $labels.arm }}",
            drill="replica-killed",
        ),
        Alert(
            name="ReplicaLag",
            owner="platform",
            expr=(
                # The mean: a replica that replays in bursts has no lag at all at some scrapes.
                f"max by (job, arm) (avg_over_time(db_replication_lag_seconds{{{objectives.slo_jobs}}}[5m]))"
                f" > {limit_s:g}"
            ),
            for_="5m",
            summary="The replica of {{ $labels.arm }} is behind",
            description=(
                f"The mean replication lag over [5m] was {{{{ $value | humanizeDuration }}}}; the limit is {limit_s:g} "
                "s. Beyond REPLICA_MAX_LAG_S the service reads from the primary."
            ),
            dashboard="flightdeck-database?var-arm={{ $labels.arm }}",
            drill="replica-lags",
        ),
    ]
